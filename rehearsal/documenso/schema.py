"""Documenso's schema at v1.13.1, made in one go.

The real one comes about through 140 migrations; what they leave is the same, with the rows of
`_prisma_migrations`.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from rehearsal.documenso import ddl
from rehearsal.documenso.versions import VERSIONS, migrations

FIRST = VERSIONS[0]
"""The version that is made in one go; later ones come from it through their migrations."""

_TABLES = Path(__file__).with_name("tables.txt")
_HISTORY = """
create table "_prisma_migrations" (
    id varchar(36) primary key,
    checksum varchar(64) not null,
    finished_at timestamptz,
    migration_name varchar(255) not null,
    logs text,
    rolled_back_at timestamptz,
    started_at timestamptz not null default now(),
    applied_steps_count integer not null default 0
)
"""
# Names and arguments are Documenso's, whose migration to organisations needs them; they stay.
_FUNCTIONS = """
create function generate_id() returns text language sql volatile as $$
    select string_agg(chr(97 + get_byte(bytes, place) % 26), '')
    from gen_random_bytes(16) bytes, generate_series(0, 15) place
$$;
create function generate_prefix_id(prefix text) returns text language sql volatile as $$
    select prefix || '_' || generate_id()
$$
"""
_RECORD = """
insert into "_prisma_migrations"
    (id, checksum, migration_name, started_at, finished_at, rolled_back_at, logs, applied_steps_count)
values (%s, %s, %s, %s, %s, %s, %s, %s)
"""
RETRIED = "20250522054050_add_organisations"
"""The migration that fails on most self-hosters' databases and is repeated by hand (documenso issue 1880)."""
_RETRIED_LOG = """A migration failed to apply.

Migration name: 20250522054050_add_organisations

Database error code: 23502

Database error:
ERROR: null value in column "organisationId" of relation "OrganisationGroup" violates not-null constraint
"""


def create(
    connection: psycopg.Connection[tuple[object, ...]],
    *,
    retried: bool = False,
    installed: datetime = datetime(2025, 10, 27, 8, 30, tzinfo=UTC),
) -> None:
    """Create the schema of v1.13.1 in an empty database, as one transaction.

    Args:
        connection: as the role that is to own everything. It may create extensions: it owns the database or
            has CREATE on it.
        retried: the history has a migration that failed, was marked as rolled back and applied again: 141
            rows of 140 names.
        installed: when the migrations ran.

    Raises:
        psycopg.Error: the database is not empty, or the role may not create something.
    """
    with connection.transaction():
        connection.execute("\n;".join(_statements()).encode())
        with connection.cursor() as cursor:
            cursor.executemany(_RECORD, _history(installed, retried=retried))


def _statements() -> list[str]:
    enumerations, tables = ddl.parse(_TABLES.read_text(encoding="utf-8"))
    return [
        "create extension if not exists pgcrypto",
        _HISTORY,
        _FUNCTIONS,
        *(ddl.enum(name, values) for name, values in enumerations.items()),
        *(table.create() for table in tables),
        *(statement for table in tables for statement in table.indexes()),
        *(statement for table in tables for statement in table.references()),
    ]


def _history(installed: datetime, *, retried: bool) -> Sequence[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    moment = installed
    for migration in migrations(FIRST):
        names = (migration.checksum, migration.name)
        if retried and migration.name == RETRIED:
            rows.append(
                (_id(moment, "failed"), *names, moment, None, moment + timedelta(minutes=9), _RETRIED_LOG, 0)
            )
            moment += timedelta(minutes=10)
        finished = moment + timedelta(milliseconds=7)
        rows.append((_id(moment, migration.name), *names, moment, finished, None, None, 1))
        moment = finished + timedelta(milliseconds=2)
    return rows


def _id(moment: datetime, name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{moment.isoformat()} {name}"))
