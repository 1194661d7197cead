"""The CRM's database as its catalogue describes it: which one it is, its columns, its last change, its seeds.

Nothing of the CRM's own is asked for before the catalogue showed that it is there: a query of a missing
column would leave in the server's log the very error that another check looks for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from acceptance import schema_manifest
from acceptance.errors import UnavailableError
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known
from acceptance.facts.containers import REVISION_LABEL, Containers, nanoseconds
from acceptance.schema_manifest import COLUMNS, HOW_TO_MAKE, IDENTITY, Identity, Manifest, Tables

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.target import Target

CHANGES = "schema_changes"
READABLE = "table_readable"
MAINTENANCE = "postgres"
"""The database that initdb makes for administrators to connect to; it belongs to every instance."""
CHECKPOINT_BEGINS = timedelta(seconds=2)
"""A checkpoint's time is cut to whole seconds and taken just before it lists the running transactions."""

T = TypeVar("T")


class LastChange(Fact):
    """What the catalogue tells about when the schema was last changed, by the server's clock.

    An age is a number of transactions, 1 for the newest; the greater, the older.

    Attributes:
        tracked: True if the server keeps commit times (`track_commit_timestamp`).
        newest_age: of the newest row about a column, default, constraint or type; None without any.
        newest_committed_at: when that row was committed; None if the server does not know any more.
        committed_at: the latest such time of all rows.
        server_started_at: since when the server runs, and its settings of that kind with it.
        horizon_age: of the oldest transaction that any database may still hold unfrozen; commit times
            of older ones are discarded.
        active_known: True if checkpoints list running transactions (`wal_level` is not `minimal`).
        checkpoint_at: when the last checkpoint began, cut to whole seconds.
        checkpoint_next_age: of the first transaction that came after it.
        checkpoint_active_age: of the oldest transaction that ran then; None if none could, because
            the server was being shut down.
    """

    tracked: bool
    newest_age: int | None
    newest_committed_at: datetime | None
    committed_at: datetime | None
    server_started_at: datetime
    horizon_age: int
    active_known: bool
    checkpoint_at: datetime
    checkpoint_next_age: int
    checkpoint_active_age: int | None

    @property
    def source(self) -> Source:
        """Where it was read."""
        return _source("catalogue rows of the CRM's database", CHANGES)

    @property
    def not_after(self) -> tuple[datetime, str] | None:
        """Return a time by which the last change was certainly committed, and how that is known."""
        if self.newest_age is None:
            return None
        if self.tracked and self.committed_at is not None and self.newest_committed_at is not None:
            return self.committed_at, "its commit time, which the server tracks"
        if self.tracked and self.newest_age < self.horizon_age:
            return self.server_started_at, "no commit time, so it is older than the server's start"
        active = self.checkpoint_active_age
        settled = self.checkpoint_next_age if active is None else active
        if self.active_known and self.newest_age > settled:
            return self.checkpoint_at + CHECKPOINT_BEGINS, "its transaction had ended at the last checkpoint"
        return None

    @property
    def not_before(self) -> tuple[datetime, str] | None:
        """Return a time before which the last change was certainly not committed, and how that is known."""
        if self.newest_age is None:
            return None
        if self.tracked and self.committed_at is not None and self.newest_committed_at is not None:
            return self.committed_at, "its commit time, which the server tracks"
        if self.newest_age <= self.checkpoint_next_age:
            return self.checkpoint_at, "its transaction began after the last checkpoint"
        return None

    def precedes(self, moment: datetime) -> tuple[bool, str]:
        """Tell whether the last change was committed before a moment, and by which witness.

        Raises:
            UnavailableError: the catalogue does not tell.
        """
        if self.not_after is not None and self.not_after[0] < moment:
            return True, f"changed not after {_shown(self.not_after[0])} ({self.not_after[1]})"
        if self.not_before is not None and self.not_before[0] >= moment:
            return False, f"changed not before {_shown(self.not_before[0])} ({self.not_before[1]})"
        if self.newest_age is None:
            raise UnavailableError("the database has no table of its own, so nothing tells when it changed")
        raise UnavailableError(
            f"nothing tells whether the schema changed before or after {_shown(moment)}: "
            f"{'the commit time is lost' if self.tracked else 'track_commit_timestamp is off'}, and the last "
            f"checkpoint, at {_shown(self.checkpoint_at)}, does not separate them",
            "with approval: `checkpoint` in psql, wait three seconds, restart crm-app, and run again before "
            "the next checkpoint (checkpoint_timeout, five minutes unless changed); for good: turn "
            "track_commit_timestamp on",
        )


class Rows(Fact):
    """How many rows a seeded table has.

    Attributes:
        table: its qualified name.
        key: which of the seeds it is: ports, admins.
        missing: the table or column that does not exist; empty if all is there.
        total: all rows. matching: those that count.
    """

    table: str
    key: str
    missing: str = ""
    total: int = 0
    matching: int = 0

    @property
    def source(self) -> Source:
        """Where they were counted."""
        return _source(f"table {self.table} of the CRM's database", f"seed_{self.key}")

    @property
    def described(self) -> str:
        """What was found."""
        if self.missing:
            return f"{self.missing} does not exist"
        return f"{self.matching} of {self.total} rows in {self.table}"


class Schema(Fact):
    """The database, its columns and its manifest.

    Attributes:
        databases: of the instance, without templates.
        manifest: what should be there.
    """

    identity: Identity
    server_version_num: int
    databases: tuple[str, ...]
    tables: Attempt[Tables]
    last_change: Attempt[LastChange]
    manifest: Attempt[Manifest]
    ports: Attempt[Rows]
    admins: Attempt[Rows]

    @property
    def source(self) -> Source:
        """Where the instance was asked."""
        return _source(f"database {self.identity.database}", IDENTITY)

    @property
    def columns_source(self) -> Source:
        """Where the columns were read."""
        return _source(f"pg_attribute of database {self.identity.database}", COLUMNS)

    @property
    def major(self) -> int:
        """The server's major version."""
        return self.server_version_num // 10000

    def others(self, database: str) -> tuple[str, ...]:
        """Name the databases of the instance that are neither that one nor the administrators'."""
        return tuple(name for name in self.databases if name not in (database, MAINTENANCE))

    def manifest_for(self, commit: str) -> Manifest:
        """Return the manifest if it can judge this database.

        Raises:
            UnavailableError: there is none, it was made from this very database or for another
                commit, or the columns could not be read.
        """
        manifest = known(self.manifest)
        if manifest.was_read_from(self.identity, known(self.tables)):
            raise UnavailableError(
                f"the schema manifest was made from the judged database itself ({manifest.origin}), "
                "so it cannot show that anything is missing",
                HOW_TO_MAKE,
            )
        if not manifest.is_for(commit):
            raise UnavailableError(
                f"the schema manifest is for commit {manifest.commit}, deployed is {commit}", HOW_TO_MAKE
            )
        return manifest

    def missing(self, manifest: Manifest) -> tuple[str, ...]:
        """Name the tables and columns of the manifest that the database does not have.

        Raises:
            UnavailableError: the columns could not be read.
        """
        tables = known(self.tables)
        absent = [f"table {name}" for name in manifest.tables if name not in tables]
        incomplete = [
            f"{name}.{column}"
            for name, wanted in manifest.tables.items()
            if name in tables
            for column in wanted.columns
            if column not in tables[name].columns
        ]
        return (*absent, *incomplete)

    def different(self, manifest: Manifest) -> tuple[str, ...]:
        """Name the columns whose type or nullability is another than in the manifest.

        Raises:
            UnavailableError: the columns could not be read.
        """
        tables = known(self.tables)
        return tuple(
            f"{name}.{column} is {tables[name].columns[column]}, should be {definition}"
            for name, wanted in manifest.tables.items()
            if name in tables
            for column, definition in wanted.columns.items()
            if tables[name].columns.get(column, definition) != definition
        )


def deployed_commit(containers: Containers, target: Target) -> str:
    """Return the commit that runs: what the application's image says, else what the target file says.

    Raises:
        UnavailableError: neither says anything.
    """
    service = target.compose.of_kind("app").name
    commit = containers.image_of(service).revision or target.compose.commit
    if not commit:
        raise UnavailableError(
            f"nothing says which commit is deployed: no label {REVISION_LABEL} on the image of {service}",
            "set compose.commit in the target file",
        )
    return commit


def started_at(containers: Containers, service: str) -> datetime:
    """Return when a running service was started, in UTC, cut to microseconds.

    Raises:
        UnavailableError: it does not run.
    """
    whole, rest = divmod(nanoseconds(containers.running(service).started_at), 1_000_000_000)
    return datetime.fromtimestamp(whole, tz=UTC).replace(microsecond=rest // 1000)


def _shown(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _source(where: str, query: str) -> Source:
    return Source(where=where, again=f"psql -f acceptance/queries/{query}.sql")


async def _attempt(look: Awaitable[T]) -> Known[T] | Unavailable:
    try:
        return Known(value=await look)
    except UnavailableError as error:
        return Unavailable.of(error)


async def _tables(access: Access) -> Tables:
    return schema_manifest.tables_of(await access.postgres.query(COLUMNS))


async def _last_change(access: Access) -> LastChange:
    (row,) = await access.postgres.query(CHANGES)
    return LastChange.model_validate(row)


async def _manifest(access: Access) -> Manifest:
    path = access.target.database_schema.manifest
    if path is None:
        raise UnavailableError("the target file names no schema manifest", HOW_TO_MAKE)
    return await asyncio.to_thread(schema_manifest.read, Path(path))


async def _ports(access: Access, tables: Attempt[Tables]) -> Rows:
    return await _Seeded(access, "ports", access.target.database_schema.ports).rows(known(tables))


async def _admins(access: Access, tables: Attempt[Tables]) -> Rows:
    admins = access.target.database_schema.admins
    return await _Seeded(access, "admins", admins.table, admins.column, admins.values).rows(known(tables))


@dataclass(frozen=True)
class _Seeded:
    """Rows that the seed must have made: in which table, and with which values in which column."""

    access: Access
    key: str
    declared: str
    column: str | None = None
    values: tuple[str, ...] = ()

    @property
    def _parts(self) -> tuple[str, str]:
        schema, _, name = self.declared.rpartition(".")
        return schema or "public", name

    @property
    def _table(self) -> str:
        return ".".join(self._parts)

    @property
    def _is_assumed(self) -> bool:
        return self.access.target.is_assumed(f"database_schema.{self.key}")

    @property
    def _correction(self) -> str:
        return f"correct database_schema.{self.key} in the target file"

    async def rows(self, tables: Tables) -> Rows:
        """Count them, once the catalogue has shown that everything named exists.

        Raises:
            UnavailableError: the table may not be read, or what is only assumed is not there.
        """
        wanted = f"column {self._table}.{self.column}" if self.column else f"table {self._table}"
        found = tables.get(self._table)
        if found is None or self.column not in (None, *found.columns):
            if self._is_assumed:
                raise UnavailableError(f"assumed name not found: {wanted}", self._correction)
            return Rows(table=self._table, key=self.key, missing=wanted)
        await self._require_readable(found.oid)
        rows = Rows.model_validate({"table": self._table, "key": self.key, **await self._counts()})
        if self._is_assumed and self.column and rows.total and not rows.matching:
            raise UnavailableError(
                f"assumed values not found: none of the {rows.total} rows of {self._table} has "
                f"{self.column} {' or '.join(self.values)}",
                self._correction,
            )
        return rows

    async def _require_readable(self, oid: int) -> None:
        (row,) = await self.access.postgres.query(READABLE, oid=oid, column=self.column)
        if not row["readable"]:
            raise UnavailableError(
                f"the role {self.access.target.postgres.user} may not read all rows of {self._table}",
                f"grant it select on {self._table}",
            )

    async def _counts(self) -> dict[str, object]:
        identifiers = {"table": self._parts} | ({"column": (self.column,)} if self.column else {})
        (row,) = await self.access.postgres.query(f"seed_{self.key}", identifiers, values=list(self.values))
        return row


async def collect(access: Access) -> Schema:
    """Ask the catalogue, then count the seeded rows.

    Raises:
        UnavailableError: the database cannot be asked.
    """
    (row,) = await access.postgres.query(IDENTITY)
    tables = await _attempt(_tables(access))
    return Schema.model_validate(
        {
            "identity": schema_manifest.identity_of(row),
            "server_version_num": row["server_version_num"],
            "databases": row["databases"],
            "tables": tables,
            "last_change": await _attempt(_last_change(access)),
            "manifest": await _attempt(_manifest(access)),
            "ports": await _attempt(_ports(access, tables)),
            "admins": await _attempt(_admins(access, tables)),
        }
    )


NOUN = Noun("schema", Schema, collect, sources=("postgres", "manifest"), needs=("containers",))
