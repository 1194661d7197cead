"""What goes wrong with the database's schema, seeds, server and manifest."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, LiteralString

import psycopg

from rehearsal.faults import tools
from rehearsal.faults.base import Course, fault
from rehearsal.runtime.spec import Mount
from rehearsal.services import postgres
from rehearsal.site import APP, WORKER

if TYPE_CHECKING:
    from rehearsal.stack import Stack

_SCHEMA = ("schema", "containers", "logs")
"""When the app was started matters to all of them: reverting one changes the schema again."""


def _execute(stack: Stack, *statements: LiteralString) -> None:
    with psycopg.connect(postgres.superuser_dsn(stack.site), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def _restart_app(stack: Stack) -> None:
    stack.container(APP).recreate()


@fault(
    "schema-column-dropped",
    notice="nothing yet; the one page that needs the column fails",
    reddens=("schema.columns",),
    touches=_SCHEMA,
)
def column_dropped(stack: Stack) -> Course:
    """Drop a column that the stand-in never asks for, and restart the app."""
    _execute(stack, "alter table berths drop column updated_at")
    _restart_app(stack)
    yield
    _execute(stack, "alter table berths add column updated_at timestamptz not null default now()")
    _restart_app(stack)


@fault(
    "schema-table-dropped",
    notice="nothing yet; signing up fails",
    reddens=("schema.columns",),
    touches=_SCHEMA,
)
def table_dropped(stack: Stack) -> Course:
    """Move a table that the stand-in never asks for out of the schema, and restart the app."""
    _execute(stack, "create schema lost", "alter table verification set schema lost")
    _restart_app(stack)
    yield
    _execute(stack, "alter table lost.verification set schema public", "drop schema lost")
    _restart_app(stack)


@fault(
    "schema-column-type",
    notice="prices above 9999.99 cannot be saved",
    reddens=("schema.columns",),
    touches=_SCHEMA,
)
def column_type(stack: Stack) -> Course:
    """Let a column be narrower than the migrations make it, and restart the app."""
    _execute(stack, "alter table berths alter column width_m type numeric(7, 2)")
    _restart_app(stack)
    yield
    _execute(stack, "alter table berths alter column width_m type numeric(6, 2)")
    _restart_app(stack)


@fault(
    "schema-migrated-after-start",
    notice="after a migration some requests fail, until the app is restarted",
    reddens=("schema.restarted-after-change",),
    touches=_SCHEMA,
)
def migrated_after_start(stack: Stack) -> Course:
    """Add a column while the app runs."""
    _execute(stack, "alter table berths add column mooring text")
    yield
    _execute(stack, "alter table berths drop column mooring")
    _restart_app(stack)


@fault(
    "schema-cached-plan",
    notice="a query fails once in a while: cached plan must not change result type",
    reddens=("schema.restarted-after-change",),
    touches=_SCHEMA,
)
def cached_plan(stack: Stack) -> Course:
    """Provoke the server's error in a session of its own, on a temporary table."""
    with psycopg.connect(postgres.superuser_dsn(stack.site), autocommit=True) as connection:
        connection.execute("create temporary table plans (a integer)")
        connection.execute("prepare everything as select * from plans")
        connection.execute("execute everything")
        connection.execute("alter table plans add column b integer")
        try:
            connection.execute("execute everything")
        except psycopg.errors.FeatureNotSupported:
            time.sleep(0.1)
    yield
    _restart_app(stack)


@fault(
    "schema-change-untimed",
    notice="nothing; when the schema was changed cannot be told",
    touches=(*_SCHEMA, "database_settings"),
    blinds=True,
)
def change_untimed(stack: Stack) -> Course:
    """Run a server as the official image does, which keeps no commit times."""
    container = stack.container("postgres")
    before = container.spec
    container.recreate(replace(before, argv=(*before.argv, "-c", "track_commit_timestamp=off")))
    yield
    container.recreate(before)
    _restart_app(stack)


@fault(
    "schema-manifest-of-judged-database",
    notice="nothing; the manifest agrees with the database whatever is missing",
    touches=_SCHEMA,
    blinds=True,
)
def manifest_of_judged_database(stack: Stack) -> Course:
    """Let the manifest be of the database that is judged."""
    path = postgres.manifest(stack.site)
    with psycopg.connect(postgres.superuser_dsn(stack.site)) as connection:
        row = connection.execute("select oid::bigint from pg_database where datname = current_database()")
        ((oid,),) = row.fetchall()
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["identity"]["database_oid"] = oid
    with tools.replaced(path, json.dumps(manifest)):
        yield


@fault(
    "schema-manifest-of-other-commit",
    notice="nothing; columns of a newer commit are not asked for",
    touches=_SCHEMA,
    blinds=True,
)
def manifest_of_other_commit(stack: Stack) -> Course:
    """Let the manifest be of another commit than the deployed one."""
    path = postgres.manifest(stack.site)
    manifest = json.loads(path.read_text(encoding="utf-8"))
    with tools.replaced(path, json.dumps({**manifest, "commit": "0" * 40})):
        yield


@fault(
    "schema-manifest-missing",
    notice="nobody made a manifest for this commit",
    touches=_SCHEMA,
    blinds=True,
)
def manifest_missing(stack: Stack) -> Course:
    """Take the operator's manifest away."""
    with tools.moved_away(postgres.manifest(stack.site)):
        yield


@fault(
    "schema-wrong-major",
    notice="nothing, until the next pull brings a server that cannot read the volume",
    reddens=("schema.engine",),
    touches=_SCHEMA,
)
def wrong_major(stack: Stack) -> Course:
    """Declare another major, because there is only one to run; a target read before does not show it."""
    path = stack.target_file
    declared = path.read_text(encoding="utf-8")
    other = re.sub(r"^major = \d+$", f"major = {postgres.major() + 1}", declared, flags=re.MULTILINE)
    if other == declared:
        raise ValueError(f"{path.name} declares no major")
    with tools.replaced(path, other):
        yield


@fault(
    "schema-foreign-database",
    notice="nothing, until one application's upgrade stops the other",
    reddens=("schema.engine",),
    touches=_SCHEMA,
)
def foreign_database(stack: Stack) -> Course:
    """Put another application's database into the instance."""
    _execute(stack, "create database documenso")
    yield
    _execute(stack, "drop database documenso")


@fault(
    "schema-volume-shared",
    notice="nothing, until two servers write to one volume",
    reddens=("schema.engine",),
    touches=_SCHEMA,
)
def volume_shared(stack: Stack) -> Course:
    """Mount the database's volume into the worker's container too."""
    container = stack.container(WORKER)
    before = container.spec
    (data,) = stack.container("postgres").spec.mounts
    shared = Mount(data.volume, "/pgdata", data.source)
    container.recreate(replace(before, mounts=(*before.mounts, shared)))
    yield
    container.recreate(before)


@fault(
    "schema-no-port",
    notice="the app has nothing to show",
    reddens=("schema.seeded",),
    touches=_SCHEMA,
)
def no_port(stack: Stack) -> Course:
    """Empty the table of ports, past its foreign keys."""
    with psycopg.connect(postgres.superuser_dsn(stack.site), autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        kept = connection.execute("delete from ports returning id, name, slug, created_at").fetchall()
        yield
        connection.cursor().executemany(
            "insert into ports (id, name, slug, created_at) values (%s, %s, %s, %s)", kept
        )


@fault(
    "schema-no-admin",
    notice="nobody can let the first user in",
    reddens=("schema.seeded",),
    touches=_SCHEMA,
)
def no_admin(stack: Stack) -> Course:
    """Take the admin's role away."""
    _execute(stack, "update \"user\" set role = 'user' where role = 'admin'")
    yield
    _execute(stack, "update \"user\" set role = 'admin'")
