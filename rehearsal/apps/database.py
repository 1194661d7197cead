"""Queries to PostgreSQL, one short connection each, and the ones that must fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from rehearsal.apps import drivers

_CONNECT_TIMEOUT_S = 3


@dataclass(frozen=True)
class _Broken:
    sql: LiteralString
    params: tuple[object, ...] = ()


BROKEN: dict[str, _Broken] = {
    "column": _Broken('select "id", "colour" from "berths" where "berths"."id" = %s', (1,)),
    "alias": _Broken("select b.colour from berths b"),
    "insert": _Broken('insert into "berths" ("name", "colour") values (%s, %s)', ("Z9", "red")),
    "table": _Broken('select "id" from "moorings"'),
    "function": _Broken('select mooring_rank("id") from "berths"'),
    "type": _Broken('select "name"::mooring_kind from "berths"'),
}
"""Queries of a column, table, function or type that the schema does not have, by kind."""


class QueryFailedError(Exception):
    """A query failed; `text` is what a Node driver's error looks like, in the way the knob selects."""

    def __init__(self, text: str, code: str | None) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class Database:
    """The application's database; connecting is put off until a query needs it."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def rows(
        self, sql: LiteralString, params: Sequence[object] = (), *, way: str = ""
    ) -> list[dict[str, Any]]:
        """Run a statement and return its rows; none for a statement without a result.

        Args:
            sql: one statement with `%s` for each parameter.
            params: their values.
            way: how a failure is printed, one of `drivers.WAYS`.

        Raises:
            QueryFailedError: the server refused it or cannot be reached.
        """
        try:
            connection = await psycopg.AsyncConnection.connect(
                self._dsn, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S, row_factory=dict_row
            )
            async with connection:
                cursor = await connection.execute(sql, params)
                return await cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise QueryFailedError(self._printed(error, sql, params, way), error.sqlstate) from error

    async def provoke(self, kind: str, *, way: str) -> None:
        """Run the failing query of that kind.

        Raises:
            KeyError: there is no such kind.
            QueryFailedError: always, unless the schema has what the query names.
        """
        broken = BROKEN[kind]
        await self.rows(broken.sql, broken.params, way=way)

    def _printed(self, error: psycopg.Error, sql: str, params: Sequence[object], way: str) -> str:
        if error.sqlstate is None and "Connection refused" in str(error):
            address = conninfo_to_dict(self._dsn)
            return drivers.refused(str(address.get("host", "")), int(address.get("port") or 5432))
        return drivers.render(drivers.FailedQuery.of(error, _numbered(sql), params), way)


def _numbered(sql: str) -> str:
    first, *rest = sql.split("%s")
    return first + "".join(f"${number}{part}" for number, part in enumerate(rest, start=1))
