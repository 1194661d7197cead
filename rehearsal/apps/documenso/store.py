"""Documenso's database, asked as Prisma asks: by a few connections that are kept."""

from __future__ import annotations

import contextlib
import select
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Lock
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from rehearsal.apps.documenso.settings import DatabaseAddress

_CONNECT_TIMEOUT_S = 5
_KEPT = 5

Row = dict[str, Any]


class QueryError(Exception):
    """A query failed; worded as Prisma words it.

    Attributes:
        call: the Prisma call.
    """

    def __init__(self, call: str, reason: str) -> None:
        super().__init__(f"\nInvalid `prisma.{call}()` invocation:\n\n\n{reason}")
        self.call = call


class Transaction:
    """Statements on one connection."""

    def __init__(self, connection: psycopg.Connection[DictRow], named: str) -> None:
        self._connection = connection
        self._named = named

    def rows(
        self, statement: sql.Composed | LiteralString, *params: object, call: str = "$queryRaw"
    ) -> list[Row]:
        """Run a statement and return its rows; none for a statement without a result.

        Args:
            statement: with `%s` for each parameter.
            params: their values.
            call: the Prisma call that this stands for.

        Raises:
            QueryError: the server refused it or went away.
        """
        try:
            cursor = self._connection.execute(statement, params)
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise QueryError(call, _reason(error, self._named)) from error

    def first(
        self, statement: sql.Composed | LiteralString, *params: object, call: str = "$queryRaw"
    ) -> Row | None:
        """Run a statement and return its first row, None if it has none.

        Args:
            statement: with `%s` for each parameter.
            params: their values.
            call: the Prisma call that this stands for.

        Raises:
            QueryError: the server refused it or went away.
        """
        rows = self.rows(statement, *params, call=call)
        return rows[0] if rows else None

    def insert(self, table: LiteralString, values: Row) -> Row:
        """Add a row and return all of it.

        Raises:
            QueryError: the server refused it or went away.
        """
        statement = sql.SQL("insert into {} ({}) values ({}) returning *").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join([sql.Placeholder()] * len(values)),
        )
        return self.rows(statement, *values.values(), call=f"{table[0].lower()}{table[1:]}.create")[0]

    def update(self, table: LiteralString, identity: object, values: Row) -> None:
        """Change the row with that id.

        Raises:
            QueryError: the server refused it or went away.
        """
        assignments = [sql.SQL("{} = %s").format(sql.Identifier(name)) for name in values]
        statement = sql.SQL("update {} set {} where id = %s").format(
            sql.Identifier(table), sql.SQL(", ").join(assignments)
        )
        self.rows(statement, *values.values(), identity, call=f"{table[0].lower()}{table[1:]}.update")


class Store:
    """The database; the first query connects, and what is not needed any more waits for the next."""

    def __init__(self, address: DatabaseAddress) -> None:
        self._address = address
        self._idle: list[psycopg.Connection[DictRow]] = []
        self._lock = Lock()

    @contextlib.contextmanager
    def transaction(self, call: str = "$transaction") -> Iterator[Transaction]:
        """Open a transaction; it is rolled back if the block raises.

        Args:
            call: the Prisma call that a failing connection is blamed on.

        Raises:
            QueryError: the server cannot be reached, or a statement fails.
        """
        connection = self._taken(call)
        try:
            with connection.transaction():
                yield Transaction(connection, self._address.named)
        except psycopg.Error as error:
            raise QueryError(call, _reason(error, self._address.named)) from error
        finally:
            self._give_back(connection)

    def rows(
        self, statement: sql.Composed | LiteralString, *params: object, call: str = "$queryRaw"
    ) -> list[Row]:
        """Run one statement in a transaction of its own and return its rows.

        Raises:
            QueryError: the server cannot be reached or refuses it.
        """
        with self.transaction(call) as transaction:
            return transaction.rows(statement, *params, call=call)

    def _taken(self, call: str) -> psycopg.Connection[DictRow]:
        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if _alive(connection):
                    return connection
                connection.close()
        address = self._address
        try:
            return psycopg.connect(
                host=address.host,
                port=address.port,
                user=address.user,
                password=address.password,
                dbname=address.name,
                connect_timeout=_CONNECT_TIMEOUT_S,
                application_name="",
                autocommit=True,
                prepare_threshold=None,
                row_factory=dict_row,
            )
        except psycopg.Error as error:
            raise QueryError(call, _reason(error, address.named)) from error

    def _give_back(self, connection: psycopg.Connection[DictRow]) -> None:
        with self._lock:
            if not connection.closed and len(self._idle) < _KEPT:
                self._idle.append(connection)
                return
        connection.close()


def now() -> datetime:
    """Return the time as the tables have it: UTC without a zone, in milliseconds."""
    moment = datetime.now(UTC).replace(tzinfo=None)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def iso(moment: datetime | None) -> str | None:
    """Return a time of a table as JSON has it."""
    return moment.isoformat(timespec="milliseconds") + "Z" if moment else None


def _alive(connection: psycopg.Connection[DictRow]) -> bool:
    """A server that says something to an idle connection says good-bye."""
    return not connection.closed and not select.select([connection.fileno()], [], [], 0)[0]


def _reason(error: psycopg.Error, place: str) -> str:
    if error.sqlstate == "42703":
        return "The column `(not available)` does not exist in the current database."
    if error.sqlstate == "42P01":
        return "The table `(not available)` does not exist in the current database."
    if error.sqlstate is None or error.sqlstate.startswith(("57P", "08")):
        return f"Can't reach database server at {place}"
    return str(error.diag.message_primary)
