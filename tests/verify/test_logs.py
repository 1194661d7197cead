"""What do the containers' logs say about errors since their start?"""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.containers import Containers
from acceptance.facts.database_settings import DatabaseSettings
from acceptance.facts.log_patterns import ErrorKind
from acceptance.facts.logs import Logs
from acceptance.target import Target

each_service = pytest.mark.parametrize("kind", ["app", "worker", "postgres", "redis"])
each_witness = pytest.mark.parametrize("kind", ["app", "worker", "postgres"])


@pytest.mark.item("logs.readable")
@each_service
def test_readable(logs: Logs, target: Target, kind: str) -> None:
    """The log was read and was not empty. Without a log the first outage cannot be explained."""
    log = logs.the(target.compose.of_kind(kind).name)
    verify(log.was_read, expected="a readable log that is not empty", seen=log.extent, source=log.source)


@pytest.mark.item("logs.no-42703")
@each_witness
def test_no_undefined_column(logs: Logs, target: Target, kind: str) -> None:
    """No query asked for a column that does not exist. It means that code and schema do not fit."""
    log = logs.evidence(target.compose.of_kind(kind).name)
    verify(
        log.count(ErrorKind.UNDEFINED_COLUMN) == 0,
        expected="no undefined column (42703), by code or by message",
        seen=log.describe(ErrorKind.UNDEFINED_COLUMN),
        source=log.source,
    )


@pytest.mark.item("logs.no-schema-drift")
@each_witness
def test_no_schema_drift(logs: Logs, target: Target, kind: str) -> None:
    """No query asked for a table, function or type that does not exist. A migration is missing then."""
    drift = (ErrorKind.UNDEFINED_TABLE, ErrorKind.UNDEFINED_FUNCTION, ErrorKind.UNDEFINED_TYPE)
    log = logs.evidence(target.compose.of_kind(kind).name)
    verify(
        log.count(*drift) == 0,
        expected="no undefined table (42P01), function (42883) or type (42704)",
        seen=log.describe(*drift),
        source=log.source,
    )


@pytest.mark.item("logs.no-42703")
def test_undefined_column_would_be_logged(database_settings: DatabaseSettings) -> None:
    """PostgreSQL writes errors to the log that was read. Otherwise its silence would prove nothing."""
    _verify_witness(database_settings)


@pytest.mark.item("logs.no-schema-drift")
def test_schema_drift_would_be_logged(database_settings: DatabaseSettings) -> None:
    """PostgreSQL writes errors to the log that was read. Otherwise its silence would prove nothing."""
    _verify_witness(database_settings)


def _verify_witness(settings: DatabaseSettings) -> None:
    witness = settings.witness()
    verify(
        bool(witness),
        expected="errors reach the container's log in words or with their code",
        seen=witness,
        source=settings.source,
    )


@pytest.mark.item("logs.no-crash")
@each_service
def test_no_crash(logs: Logs, target: Target, kind: str) -> None:
    """No unhandled rejection and no want of memory. Both end a process sooner or later."""
    crashes = (ErrorKind.UNHANDLED_REJECTION, ErrorKind.OUT_OF_MEMORY)
    log = logs.evidence(target.compose.of_kind(kind).name)
    verify(
        log.count(*crashes) == 0,
        expected="no unhandled rejection, no out of memory",
        seen=log.describe(*crashes),
        source=log.source,
    )


@pytest.mark.item("logs.no-crash")
@each_service
def test_no_storm(logs: Logs, target: Target, kind: str) -> None:
    """Connections are not refused again and again. A few while starting are normal."""
    log = logs.evidence(target.compose.of_kind(kind).name)
    verify(
        log.count(ErrorKind.CONNECTION_REFUSED) <= target.logs.storm,
        expected=f"at most {target.logs.storm} refused connections",
        seen=log.describe(ErrorKind.CONNECTION_REFUSED),
        source=log.source,
    )


@pytest.mark.item("logs.no-crash")
def test_not_killed_for_memory(containers: Containers) -> None:
    """The kernel killed no container for want of memory. That leaves no line in its log."""
    killed = containers.killed_for_memory()
    verify(
        not killed,
        expected="no container killed for want of memory",
        seen=", ".join(killed) or "none",
        source=containers.source,
    )
