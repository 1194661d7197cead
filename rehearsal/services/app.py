"""The CRM's two containers, crm-app and crm-worker, with the deploy directory they come from."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping

from rehearsal.namespace import REPOSITORY
from rehearsal.runtime.spec import CRM, Container, Image, Published
from rehearsal.services import nginx, outside, postgres, redis, registry, s3
from rehearsal.services.files import accepts, make_directory, write
from rehearsal.site import HOSTNAME, STORAGE_NAME, Site

PORT = 3000
COMPOSE_FILE = CRM.compose_file
QUEUES = 2

_SIGN_IN_LIMIT = 60
"""Per ten seconds: a kept rehearsal is judged again and again, and each run tries twice."""

_PING_INTERVAL_MS = 2000

_COMPOSE = """\
services:
  postgres:
    image: {postgres}
    restart: unless-stopped
    environment:
      POSTGRES_USER: {owner}
      POSTGRES_PASSWORD: ${{POSTGRES_PASSWORD}}
      POSTGRES_DB: {database}
    volumes:
      - pgdata:{postgres_data}

  redis:
    image: {redis}
    restart: unless-stopped
    command: redis-server --requirepass ${{REDIS_PASSWORD}}
    volumes:
      - redisdata:{redis_data}

  crm-app:
    image: {crm_app}
    restart: unless-stopped
    env_file: .env
    ports:
      - "{server}:{published}:{port}"
    depends_on:
      - postgres
      - redis

  crm-worker:
    image: {crm_worker}
    restart: unless-stopped
    env_file: .env
    depends_on:
      - postgres
      - redis

volumes:
  pgdata:
  redisdata:
"""


def environment(site: Site) -> dict[str, str]:
    """Return the variables of the .env file; every one reaches both app containers."""
    credentials = site.credentials
    mail_host, mail_port, mail_user = outside.CRM_MAIL
    return {
        "APP_URL": f"https://{HOSTNAME}",
        "BETTER_AUTH_URL": f"https://{HOSTNAME}",
        "BETTER_AUTH_SECRET": credentials.auth_secret,
        "DATABASE_URL": (
            f"postgres://{postgres.OWNER}:{credentials.postgres_password}"
            f"@{site.address('postgres')}:{postgres.PORT}/{postgres.DATABASE}"
        ),
        "POSTGRES_PASSWORD": credentials.postgres_password,
        "REDIS_URL": f"redis://:{credentials.redis_password}@{site.address('redis')}:{redis.PORT}",
        "REDIS_PASSWORD": credentials.redis_password,
        "WEBSITE_INTAKE_SECRET": credentials.intake_secret,
        "DOCUMENSO_WEBHOOK_SECRET": credentials.documenso_webhook_secret,
        "DOCUMENSO_API_URL": "https://signatures.portnimara.test",
        "DOCUMENSO_API_VERSION": "v1",
        "DOCUMENSO_API_KEY": credentials.documenso_api_key,
        "S3_ENDPOINT": f"https://{STORAGE_NAME}",
        "S3_REGION": s3.REGION,
        "S3_BUCKET": s3.BUCKET,
        "S3_ACCESS_KEY": credentials.s3_access_key,
        "S3_SECRET_KEY": credentials.s3_secret_key,
        "SMTP_HOST": mail_host,
        "SMTP_PORT": str(mail_port),
        "SMTP_USER": mail_user,
        "SMTP_PASSWORD": credentials.smtp_password,
        "IMAP_HOST": mail_host,
        "IMAP_PORT": "993",
    }


def prepare(site: Site) -> None:
    """Write the compose file and .env (0600) into the deploy directory, as the plan's step 3 does.

    Raises:
        OSError: a file cannot be written, or PostgreSQL or Redis is not installed.
    """
    make_directory(site.deploy)
    compose = _COMPOSE.format(
        postgres=postgres.reference(),
        owner=postgres.OWNER,
        database=postgres.DATABASE,
        postgres_data=postgres.DATA,
        redis=redis.reference(),
        redis_data=redis.DATA,
        crm_app=registry.reference("crm-app"),
        crm_worker=registry.reference("crm-worker"),
        server=site.address("server"),
        published=nginx.APP_PORT,
        port=PORT,
    )
    write(site.deploy / COMPOSE_FILE, compose)
    write_env(site, environment(site))
    for service in ("crm-app", "crm-worker"):
        make_directory(site.containers / service)


def write_env(site: Site, variables: Mapping[str, str]) -> None:
    """Write the .env file of the deploy directory.

    Raises:
        OSError: it cannot be written.
    """
    text = "".join(f"{name}={value}\n" for name, value in variables.items())
    write(site.deploy / ".env", text, mode=0o600)


def crm_app(site: Site, image: Image) -> Container:
    """Return the application's container."""
    address = site.address("crm-app")

    def answers() -> bool:
        return accepts(address, PORT)

    return Container(
        service="crm-app",
        image=image,
        reference=registry.reference("crm-app"),
        argv=(sys.executable, "-m", "rehearsal.apps.crm"),
        env=_container_env(site, "crm-app"),
        account=site.account("app"),
        address=address,
        ready=answers,
        ports=(PORT,),
        published=(Published(site.address("server"), nginx.APP_PORT, PORT),),
        health=lambda: None if answers() else f"connect to {address} port {PORT} failed: Connection refused",
        inherit_env=_image_env(site, "crm-app"),
    )


def crm_worker(site: Site, image: Image) -> Container:
    """Return the worker's container; like the plan's it has no health check."""
    return Container(
        service="crm-worker",
        image=image,
        reference=registry.reference("crm-worker"),
        argv=(sys.executable, "-m", "rehearsal.apps.worker"),
        env=_container_env(site, "crm-worker"),
        account=site.account("app"),
        address=site.address("crm-worker"),
        ready=lambda: _consumes(site),
        inherit_env=_image_env(site, "crm-worker"),
    )


def _container_env(site: Site, service: str) -> dict[str, str]:
    return {
        **environment(site),
        "NODE_ENV": "production",
        "HOSTNAME": site.address(service),
        "PORT": str(PORT),
    }


def _image_env(site: Site, service: str) -> dict[str, str]:
    return {
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
        "REHEARSAL_KNOBS": str(site.knobs(service)),
        "REHEARSAL_PING_INTERVAL_MS": str(_PING_INTERVAL_MS),
        "REHEARSAL_SIGN_IN_LIMIT": str(_SIGN_IN_LIMIT),
        **outside.connections(site),
    }


def _consumes(site: Site) -> bool:
    """Tell whether each queue's worker has said its name to Redis."""
    request = f"AUTH {site.credentials.redis_password}\r\nCLIENT LIST\r\nQUIT\r\n".encode()
    try:
        with socket.create_connection((site.address("redis"), redis.PORT), timeout=2) as connection:
            connection.sendall(request)
            with connection.makefile("rb") as answer:
                return answer.read().count(b"name=bull:") >= QUEUES
    except OSError:
        return False
