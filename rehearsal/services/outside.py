"""What the website needs that is not ours, in one process: NocoDB, a mail server, reCAPTCHA."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from rehearsal.namespace import REPOSITORY
from rehearsal.runtime.spec import Program
from rehearsal.services.files import accepts
from rehearsal.site import HOSTNAME, NOCODB_NAME, STORAGE_NAME, WEBSITE_NAME, Site

PORT = 8080
SMTP_PORT = 2525

CRM_MAIL = ("mail.portnimara.test", 587, "crm@portnimara.test")
WEBSITE_MAIL = ("smtp.portnimara.test", 587, "website@portnimara.test")
SINK = ("mail.localhost", 2525, "dryrun")
"""Mail server, port and account of the CRM and Documenso, of the website, and of what must mail nobody."""


def url(site: Site) -> str:
    """Return its own address, for what is not asked through nginx."""
    return f"http://{site.address('outside')}:{PORT}"


def connections(site: Site) -> Mapping[str, str]:
    """Return the environment by which the apps find where the public names really are."""
    https = f"{site.address('public')}:{site.https_port}"
    smtp = f"{site.address('outside')}:{SMTP_PORT}"
    places = {
        f"{HOSTNAME}:443": https,
        f"{NOCODB_NAME}:443": https,
        f"{STORAGE_NAME}:443": https,
        **{f"{name}:{port}": smtp for name, port, _ in (CRM_MAIL, WEBSITE_MAIL, SINK)},
    }
    return {"REHEARSAL_CONNECT": json.dumps(places), "REHEARSAL_CA": str(site.ca_file)}


def program(site: Site) -> Program:
    """Return it as a program."""
    address = site.address("outside")
    accounts = {
        CRM_MAIL[2]: site.credentials.smtp_password,
        WEBSITE_MAIL[2]: site.credentials.website_smtp_password,
        SINK[2]: site.credentials.smtp_password,
    }
    return Program(
        name="outside",
        argv=(sys.executable, "-m", "rehearsal.apps.outside"),
        account=site.account("app"),
        log=site.state / "outside.log",
        ready=lambda: accepts(address, PORT),
        env={
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOSTNAME": address,
            "PORT": str(PORT),
            "SMTP_PORT": str(SMTP_PORT),
            "MAIL_ACCOUNTS": json.dumps(accounts),
            "NOCODB_TOKEN": site.credentials.nocodb_token,
            "RECAPTCHA_SECRET": site.credentials.recaptcha_secret,
            "RECAPTCHA_TOKEN": site.credentials.recaptcha_token,
            "WEBSITE_NAME": WEBSITE_NAME,
        },
    )
