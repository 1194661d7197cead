"""The marketing website: a compose project of its own, whose variables say how far the cutover has come."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

from rehearsal.namespace import REPOSITORY
from rehearsal.runtime.spec import Container, Image, Project, Published
from rehearsal.services import nginx, outside
from rehearsal.services.files import accepts, make_directory, write
from rehearsal.site import HOSTNAME, NOCODB_NAME, WEBSITE, Site
from rehearsal.stages import STAGES

PROJECT = Project(WEBSITE, "docker-compose.yml")
REFERENCE = "website:latest"
PORT = 3000

_COMPOSE = """\
services:
  website:
    image: {image}
    restart: unless-stopped
    env_file: .env
    environment:
      NODE_ENV: production
    ports:
      - "{server}:{published}:{port}"
"""


def environment(site: Site, stage: int) -> dict[str, str]:
    """Return the variables of its .env file at a stage of the cutover."""
    credentials = site.credentials
    host, port, user = outside.WEBSITE_MAIL
    switches = {
        "CRM_INTAKE_URL": f"https://{HOSTNAME}",
        "CRM_INTAKE_SECRET": credentials.intake_secret,
        "CRM_BERTHS_ENABLED": "1",
        "WEBSITE_INQUIRY_EMAILS_DISABLED": "1",
    }
    return {
        "NOCODB_URL": f"https://{NOCODB_NAME}",
        "NOCODB_TOKEN": credentials.nocodb_token,
        "SMTP_HOST": host,
        "SMTP_PORT": str(port),
        "SMTP_USER": user,
        "SMTP_PASS": credentials.website_smtp_password,
        "ALERT_RECIPIENTS_BERTHS": "sales@portnimara.test,harbour@portnimara.test",
        "ALERT_RECIPIENTS_RESIDENCES": "residences@portnimara.test",
        "ALERT_RECIPIENTS_CONTACT": "hello@portnimara.test",
        "RECAPTCHA_SECRET": credentials.recaptcha_secret,
        "NUXT_PUBLIC_RECAPTCHA_SITE_KEY": credentials.recaptcha_site_key,
        "DIRECTUS_URL": "https://directus.portnimara.test",
        **{name: switches[name] for name in STAGES[stage].website},
    }


def prepare(site: Site, stage: int) -> None:
    """Write the compose file and .env (0600) into its directory.

    Raises:
        OSError: a file cannot be written.
    """
    directory = make_directory(site.project(PROJECT.name))
    compose = _COMPOSE.format(
        image=REFERENCE, server=site.address("server"), published=nginx.WEBSITE_PORT, port=PORT
    )
    write(directory / PROJECT.compose_file, compose)
    write_env(site, environment(site, stage))
    make_directory(site.containers / WEBSITE)


def write_env(site: Site, variables: Mapping[str, str]) -> None:
    """Write its .env file.

    Raises:
        OSError: it cannot be written.
    """
    text = "".join(f"{name}={value}\n" for name, value in variables.items())
    write(site.project(PROJECT.name) / ".env", text, mode=0o600)


def container_env(site: Site, variables: Mapping[str, str]) -> dict[str, str]:
    """Return what its container has: the variables of the .env file and those of image and compose file."""
    return {**variables, "NODE_ENV": "production", "HOST": site.address(WEBSITE), "PORT": str(PORT)}


def container(site: Site, stage: int) -> Container:
    """Return its container; its image was built on the server."""
    address = site.address(WEBSITE)
    return Container(
        service=WEBSITE,
        image=Image(f"sha256:{hashlib.sha256(REFERENCE.encode()).hexdigest()}", (REFERENCE,), ()),
        reference=REFERENCE,
        argv=(sys.executable, "-m", "rehearsal.apps.website"),
        env=container_env(site, environment(site, stage)),
        account=site.account("app"),
        address=address,
        ready=lambda: accepts(address, PORT),
        ports=(PORT,),
        published=(Published(site.address("server"), nginx.WEBSITE_PORT, PORT),),
        inherit_env={
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONDONTWRITEBYTECODE": "1",
            "REHEARSAL_KNOBS": str(site.knobs(WEBSITE)),
            "REHEARSAL_BAKED": str(baked(site)),
            "REHEARSAL_SITEVERIFY": f"{outside.url(site)}/recaptcha/api/siteverify",
            **outside.connections(site),
        },
        project=PROJECT,
    )


def baked(site: Site) -> Path:
    """Return the file of variables that its build left in it; it exists while a fault has it so."""
    return site.containers / WEBSITE / "baked.json"
