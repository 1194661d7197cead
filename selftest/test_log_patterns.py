"""How errors look in logs: everything that was recorded, and what only looks like it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acceptance.facts.log_patterns import (
    EXCERPT_LENGTH,
    Dialect,
    ErrorKind,
    Scanner,
    classify,
    excerpt,
)

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "recordings" / "peers" / "node-postgres-errors.json").read_text(encoding="utf-8")
)
SERVER: dict[str, Any] = RECORDED["postgres_server_log"]
COLUMN, TABLE = ErrorKind.UNDEFINED_COLUMN, ErrorKind.UNDEFINED_TABLE


def _events(text: str, dialect: Dialect = "application") -> list[ErrorKind]:
    scanner = Scanner(dialect)
    return [kind for line in text.splitlines() for kind in sorted(scanner.feed(line))]


NODE = {
    "pg-caught": [COLUMN],
    "pg-console-message": [COLUMN, COLUMN, COLUMN],
    "pg-unhandled": [COLUMN, ErrorKind.UNHANDLED_REJECTION],
    "pg-hint": [COLUMN],
    "pg-table": [TABLE],
    "pg-insert": [COLUMN],
    "pg-refused": [ErrorKind.CONNECTION_REFUSED],
    "pg-plan": [ErrorKind.CACHED_PLAN],
    "postgres-caught": [COLUMN],
    "postgres-console-message": [COLUMN, COLUMN, COLUMN],
    "postgres-debug": [COLUMN],
    "postgres-unhandled": [ErrorKind.UNHANDLED_REJECTION, COLUMN],
    "postgres-hint": [COLUMN],
    "postgres-refused": [ErrorKind.CONNECTION_REFUSED],
    "postgres-plan": [],
    "drizzle-pg": [COLUMN],
    "drizzle-postgres-js": [COLUMN],
    "drizzle-message-only": [COLUMN],
}
"""Recorded print of a Node driver → the events in it."""


@pytest.mark.parametrize("case", RECORDED["cases"])
def test_what_node_drivers_print(case: str) -> None:
    assert _events(RECORDED["cases"][case]["stderr"]) == NODE[case]


def test_drizzles_message_alone_cannot_be_told_from_any_failed_query() -> None:
    message = RECORDED["cases"]["drizzle-message-only"]["stderr"].splitlines()[:2]
    assert _events("\n".join(message)) == []


def test_a_production_build_of_next_prints_three_columns_and_a_rejection() -> None:
    expected = [COLUMN, COLUMN, COLUMN, ErrorKind.UNHANDLED_REJECTION]
    assert _events(RECORDED["next_16_standalone_stderr"]) == expected
    assert _events(RECORDED["next_16_standalone_stdout"]) == []


@pytest.mark.parametrize(
    ("format_", "events"),
    [
        ("default (log_line_prefix = %m [%p] )", [COLUMN]),
        ("log_line_prefix '%m [%p] %q%u@%d %e '", [COLUMN]),
        ("log_error_verbosity=verbose", [COLUMN]),
        ("log_error_verbosity=terse", [COLUMN]),
        ("log_min_error_statement=panic", [COLUMN]),
        ("log_min_messages=fatal", []),
        ("csvlog", [COLUMN]),
        ("jsonlog", [ErrorKind.CACHED_PLAN]),
    ],
)
def test_every_format_of_the_servers_log(format_: str, events: list[ErrorKind]) -> None:
    lines = SERVER[format_]
    text = (
        "\n".join(lines)
        if isinstance(lines, list)
        else lines
        if isinstance(lines, str)
        else json.dumps(lines)
    )
    assert _events(text, "postgres") == events


@pytest.mark.parametrize(
    ("code", "message"),
    [(code, message) for code, messages in SERVER["message variants, 15.20"].items() for message in messages],
)
def test_every_message_in_every_place(code: str, message: str) -> None:
    kinds = {
        "42703": COLUMN,
        "42P01": TABLE,
        "42883": ErrorKind.UNDEFINED_FUNCTION,
        "42704": ErrorKind.UNDEFINED_TYPE,
        "0A000": ErrorKind.CACHED_PLAN,
    }
    expected = {kinds[code]}
    stamp = "2026-11-23 16:26:04.454 UTC [19216] "
    assert classify(f"{stamp}ERROR:  {message} at character 8", "postgres") == expected
    assert classify(f"{stamp}crm@crm {code} ERROR:  {message}", "postgres") == expected
    assert classify(f"{stamp}ERROR:  {code}: {message}", "postgres") == expected
    as_json = json.dumps({"error_severity": "ERROR", "state_code": code, "message": message})
    assert classify(as_json, "postgres") == expected
    assert classify(f"PostgresError: {message}", "application") == expected
    assert classify(f"\x1b[31merror\x1b[39m: {message}", "application") == expected
    assert classify(json.dumps({"level": 50, "msg": message}), "application") == expected
    nested = json.dumps({"msg": "failed", "err": json.dumps({"message": message})})
    assert classify(nested, "application") == expected


def test_a_translated_server_is_understood_by_its_code() -> None:
    message = "Spalte »colour« existiert nicht"
    assert classify(f"2026 UTC [1] 42703 FEHLER:  {message}", "postgres") == {COLUMN}
    assert classify(f"2026 UTC [1] FEHLER:  42703: {message}", "postgres") == {COLUMN}
    assert classify(f"2026 UTC [1] FEHLER:  {message}", "postgres") == frozenset()


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-23 16:26:04.454 UTC [1] STATEMENT:  select 42703, 'column \"x\" does not exist'",
        "2026-11-23 16:26:04.454 UTC [1] 42601 STATEMENT:  select 'ERROR:  column \"x\" does not exist'",
        '2026-11-23 16:26:04.454 UTC [42703] ERROR:  syntax error at or near "from"',
        "2026-11-23 16:26:04.454 UTC [1] LOG:  statement: select 'column \"x\" does not exist'",
        '2026-11-23 16:26:04.454 UTC [1] DETAIL:  Key (plz)=(42703) is not present in table "places".',
        '2026-11-23 16:26:04.454 UTC [1] ERROR:  invalid input: "column "x" does not exist"',
        '\t  -- ERROR:  column "x" does not exist',
        json.dumps({"error_severity": "LOG", "message": 'column "x" does not exist', "state_code": "00000"}),
        json.dumps({"error_severity": "ERROR", "state_code": "42601", "statement": '{"state_code":"42703"}'}),
    ],
)
def test_what_is_no_error_in_the_servers_log(line: str) -> None:
    assert classify(line, "postgres") == frozenset()


@pytest.mark.parametrize(
    "line",
    [
        "GET /api/berths/42703 200 3 ms",
        '{"berthId":42703,"msg":"berth saved"}',
        '{"postcode":"42703","city":"Remscheid"}',
        "  code: 42703,",
        'The column "Phone" does not exist in the uploaded file.',
        "that column name does not exist",
        "file types.d.ts does not exist",
        "listening for unhandledRejection and uncaughtException",
        "Failed query: select 1",
        "✓ Ready in 812ms",
    ],
)
def test_what_is_no_error_in_an_applications_log(line: str) -> None:
    assert classify(line, "application") == frozenset()


@pytest.mark.parametrize(
    ("line", "dialect", "kind"),
    [
        ("⨯ unhandledRejection: Error: late", "application", ErrorKind.UNHANDLED_REJECTION),
        ('{"level":60,"msg":"Unhandled rejection"}', "application", ErrorKind.UNHANDLED_REJECTION),
        ("(node:1) UnhandledPromiseRejectionWarning: x", "application", ErrorKind.UNHANDLED_REJECTION),
        (
            "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
            "application",
            ErrorKind.OUT_OF_MEMORY,
        ),
        ("2026 UTC [1] ERROR:  out of memory", "postgres", ErrorKind.OUT_OF_MEMORY),
        ("1:M 1 Jan 2026 # Out Of Memory allocating 8 bytes!", "redis", ErrorKind.OUT_OF_MEMORY),
        ("[ioredis] Error: connect ECONNREFUSED 10.0.0.2:6379", "application", ErrorKind.CONNECTION_REFUSED),
        ("psql: ERROR:  42703", "application", COLUMN),
    ],
)
def test_other_ways_to_go_wrong(line: str, dialect: Dialect, kind: ErrorKind) -> None:
    assert classify(line, dialect) == {kind}


@pytest.mark.parametrize(
    ("prefix", "seen"),
    [("user=a,db=crm", False), *((f"db=crm{end}", True) for end in (" ", ":", "|", ",", "]", ")"))],
)
def test_where_a_prefix_must_end(prefix: str, seen: bool) -> None:
    line = f'{prefix}ERROR:  column "colour" does not exist at character 8'
    assert bool(_events(line, "postgres")) == seen


def test_two_errors_in_a_row_count_twice() -> None:
    one = RECORDED["cases"]["pg-caught"]["stderr"]
    assert _events(one + one) == [COLUMN, COLUMN]


@given(st.text(max_size=900), st.sampled_from(["", 'error: column "x" does not exist']))
def test_an_excerpt_is_one_short_line(noise: str, core: str) -> None:
    shown = excerpt(noise + core + noise)
    assert len(shown) <= EXCERPT_LENGTH
    assert shown.isprintable()


def test_an_excerpt_shows_the_point_of_a_long_line() -> None:
    line = json.dumps({"statement": "select " + "x, " * 300, "message": "cached plan must not change"})
    assert "cached plan" in excerpt(line)


@pytest.mark.parametrize(
    "line",
    [
        "Failed query: select $1 params: jane@example.org,Jane Doe",
        '{"err":{"params":["Jane Doe",[1,"jane"]],"code":"42703"}}',
        "error for Jane.Doe@example.org",
        '{"msg":"{\\"parameters\\":[\\"Jane ]Doe\\"]}"}',
        "connect postgres://crm:JaneJane@db/crm",
    ],
)
def test_an_excerpt_leaves_personal_data_out(line: str) -> None:
    assert "jane" not in excerpt(line).lower()
