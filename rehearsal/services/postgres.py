"""PostgreSQL as the compose project's database: a cluster of its own on the volume pgdata."""

from __future__ import annotations

import functools
import os
import secrets
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import pq, sql
from psycopg.conninfo import make_conninfo

from acceptance import schema_manifest
from rehearsal.apps.crm import seed
from rehearsal.runtime.spec import CRM as CRM_PROJECT
from rehearsal.runtime.spec import Container, Image, Mount, Project
from rehearsal.services.files import make_directory, run_as, write
from rehearsal.services.s3 import StoredFile
from rehearsal.site import Site


@dataclass(frozen=True)
class Cluster:
    """One server of the rehearsal.

    Attributes:
        service: its compose service; also whose address and directory it has.
        volume: the volume that holds it.
    """

    service: str
    volume: str


CRM = Cluster("postgres", "pgdata")
DATABASE = "pn_crm"
OWNER = "pn_crm"
READER = "acceptance_reader"
SUPERUSER = "postgres"
PORT = 5432
DATA = "/var/lib/postgresql/data"
_SCRATCH = "migrated"

_INSTALLED = (Path("/usr/lib/postgresql"), Path("/opt/homebrew/opt"), Path("/usr/local/opt"))

# Logging is the official image's default; keeping commit times is not, and `schema-change-untimed` takes it
# away. Durability is given up: nothing of a rehearsal outlives it. Shared
# memory lies in files, because they go with the directory.
_SETTINGS = """
listen_addresses = '{address}'
port = {port}
unix_socket_directories = '{sockets}'
max_connections = 100
shared_buffers = 32MB
track_commit_timestamp = on
dynamic_shared_memory_type = mmap
fsync = off
synchronous_commit = off
full_page_writes = off
timezone = 'UTC'
log_timezone = 'UTC'
log_destination = 'stderr'
logging_collector = off
log_line_prefix = '%m [%p] '
lc_messages = 'C'
"""


@functools.cache
def directory() -> Path:
    """Return the directory with the programs of the newest PostgreSQL that is installed.

    Raises:
        OSError: there is none.
    """
    found = [path for base in _INSTALLED for path in base.glob("*/bin/initdb")]
    if not found:
        raise OSError("PostgreSQL is not installed; `make rehearsal` installs it")
    return max(found, key=lambda path: _major(path.parent)).parent


def major() -> int:
    """Return the major version that a rehearsal runs.

    Raises:
        OSError: PostgreSQL is not installed.
    """
    return _major(directory())


def reference() -> str:
    """Return the image reference of the container."""
    return f"postgres:{major()}"


def initialise(site: Site, cluster: Cluster = CRM) -> None:
    """Create a cluster on its volume.

    Raises:
        OSError: `initdb` is missing or fails.
    """
    account = site.account("postgres")
    data = make_directory(volume(site, cluster), mode=0o700, account=account)
    make_directory(_sockets(site, cluster), account=account)
    password = _superuser_password(site, cluster)
    handover = write(data.parent / f"{cluster.volume}.password", password, mode=0o600, account=account)
    try:
        run_as(
            account,
            (
                str(directory() / "initdb"),
                *("--pgdata", str(data), "--username", SUPERUSER, "--pwfile", str(handover)),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", _locale()),
                *("--wal-segsize", "1", "--no-sync", "--no-instructions"),
            ),
            env={"PATH": os.defpath, "TZ": "UTC"},
        )
    finally:
        handover.unlink()
    settings = _SETTINGS.format(
        address=site.address(cluster.service), port=PORT, sockets=_sockets(site, cluster)
    )
    with (data / "postgresql.conf").open("a") as stream:
        stream.write(settings)
    with (data / "pg_hba.conf").open("a") as stream:
        stream.write("host all all all scram-sha-256\n")


def container(site: Site, image: Image) -> Container:
    """Return the CRM's database as a container; its health check is what `pg_isready` does."""
    environment = {
        "POSTGRES_USER": OWNER,
        "POSTGRES_PASSWORD": site.credentials.postgres_password,
        "POSTGRES_DB": DATABASE,
    }
    return server(site, CRM, image, environment, CRM_PROJECT)


def server(
    site: Site, cluster: Cluster, image: Image, environment: Mapping[str, str], project: Project
) -> Container:
    """Return the container of a cluster."""
    address = site.address(cluster.service)
    conninfo = make_conninfo(host=address, port=PORT, user=SUPERUSER, dbname="postgres", connect_timeout=2)

    def answers() -> bool:
        return pq.PGconn.ping(conninfo.encode()) == pq.Ping.OK

    return Container(
        service=cluster.service,
        image=image,
        reference=image.tags[0],
        argv=(str(directory() / "postgres"), "-D", str(volume(site, cluster))),
        env={**environment, "PG_MAJOR": str(major()), "PGDATA": DATA},
        account=site.account("postgres"),
        address=address,
        ready=answers,
        ports=(PORT,),
        mounts=(Mount(cluster.volume, DATA, volume(site, cluster)),),
        health=lambda: None if answers() else f"{address}:{PORT} - no response",
        stop_signal=signal.SIGINT,
        project=project,
    )


def load(site: Site, files: Sequence[StoredFile] = ()) -> None:
    """Create the roles and the database, apply the CRM's schema and fill it.

    `acceptance_reader` may connect, read everything in schema public and see settings and statistics; its
    transactions are read-only unless it says otherwise.

    Raises:
        psycopg.Error: the server refuses a statement or a connection.
        OSError: the cluster was not initialised.
    """
    with psycopg.connect(superuser_dsn(site, "postgres"), autocommit=True) as connection:
        create_role(connection, OWNER, site.credentials.postgres_password)
        create_role(connection, READER, site.credentials.postgres_reader_password)
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(OWNER))
        )
        connection.execute(f"GRANT pg_read_all_settings, pg_read_all_stats TO {READER}")
        connection.execute(f"ALTER ROLE {READER} SET default_transaction_read_only = on")
        connection.execute(f"GRANT CONNECT ON DATABASE {DATABASE} TO {READER}")
    with psycopg.connect(owner_dsn(site)) as connection:
        connection.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {READER}")
    seed.load(
        owner_dsn(site),
        admin_email=site.credentials.admin_email,
        admin_password=site.credentials.admin_password,
        files=list(files),
    )


def set_intake_mails(site: Site, *, enabled: bool) -> None:
    """Have the CRM send the inquiry mails, or not, as its admin page does.

    Raises:
        psycopg.Error: the server refuses a statement or a connection.
    """
    with psycopg.connect(owner_dsn(site)) as connection:
        connection.execute(
            "update system_settings set value = to_jsonb(%s), updated_at = now() "
            "where key = 'website_intake_email_enabled' and value <> to_jsonb(%s)",
            (enabled, enabled),
        )


def make_manifest(site: Site, commit: str) -> None:
    """Write the manifest of what the CRM's migrations make, from a database that is dropped again.

    Raises:
        psycopg.Error: the server refuses a statement or a connection.
        OSError: the cluster was not initialised, or the file cannot be written.
    """
    with psycopg.connect(superuser_dsn(site, "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {_SCRATCH}")
        try:
            seed.migrate(superuser_dsn(site, _SCRATCH))
            schema_manifest.write(schema_manifest.make(superuser_dsn(site, _SCRATCH), commit), manifest(site))
        finally:
            connection.execute(f"DROP DATABASE {_SCRATCH}")


def manifest(site: Site) -> Path:
    """Return the path of the schema's manifest."""
    return site.root / "schema-manifest.json"


def superuser_dsn(site: Site, database: str = DATABASE, cluster: Cluster = CRM) -> str:
    """Return how to connect as the superuser; it holds the password, so never print it.

    Raises:
        OSError: the cluster was not initialised.
    """
    return dsn(site, SUPERUSER, _superuser_file(site, cluster).read_text(), database, cluster)


def owner_dsn(site: Site) -> str:
    """Return how to connect as the CRM does; it holds the password, so never print it."""
    return dsn(site, OWNER, site.credentials.postgres_password, DATABASE)


def reader_dsn(site: Site) -> str:
    """Return how to connect as the suite does; it holds the password, so never print it."""
    return dsn(site, READER, site.credentials.postgres_reader_password, DATABASE)


def dsn(site: Site, user: str, password: str, database: str, cluster: Cluster = CRM) -> str:
    """Return a connection string; never print it."""
    return make_conninfo(
        host=site.address(cluster.service),
        port=PORT,
        user=user,
        password=password,
        dbname=database,
        connect_timeout=5,
    )


def create_role(connection: psycopg.Connection[tuple[object, ...]], role: str, password: str) -> None:
    """Create a role that logs in; the server's log sees the password's verifier only.

    Raises:
        psycopg.Error: the server refuses it.
    """
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    connection.execute(
        sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier))
    )


def _superuser_file(site: Site, cluster: Cluster) -> Path:
    return site.secrets / f"{cluster.service}_superuser_password"


def _superuser_password(site: Site, cluster: Cluster) -> str:
    make_directory(site.secrets, mode=0o700)
    password = secrets.token_urlsafe(30)
    write(_superuser_file(site, cluster), password, mode=0o600)
    return password


def volume(site: Site, cluster: Cluster = CRM) -> Path:
    """Return the directory of a cluster's volume."""
    return site.root / "volumes" / cluster.volume


def _sockets(site: Site, cluster: Cluster) -> Path:
    return site.containers / cluster.service / "run"


def _major(directory: Path) -> int:
    digits = "".join(character for character in directory.parent.name if character.isdigit())
    return int(digits or 0)


def _locale() -> str:
    known = subprocess.run(["/usr/bin/locale", "-a"], capture_output=True, text=True, check=False).stdout
    return "C.UTF-8" if "c.utf8" in known.lower().replace("-", "") else "C"
