"""Realtime where the app refuses strangers before the upgrade, or where path and namespace are assumed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from acceptance import target as targets
from acceptance.evidence.record import CheckRecord
from acceptance.facts.realtime import Join, read_join, turned_away
from acceptance.judge import judge
from acceptance.outcome import Outcome
from acceptance.target import Target
from rehearsal.client import Rehearsal
from rehearsal.site import APP
from selftest import matrix
from selftest.rehearsed import site_of


@pytest.mark.parametrize(
    ("status", "detail", "refused"),
    [
        (400, "Forbidden", True),
        (400, "your own words", True),
        (400, "", True),
        (401, "", True),
        (403, '{"code":4,"message":"Forbidden"}', True),
        (400, '{"code":3,"message":"Bad request"}', False),
        (400, "Unsupported protocol version", False),
        (400, "<html> <head><title>400 Bad Request</title></head>", False),
        (404, "", False),
        (502, "<html>", False),
        (101, "", False),
    ],
)
def test_who_is_turned_away_and_whose_request_is_malformed(status: int, detail: str, refused: bool) -> None:
    assert turned_away(status, detail) is refused


@pytest.mark.parametrize(
    ("packet", "namespace", "outcome"),
    [
        ('40{"sid":"x"}', "/", Join.JOINED),
        ('40/crm,{"sid":"x"}', "/crm", Join.JOINED),
        ('44{"message":"unauthorized"}', "/", Join.REFUSED),
        ('44{"message":"Invalid namespace"}', "/", Join.NO_NAMESPACE),
        ('44/crm,{"message":"Invalid namespace"}', "/crm", Join.NO_NAMESPACE),
        ("42", "/", Join.MALFORMED),
        (None, "/", Join.SILENT),
    ],
)
def test_answers_to_joining(packet: str | None, namespace: str, outcome: Join) -> None:
    assert read_join(packet, namespace).outcome is outcome


@contextmanager
def _knob(rehearsal: Rehearsal, word: str) -> Iterator[None]:
    path = site_of(rehearsal).knobs(APP)
    path.write_text(json.dumps({"realtime": word}), encoding="utf-8")
    path.chmod(0o644)
    try:
        yield
    finally:
        path.unlink()


def _target(rehearsal: Rehearsal, *assumed: str, **realtime: str) -> Target:
    loaded = targets.load(rehearsal.target_file)
    changed = loaded.realtime.model_copy(update=realtime)
    return loaded.model_copy(update={"realtime": changed, "assumed": assumed})


def _judged(judged: Target, directory: Path, *, approved: bool = True) -> dict[str, CheckRecord]:
    observer = matrix.Observer(judged, directory)
    if not approved:
        observer.approved = ()
    facts = dict(observer.look(["realtime"]).facts)
    checks = [check for check in matrix.checks() if matrix.nouns_of(check) == ("realtime",)]
    return {check.__name__: judge(check, facts, {"target": judged}) for check in checks}


def _outcomes(records: dict[str, CheckRecord]) -> set[Outcome]:
    return {record.outcome for record in records.values()}


@pytest.mark.user
def test_an_app_that_refuses_strangers_before_the_upgrade_is_judged_signed_in(
    rehearsal: Rehearsal, tmp_path: Path
) -> None:
    with _knob(rehearsal, "strangers-out"):
        judged = _target(rehearsal)
        assert _outcomes(_judged(judged, tmp_path)) == {Outcome.PASS}
        unapproved = _judged(judged, tmp_path, approved=False)
    assert unapproved["test_websocket_opens"].outcome is Outcome.UNKNOWN
    assert unapproved["test_websocket_opens"].reason == "needs approval: sign-in"
    assert unapproved["test_polling_session_upgrades"].outcome is Outcome.UNKNOWN
    assert unapproved["test_namespace_answers_strangers"].outcome is Outcome.PASS


@pytest.mark.user
def test_a_path_that_is_not_there_is_red_unless_it_was_assumed(rehearsal: Rehearsal, tmp_path: Path) -> None:
    declared = _judged(_target(rehearsal, path="/socket-io/"), tmp_path)
    assumed = _judged(_target(rehearsal, "realtime.path", path="/socket-io/"), tmp_path)
    for check in ("test_websocket_opens", "test_polling_session_upgrades"):
        assert declared[check].outcome is Outcome.FAIL
        assert assumed[check].outcome is Outcome.UNKNOWN
        assert assumed[check].reason.startswith("assumed name not found: ")


@pytest.mark.user
def test_a_namespace_that_is_not_there_is_no_refusal(rehearsal: Rehearsal, tmp_path: Path) -> None:
    declared = _judged(_target(rehearsal, namespace="/elsewhere"), tmp_path)
    assumed = _judged(_target(rehearsal, "realtime.namespace", namespace="/elsewhere"), tmp_path)
    for check in ("test_namespace_answers_strangers", "test_namespace_is_joined_with_a_session"):
        assert declared[check].outcome is Outcome.FAIL
        assert assumed[check].outcome is Outcome.UNKNOWN
        assert assumed[check].reason.startswith("assumed name not found: ")
