"""Continuous integration compares the rehearsal's verdict with the one it must have."""

from __future__ import annotations

from typing import Any

import pytest

from tools.expect_verdict import complaints

GATE = "phase1_verify"


def _item(outcome: str, reason: str = "", severity: str = "blocker") -> dict[str, str]:
    return {"id": "a.one", "severity": severity, "outcome": outcome, "reason": reason}


PASSED, PLANNED = _item("pass"), _item("not-run", "planned")


def _document(verdict: str, *items: dict[str, str]) -> dict[str, Any]:
    return {"verdict": verdict, "gate": GATE, "rehearsal": True, "items": list(items)}


@pytest.mark.parametrize(
    "document",
    [
        _document("HOLD", PASSED, PLANNED),
        _document("GO", PASSED, _item("not-applicable", "a fact"), _item("waived")),
        _document("GO", PASSED, _item("not-run", "planned", severity="advisory")),
    ],
)
def test_as_expected(document: dict[str, Any]) -> None:
    assert complaints(document, GATE) == []


@pytest.mark.parametrize(
    "document",
    [
        _document("GO", PASSED, PLANNED),
        _document("HOLD", PASSED),
        _document("HOLD", PASSED, PLANNED, _item("unknown", "no answer")),
        _document("HOLD", PASSED, PLANNED, _item("warn", "slow", severity="advisory")),
        _document("HOLD", PASSED, PLANNED, _item("not-run", "interrupted")),
        _document("NO-GO", PASSED, _item("fail", "wrong port")),
        _document("HOLD", PLANNED),
        _document("GO"),
        {**_document("GO", PASSED), "rehearsal": False},
        {**_document("GO", PASSED), "gate": "env"},
    ],
)
def test_not_as_expected(document: dict[str, Any]) -> None:
    assert complaints(document, GATE)
