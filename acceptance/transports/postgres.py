"""PostgreSQL through an SSH tunnel to its container, or directly. Runs declared queries only, read-only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from acceptance.errors import RefusedError, UnavailableError
from acceptance.guard import queries
from acceptance.ledger import Ledger
from acceptance.sections.base import Endpoint
from acceptance.sections.database import Database as Settings

Identifiers = Mapping[str, Sequence[str]]
"""What a query's `{name}` stands for: the parts of a possibly qualified SQL identifier."""


def statement(name: str, identifiers: Identifiers | None = None) -> sql.Composed:
    """Return the query `acceptance/queries/<name>.sql`, with its identifiers quoted by psycopg.

    Raises:
        KeyError: there is no such query.
    """
    text = sql.SQL(queries.declared()[name].text)
    if not identifiers:
        return sql.Composed([text])
    return text.format(**{name: sql.Identifier(*parts) for name, parts in identifiers.items()})


class Database:
    """One database of the target.

    Args:
        tunnel: opens the tunnel and returns the local Unix socket's path.
        password: resolves the password when it is needed.
        of: whose it is; only queries for that one are sent.
        direct: where it is reached without a tunnel; None for through one.
    """

    def __init__(
        self,
        settings: Settings,
        tunnel: Callable[[], Awaitable[Path]],
        password: Callable[[], str],
        ledger: Ledger,
        *,
        of: str = queries.CRM,
        direct: Endpoint | None = None,
    ) -> None:
        self._settings = settings
        self._tunnel = tunnel
        self._password = password
        self._ledger = ledger
        self._of = of
        self._direct = direct
        self._connection: psycopg.AsyncConnection[dict[str, object]] | None = None
        self._connecting = asyncio.Lock()
        self._refusal: psycopg.Error | UnavailableError | None = None

    async def query(
        self, name: str, identifiers: Identifiers | None = None, /, **parameters: object
    ) -> list[dict[str, object]]:
        """Run the query `acceptance/queries/<name>.sql` and return its rows.

        Args:
            name: of the query.
            identifiers: names for the query's `{…}`; look them up in the catalogue first, because a name
                that does not exist leaves an error in the server's log.
            parameters: values for the query's `%(…)s`.

        Raises:
            RefusedError: there is no such query.
            UnavailableError: the database cannot be reached, or refuses the login or the query.
        """
        declared = queries.declared().get(name)
        if declared is None or declared.of != self._of:
            self._ledger.record("postgres", name, kind="refused", result="not declared")
            raise RefusedError(
                f"postgres: acceptance/queries has no query {name} for {self._of}; nothing was sent"
            )
        started = time.perf_counter()
        result = "no answer"
        try:
            connection = await self._connect()
            cursor = await connection.execute(statement(name, identifiers), parameters or None)
            rows = await cursor.fetchall()
            result = f"{len(rows)} rows"
        except psycopg.Error as error:
            result = _explain(error)
            raise UnavailableError(
                f"PostgreSQL, query {name}: {result}",
                f"check the database's address and the role {self._settings.user}",
            ) from error
        finally:
            self._ledger.record("postgres", name, seconds=time.perf_counter() - started, result=result)
        return rows

    async def _connect(self) -> psycopg.AsyncConnection[dict[str, object]]:
        """Return the run's one connection; a login that was refused is not tried again."""
        async with self._connecting:
            if self._refusal is not None:
                raise self._refusal
            if self._connection is None:
                try:
                    self._connection = await self._open()
                except (psycopg.Error, UnavailableError) as error:
                    self._refusal = error
                    raise
            return self._connection

    async def _open(self) -> psycopg.AsyncConnection[dict[str, object]]:
        if self._direct is not None:
            host, port = self._direct.address, self._direct.port
        else:
            host, port = str((await self._tunnel()).parent), self._settings.port
        return await psycopg.AsyncConnection.connect(
            host=host,
            port=port,
            dbname=self._settings.database,
            user=self._settings.user,
            password=self._password(),
            application_name="port-nimara-acceptance",
            connect_timeout=10,
            sslmode="disable",
            gssencmode="disable",
            autocommit=True,
            options="-c default_transaction_read_only=on -c statement_timeout=15000",
            row_factory=dict_row,
        )

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()


def _explain(error: psycopg.Error) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].removeprefix("FATAL:").strip()
