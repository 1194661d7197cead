"""Documenso as a compose project of its own: production's on the server, or the plan's disposable clone."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from rehearsal.documenso import accounts, migrations, population, schema, sealing
from rehearsal.documenso.versions import VERSIONS, Version
from rehearsal.instances import Instance
from rehearsal.namespace import REPOSITORY
from rehearsal.runtime.spec import Container, Image, Project, Published
from rehearsal.services import nginx, outside, postgres, s3
from rehearsal.services.files import accepts, make_directory, write
from rehearsal.site import DOCUMENSO_NAME, HOSTNAME, STORAGE_NAME, Site

SERVICE = "documenso"
DATABASE_SERVICE = "database"
DATABASE = "documenso_db"
OWNER = "admin"
READER = "acceptance_reader"
BUCKET = "signatures"
PORT = 3000
DATABASE_REFERENCE = "postgres:15"
WEBHOOK_URL = f"https://{HOSTNAME}/api/webhooks/documenso"
CLONE_PORT = 3021
"""Where the clone's own compose file publishes it on the operator's machine."""

CERTIFICATE = "/opt/documenso/certificate.p12"
MOUNTED = "/opt/documenso/cert.p12"

_FILES = {"certificate.p12": "p12", "private.key": "private_key", "certificate.crt": "certificate"}

_COMPOSE = """\
name: {project}
services:
  database:
    image: {database_image}
    environment:
      - POSTGRES_USER=${{POSTGRES_USER}}
      - POSTGRES_PASSWORD=${{POSTGRES_PASSWORD}}
      - POSTGRES_DB=${{POSTGRES_DB}}
    healthcheck:
      test: ['CMD-SHELL', 'pg_isready -U ${{POSTGRES_USER}}']
    volumes:
      - {volume}:/var/lib/postgresql/data

  documenso:
    image: {image}
    depends_on:
      database:
        condition: service_healthy
    env_file: .env
    ports:
      - {address}:{published}:{port}
    volumes:
      - {certificate}:{mounted}:ro

volumes:
  {volume}:
"""


def project(instance: Instance) -> Project:
    """Return the compose project of an instance."""
    name = "documenso-dryrun" if instance.clone else "documenso-production"
    return Project(name, "docker-compose.yml")


def cluster(instance: Instance) -> postgres.Cluster:
    """Return the server that holds its database."""
    return postgres.Cluster(DATABASE_SERVICE, "dryrun-database" if instance.clone else "documenso-database")


def reference(version: Version) -> str:
    """Return the image reference of a version."""
    return f"documenso/documenso:{version}"


def url(instance: Instance) -> str:
    """Return its logical address."""
    return f"http://localhost:{CLONE_PORT}" if instance.clone else f"https://{DOCUMENSO_NAME}"


def bucket(instance: Instance) -> str:
    """Return the bucket of its documents."""
    return f"{BUCKET}-clone" if instance.clone else BUCKET


def container_name(instance: Instance) -> str:
    """Return the name of the server's container."""
    return f"{project(instance).name}-{SERVICE}-1"


def certificate_file(site: Site, name: str = "certificate.p12") -> Path:
    """Return one of the signing certificate's files on the server."""
    return site.host / "opt" / "documenso" / name


def environment(site: Site, instance: Instance) -> dict[str, str]:
    """Return the variables of its .env file."""
    credentials = site.credentials
    place = f"{site.address(DATABASE_SERVICE)}:{postgres.PORT}/{DATABASE}"
    database = f"postgresql://{OWNER}:{quote(credentials.documenso_database_password)}@{place}"
    host, port, user = outside.SINK if instance.clone else outside.CRM_MAIL
    return {
        "POSTGRES_USER": OWNER,
        "POSTGRES_PASSWORD": credentials.documenso_database_password,
        "POSTGRES_DB": DATABASE,
        "NODE_ENV": "production",
        "PORT": str(PORT),
        "NEXTAUTH_SECRET": credentials.documenso_auth_secret,
        "NEXT_PRIVATE_ENCRYPTION_KEY": credentials.documenso_encryption_key,
        "NEXT_PRIVATE_ENCRYPTION_SECONDARY_KEY": credentials.documenso_secondary_key,
        "NEXT_PUBLIC_WEBAPP_URL": url(instance),
        "NEXT_PRIVATE_INTERNAL_WEBAPP_URL": f"http://{site.address(SERVICE)}:{PORT}",
        "NEXT_PRIVATE_DATABASE_URL": database,
        "NEXT_PRIVATE_DIRECT_DATABASE_URL": database,
        "NEXT_PUBLIC_UPLOAD_TRANSPORT": "s3",
        "NEXT_PRIVATE_UPLOAD_ENDPOINT": f"https://{STORAGE_NAME}",
        "NEXT_PRIVATE_UPLOAD_FORCE_PATH_STYLE": "true",
        "NEXT_PRIVATE_UPLOAD_REGION": s3.REGION,
        "NEXT_PRIVATE_UPLOAD_BUCKET": bucket(instance),
        "NEXT_PRIVATE_UPLOAD_ACCESS_KEY_ID": credentials.s3_access_key,
        "NEXT_PRIVATE_UPLOAD_SECRET_ACCESS_KEY": credentials.s3_secret_key,
        "NEXT_PRIVATE_SIGNING_TRANSPORT": "local",
        "NEXT_PRIVATE_SIGNING_LOCAL_FILE_PATH": MOUNTED,
        "NEXT_PRIVATE_SIGNING_PASSPHRASE": credentials.documenso_passphrase,
        "NEXT_PRIVATE_SMTP_TRANSPORT": "smtp-auth",
        "NEXT_PRIVATE_SMTP_HOST": host,
        "NEXT_PRIVATE_SMTP_PORT": str(port),
        "NEXT_PRIVATE_SMTP_USERNAME": user,
        "NEXT_PRIVATE_SMTP_PASSWORD": credentials.smtp_password,
        "NEXT_PRIVATE_SMTP_FROM_NAME": "Port Nimara",
        "NEXT_PRIVATE_SMTP_FROM_ADDRESS": "sign@portnimara.test",
        "NEXT_PUBLIC_DISABLE_SIGNUP": "true",
        **({"DOCUMENSO_DISABLE_TELEMETRY": "true"} if instance.clone else {}),
    }


def prepare(site: Site, instance: Instance) -> None:
    """Write the compose file, .env (0600) and the signing certificate's three files.

    Raises:
        OSError: a file cannot be written.
    """
    directory = make_directory(site.project(project(instance).name))
    write_compose(site, instance)
    write_env(site, instance, environment(site, instance))
    made = sealing.make_certificate(site.credentials.documenso_passphrase)
    make_directory(certificate_file(site).parent)
    for name, attribute in _FILES.items():
        account = site.account("app")
        write(certificate_file(site, name), getattr(made, attribute), mode=0o440, account=account)
    mounted = _container_root(site) / MOUNTED.lstrip("/")
    make_directory(mounted.parent)
    mounted.symlink_to(certificate_file(site))
    assert directory.is_dir()


def write_compose(site: Site, instance: Instance) -> None:
    """Write its compose file.

    Raises:
        OSError: it cannot be written.
    """
    own = project(instance)
    text = _COMPOSE.format(
        project=own.name,
        database_image=DATABASE_REFERENCE,
        image=reference(instance.version),
        volume=cluster(instance).volume,
        address=site.address("server"),
        published=published(instance),
        port=PORT,
        certificate=certificate_file(site),
        mounted=MOUNTED,
    )
    write(site.project(own.name) / own.compose_file, text)


def write_env(site: Site, instance: Instance, variables: Mapping[str, str]) -> None:
    """Write its .env file.

    Raises:
        OSError: it cannot be written.
    """
    text = "".join(f"{name}={value}\n" for name, value in variables.items())
    write(site.project(project(instance).name) / ".env", text, mode=0o600)


def database(site: Site, instance: Instance) -> Container:
    """Return its database's container."""
    variables = environment(site, instance)
    return postgres.server(
        site,
        cluster(instance),
        image(DATABASE_REFERENCE),
        {name: variables[name] for name in ("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB")},
        project(instance),
    )


def container(site: Site, instance: Instance) -> Container:
    """Return the server's container: no health check, as its image and sample compose file have none."""
    address = site.address(SERVICE)
    named = reference(instance.version)
    return Container(
        service=SERVICE,
        image=image(named),
        reference=named,
        argv=(sys.executable, "-m", "rehearsal.apps.documenso"),
        env=environment(site, instance),
        account=site.account("app"),
        address=address,
        ready=lambda: accepts(address, PORT),
        ports=(PORT,),
        published=(Published(site.address("server"), published(instance), PORT),),
        inherit_env={**_inherited(site), "REHEARSAL_DOCUMENSO_VERSION": instance.version},
        project=project(instance),
    )


def image(named: str) -> Image:
    """Return a public image as it was pulled; its digests are made from its name."""
    digest = hashlib.sha256(named.encode()).hexdigest()
    return Image(f"sha256:{digest}", (named,), (f"{named.partition(':')[0]}@sha256:{digest}",))


def load(site: Site, instance: Instance) -> None:
    """Make the database as v1.13.1 had it, fill it and the bucket, and bring it to the version step by step.

    Raises:
        psycopg.Error: the server refuses a statement or a connection.
        RuntimeError: a migration failed.
    """
    with psycopg.connect(_superuser(site, instance, "postgres"), autocommit=True) as connection:
        postgres.create_role(connection, OWNER, site.credentials.documenso_database_password)
        postgres.create_role(connection, READER, site.credentials.documenso_reader_password)
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(OWNER))
        )
        connection.execute(f"GRANT pg_read_all_data TO {READER}")
        connection.execute(f"ALTER ROLE {READER} SET default_transaction_read_only = on")
    with psycopg.connect(owner_dsn(site, instance), autocommit=True) as connection:
        schema.create(connection)
        _store(site, population.small(connection, _setting(site)))
        for version in VERSIONS[1 : VERSIONS.index(instance.version) + 1]:
            outcome = migrations.deploy(connection, version)
            if outcome.failed:
                raise RuntimeError("\n".join(outcome.lines))


def owner_dsn(site: Site, instance: Instance) -> str:
    """Return how to connect as Documenso does; it holds the password, so never print it."""
    password = site.credentials.documenso_database_password
    return postgres.dsn(site, OWNER, password, DATABASE, cluster(instance))


def _superuser(site: Site, instance: Instance, database: str) -> str:
    return postgres.superuser_dsn(site, database, cluster(instance))


def _setting(site: Site) -> population.Setting:
    credentials = site.credentials
    return population.Setting(
        crm=accounts.Crm(
            token=credentials.documenso_api_key,
            webhook_url=WEBHOOK_URL,
            webhook_secret=credentials.documenso_webhook_secret,
        ),
        login=accounts.Login(email=credentials.admin_email, password=credentials.documenso_password),
        p12=certificate_file(site).read_bytes(),
        passphrase=credentials.documenso_passphrase,
    )


def _store(site: Site, objects: Iterable[population.StoredObject]) -> None:
    store = s3.client(site)
    for name in (BUCKET, f"{BUCKET}-clone"):
        store.create_bucket(Bucket=name)

    def put(stored: population.StoredObject) -> None:
        store.put_object(Bucket=BUCKET, Key=stored.key, Body=stored.content, ContentType=stored.content_type)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, objects))


def published(instance: Instance) -> int:
    """Return the port on the server."""
    return CLONE_PORT if instance.clone else nginx.DOCUMENSO_PORT


def _container_root(site: Site) -> Path:
    return make_directory(site.containers / SERVICE / "root")


def _inherited(site: Site) -> dict[str, str]:
    return {
        "HOSTNAME": site.address(SERVICE),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
        "REHEARSAL_KNOBS": str(site.knobs(SERVICE)),
        "REHEARSAL_ROOT": str(_container_root(site)),
        **outside.connections(site),
    }
