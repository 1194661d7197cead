"""The gates before anything is touched, run as a whole on a healthy rehearsal: GO, no item without answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from acceptance.checklist import load
from rehearsal.client import Rehearsal
from selftest.test_gate_run import run

ANSWERED = {"pass", "not-applicable"}


@pytest.mark.parametrize(
    "gate", ["phase1_preflight", "env", pytest.param("readiness", marks=pytest.mark.user)]
)
def test_a_healthy_rehearsal_is_go(rehearsal: Rehearsal, tmp_path: Path, gate: str) -> None:
    done = run(tmp_path, "-m", gate, "--target", str(rehearsal.target_file))
    unanswered = {name: word for name, word in done.outcomes().items() if word not in ANSWERED}
    assert unanswered == {}, done.output
    assert set(done.outcomes()) == {item.id for item in load().of_gate(gate)}
    assert (done.code, done.verdict["verdict"]) == (0, "GO"), done.output
