"""What the logs betray: queries of things that are gone, logged each way that drivers log them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx

from rehearsal.faults import tools
from rehearsal.faults.base import Course, Fault, fault
from rehearsal.site import APP, WORKER

if TYPE_CHECKING:
    from rehearsal.stack import Stack

WAYS = (
    "pg-object",
    "pg-message",
    "pg-json",
    "postgresjs-object",
    "postgresjs-json",
    "drizzle-object",
    "drizzle-message",
)
"""How Node's drivers and loggers print a failed query; see docs/rehearsal-deviations.md."""


def _provoke(stack: Stack, kind: str) -> None:
    httpx.get(f"http://{stack.site.address(APP)}:3000/__rehearsal/query/{kind}", timeout=10, trust_env=False)
    time.sleep(0.1)


def _afresh(stack: Stack, services: Iterable[str]) -> None:
    for service in services:
        stack.container(service).recreate()


def _failing_query(stack: Stack, kind: str, way: str) -> Course:
    with tools.knob(stack, APP, log=way):
        _provoke(stack, kind)
        yield
    _afresh(stack, [APP])


def _column(way: str) -> Fault:
    @fault(
        f"logs-column-{way}",
        notice=f"a page fails after a migration; the app logs it the way of {way}",
        reddens=("logs.no-42703",),
        touches=("logs",),
    )
    def course(stack: Stack) -> Course:
        yield from _failing_query(stack, "column", way)

    return course


column_pg_object = _column("pg-object")
column_pg_message = _column("pg-message")
column_pg_json = _column("pg-json")
column_postgresjs_object = _column("postgresjs-object")
column_postgresjs_json = _column("postgresjs-json")
column_drizzle_object = _column("drizzle-object")
column_drizzle_message = _column("drizzle-message")


def _drift(kind: str) -> Fault:
    @fault(
        f"logs-{kind}-dropped",
        notice=f"a page fails after a migration: a {kind} is gone",
        reddens=("logs.no-schema-drift",),
        touches=("logs",),
    )
    def course(stack: Stack) -> Course:
        yield from _failing_query(stack, kind, "pg-object")

    return course


table_dropped = _drift("table")
function_dropped = _drift("function")
type_dropped = _drift("type")


@fault(
    "logs-driver-none",
    notice="`docker logs` refuses: the container keeps no log",
    reddens=("logs.readable",),
    touches=("containers", "logs"),
)
def driver_none(stack: Stack) -> Course:
    """Run the worker with the log driver `none`."""
    container = stack.container(WORKER)
    before = container.spec
    container.recreate(replace(before, log_driver="none"))
    yield
    container.recreate(before)


@fault(
    "logs-unhandled-rejections",
    notice="the app answers, but promises fail again and again",
    reddens=("logs.no-crash",),
    touches=("logs",),
)
def unhandled_rejections(stack: Stack) -> Course:
    """Log an unhandled rejection again and again."""
    with tools.knob(stack, APP, crash_loop_log=True):
        time.sleep(1.5)
        yield
    _afresh(stack, [APP])
