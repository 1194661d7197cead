"""How Node's PostgreSQL drivers print a failed query.

Seen on pg 8.23.1, postgres 3.4.9 and drizzle-orm 0.45.4 under Node 20.20.2. The values are those of
the server's real error; only the stack frames are made up.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psycopg

_INDENT = "    "
_PG_FRAMES = (
    "at /app/node_modules/pg-pool/index.js:45:11",
    "at process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
    "at async query (/app/server.js:1:4711)",
)
_POSTGRESJS_FRAMES = (
    "at ErrorResponse (/app/node_modules/postgres/src/connection.js:815:30)",
    "at handle (/app/node_modules/postgres/src/connection.js:489:6)",
    "at Socket.data (/app/node_modules/postgres/src/connection.js:324:9)",
    "at Socket.emit (node:events:524:28)",
    "at addChunk (node:internal/streams/readable:561:12)",
    "at readableAddChunkPushByteMode (node:internal/streams/readable:512:3)",
    "at Readable.push (node:internal/streams/readable:392:5)",
    "at TCP.onStreamRead (node:internal/stream_base_commons:191:23)",
    "at query (/app/server.js:1:4711)",
)
_DRIZZLE_FRAMES = (
    "at NodePgPreparedQuery.queryWithCache (/app/node_modules/drizzle-orm/pg-core/session.js:41:15)",
    "at process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
    "at async /app/node_modules/drizzle-orm/node-postgres/session.js:117:22",
    "at async query (/app/server.js:1:4711)",
)
_PG_NAMES = {
    "detail": "message_detail",
    "hint": "message_hint",
    "position": "statement_position",
    "internalPosition": "internal_position",
    "internalQuery": "internal_query",
    "where": "context",
    "schema": "schema_name",
    "table": "table_name",
    "column": "column_name",
    "dataType": "datatype_name",
    "constraint": "constraint_name",
    "file": "source_file",
    "line": "source_line",
    "routine": "source_function",
}


@dataclass(frozen=True)
class FailedQuery:
    """A query and the server's answer to it.

    Attributes:
        sql: the statement as the server saw it (`$1`).
        fields: severity, code and what else the server sent, under the names pg gives them;
            empty if no server answered.
    """

    sql: str
    params: Sequence[object]
    message: str
    fields: Mapping[str, str]

    @classmethod
    def of(cls, error: psycopg.Error, sql: str, params: Sequence[object]) -> FailedQuery:
        """Read a psycopg error's diagnostics."""
        diag = error.diag
        if diag.sqlstate is None:
            return cls(sql, params, str(error), {})
        values = {"severity": diag.severity_nonlocalized, "code": diag.sqlstate}
        values |= {name: getattr(diag, attribute) for name, attribute in _PG_NAMES.items()}
        fields = {name: value for name, value in values.items() if value is not None}
        return cls(sql, params, diag.message_primary or "", fields)

    @property
    def length(self) -> int:
        """Size in bytes of the server's ErrorResponse, which pg prints as `length`."""
        texts = [self.fields["severity"], self.message, *self.fields.values()]
        return 4 + sum(len(text.encode()) + 2 for text in texts) + 1


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    if "'" not in text:
        return f"'{escaped}'"
    if '"' not in text:
        return f'"{escaped}"'
    return "'" + escaped.replace("'", "\\'") + "'"


def _literal(value: object) -> str:
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _listed(values: Sequence[object]) -> str:
    return f"[ {', '.join(_literal(value) for value in values)} ]" if values else "[]"


def _block(head: str, frames: Sequence[str], properties: Mapping[str, str]) -> str:
    stack = "".join(f"\n{_INDENT}{frame}" for frame in frames)
    body = ",\n".join(f"  {name}: {value}" for name, value in properties.items())
    return f"{head}{stack} {{\n{body}\n}}"


def _pg_object(failed: FailedQuery) -> str:
    properties = {"length": str(failed.length)}
    for name in ("severity", "code", *_PG_NAMES):
        value = failed.fields.get(name)
        properties[name] = "undefined" if value is None else _quoted(value)
    return _block(f"error: {failed.message}", _PG_FRAMES, properties)


def _pg_message(failed: FailedQuery) -> str:
    return f"query failed: {failed.message}"


def _pg_json(failed: FailedQuery) -> str:
    return _json({"err": {"length": failed.length, "name": "error", **failed.fields}})


def _postgresjs_fields(failed: FailedQuery) -> dict[str, str]:
    return {"severity_local": failed.fields["severity"], **failed.fields}


def _postgresjs_object(failed: FailedQuery) -> str:
    properties = {name: _quoted(value) for name, value in _postgresjs_fields(failed).items()}
    return _block(f"PostgresError: {failed.message}", _POSTGRESJS_FRAMES, properties)


def _postgresjs_json(failed: FailedQuery) -> str:
    return _json({"err": {"name": "PostgresError", **_postgresjs_fields(failed)}})


def _drizzle_text(failed: FailedQuery) -> str:
    return f"Failed query: {failed.sql}\nparams: {','.join(str(value) for value in failed.params)}"


def _drizzle_object(failed: FailedQuery) -> str:
    cause = _pg_object(failed).replace("\n", "\n  ")
    properties = {"query": _quoted(failed.sql), "params": _listed(failed.params), "cause": cause}
    return _block(f"DrizzleQueryError: {_drizzle_text(failed)}", _DRIZZLE_FRAMES, properties)


def _drizzle_message(failed: FailedQuery) -> str:
    return f"failed: {_drizzle_text(failed)}"


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


WAYS: dict[str, Callable[[FailedQuery], str]] = {
    "pg-object": _pg_object,
    "pg-message": _pg_message,
    "pg-json": _pg_json,
    "postgresjs-object": _postgresjs_object,
    "postgresjs-json": _postgresjs_json,
    "drizzle-object": _drizzle_object,
    "drizzle-message": _drizzle_message,
}
"""The ways to log a failed query, by the name the knob `log` gives them."""


def render(failed: FailedQuery, way: str) -> str:
    """Return what the application prints; an unknown or blank way means `pg-object`."""
    if not failed.fields:
        return f"Error: {failed.message}"
    return WAYS.get(way, _pg_object)(failed)


def refused(host: str, port: int) -> str:
    """Return what pg prints when nobody listens at the database's address."""
    properties = {
        "errno": "-111",
        "code": "'ECONNREFUSED'",
        "syscall": "'connect'",
        "address": _quoted(host),
        "port": str(port),
    }
    return _block(f"Error: connect ECONNREFUSED {host}:{port}", _PG_FRAMES, properties)
