"""The columns that a commit of the CRM needs, as read from a database that its migrations just made."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psycopg
from psycopg.rows import dict_row
from pydantic import Field, ValidationError

from acceptance.errors import UnavailableError, UsageError
from acceptance.facts.base import Fact
from acceptance.secrets import Redactor, Secrets
from acceptance.transports.postgres import statement

HOW_TO_MAKE = (
    "make one from a freshly migrated database: `acceptance schema manifest --dsn env:NAME --commit SHA "
    "--output FILE`, then set database_schema.manifest in the target file (docs/operator-guide.md)"
)
IDENTITY = "schema_identity"
COLUMNS = "schema_columns"
SHORTEST_COMMIT = 7
"""Digits of an abbreviated commit that still name it."""


class Identity(Fact):
    """Which database it is.

    Attributes:
        system_identifier: of the instance, made by initdb; copies of its files share it.
        database_oid: of the database within the instance; never given twice.
    """

    server_version: str
    system_identifier: str
    database: str
    database_oid: int


class Table(Fact):
    """A table or view.

    Attributes:
        oid: within its database; a database made with this one as its template has the same.
        columns: type and nullability by name, in order (`text, not null`).
    """

    oid: int
    columns: dict[str, str]


Tables = dict[str, Table]
"""Tables by qualified name (`public.ports`)."""


class Manifest(Fact):
    """What a commit's migrations make.

    Attributes:
        commit: the commit whose migrations were applied, at least seven digits of it.
        host: where the database was, as its maker reached it.
        identity: of the database it was read from, so that nobody judges a database by itself.
    """

    manifest_version: Literal[1] = 1
    commit: str = Field(pattern=rf"^[0-9a-f]{{{SHORTEST_COMMIT},64}}$")
    made_at: datetime
    host: str
    identity: Identity
    tables: Tables = Field(min_length=1)

    @property
    def origin(self) -> str:
        """Where it comes from, in a few words."""
        return (
            f"freshly migrated database {self.identity.database} on {self.host}, "
            f"system identifier {self.identity.system_identifier}, "
            f"commit {self.commit}, {self.made_at:%Y-%m-%d %H:%M} UTC"
        )

    @property
    def extent(self) -> str:
        """How much it names."""
        columns = sum(len(table.columns) for table in self.tables.values())
        return f"{columns} columns of {len(self.tables)} tables"

    def is_for(self, commit: str) -> bool:
        """Return True if it was made for that commit; either may be abbreviated."""
        commit = commit.lower()
        shorter = min(len(commit), len(self.commit))
        return shorter >= SHORTEST_COMMIT and commit[:shorter] == self.commit[:shorter]

    def was_read_from(self, identity: Identity, tables: Tables) -> bool:
        """Return True if it was read from that database or from a copy made inside its instance."""
        if self.identity.system_identifier != identity.system_identifier:
            return False
        return self.identity.database_oid == identity.database_oid or any(
            name in tables and tables[name].oid == table.oid for name, table in self.tables.items()
        )


def identity_of(row: Mapping[str, object]) -> Identity:
    """Turn a row of the query `schema_identity` into the database's identity; pure."""
    return Identity.model_validate({name: row[name] for name in Identity.model_fields})


def tables_of(rows: Iterable[Mapping[str, object]], schemas: Sequence[str] = ()) -> Tables:
    """Turn the rows of the query `schema_columns` into tables, of all schemas or of the named ones; pure."""
    found: Tables = {}
    for row in rows:
        if schemas and row["schema"] not in schemas:
            continue
        table = found.setdefault(
            f"{row['schema']}.{row['table']}", Table.model_validate({"oid": row["oid"], "columns": {}})
        )
        nullability = "not null" if row["not_null"] else "may be null"
        table.columns[str(row["column"])] = f"{row['type']}, {nullability}"
    return found


def read(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        UnavailableError: there is none, or the file is something else.
    """
    try:
        return Manifest.model_validate_json(path.expanduser().read_bytes())
    except FileNotFoundError as error:
        raise UnavailableError(f"there is no schema manifest {path}", HOW_TO_MAKE) from error
    except OSError as error:
        raise UnavailableError(f"the schema manifest {path} cannot be read ({error.strerror})") from error
    except ValidationError as error:
        (first, *_) = error.errors(include_input=False, include_url=False)
        place = ".".join(map(str, first["loc"])) or "file"
        raise UnavailableError(
            f"{path} is not a schema manifest of version 1 ({place}: {first['msg']})", HOW_TO_MAKE
        ) from error


def make(dsn: str, commit: str, schemas: Sequence[str] = ("public",)) -> Manifest:
    """Read a manifest's content from a freshly migrated database; nothing but the catalogue is asked.

    Args:
        dsn: how to connect; any role will do.
        commit: whose migrations were applied.
        schemas: whose tables to name; a migration tool's own bookkeeping is best left out.

    Raises:
        UsageError: the commit is none, or there is no table in those schemas.
        psycopg.Error: the database cannot be reached, or refuses.
    """
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST_COMMIT},64}}", commit):
        raise UsageError(f"--commit {commit}: give the commit's hexadecimal digits, best all of them.")
    with psycopg.connect(
        dsn,
        autocommit=True,
        row_factory=dict_row,
        application_name="port-nimara-acceptance",
        connect_timeout=10,
        options="-c default_transaction_read_only=on -c statement_timeout=15000",
    ) as connection:
        (identity,) = connection.execute(statement(IDENTITY)).fetchall()
        tables = tables_of(connection.execute(statement(COLUMNS)).fetchall(), schemas)
        host = connection.info.host or "this machine"
    if not tables:
        raise UsageError(
            f"database {identity['database']}: no table in schema {', '.join(schemas)}; migrate it first."
        )
    return Manifest(
        commit=commit,
        made_at=datetime.now(UTC).replace(microsecond=0),
        host=host,
        identity=identity_of(identity),
        tables=tables,
    )


def write(manifest: Manifest, path: Path) -> None:
    """Write a manifest to a new file, which is either whole or not there.

    Raises:
        UsageError: the file exists already, or cannot be written.
    """
    if path.exists():
        raise UsageError(f"{path}: it exists already; name a new file.")
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
        draft.rename(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise UsageError(f"{path}: cannot be written ({error.strerror}).") from error


def produce(dsn: str, commit: str, schemas: Sequence[str], output: Path) -> Manifest:
    """Make a manifest and write it; what the command line does.

    Args:
        dsn: a secret reference, because a connection string may hold a password.
        commit: whose migrations were applied.
        schemas: whose tables to name.
        output: a new file.

    Raises:
        UsageError: any of the arguments is wrong, or the database cannot be asked.
    """
    if not re.match(r"(env|file|cmd):\S", dsn):
        raise UsageError("--dsn: give a reference (env:NAME, file:PATH or cmd:COMMAND), never the value.")
    redactor = Redactor()
    try:
        manifest = make(Secrets(redactor).resolve(dsn), commit, schemas)
    except UnavailableError as error:
        raise UsageError(f"--dsn: {error.reason}; {error.remedy}.") from error
    except psycopg.Error as error:
        message = redactor.clean(" ".join(str(error).split()))
        raise UsageError(f"--dsn {dsn}: the database cannot be asked ({message}).") from error
    write(manifest, output)
    return manifest
