"""From the outcomes of a gate's items to GO, NO-GO or HOLD."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from acceptance.outcome import Outcome, Severity


class Verdict(StrEnum):
    """The answer of a gate."""

    GO = "GO"
    NO_GO = "NO-GO"
    HOLD = "HOLD"


EXIT_CODES = {Verdict.GO: 0, Verdict.NO_GO: 1, Verdict.HOLD: 10}

_EARNS_GO = {Outcome.PASS, Outcome.WAIVED, Outcome.NOT_APPLICABLE}


def decide(items: Iterable[tuple[Severity, Outcome]], *, whole_gate: bool) -> Verdict:
    """Return the verdict of a gate.

    Args:
        items: severity and outcome of every item of the gate, whether it ran or not.
        whole_gate: False if the operator narrowed the selection (-k, paths, --lf) or the run was cut
            short; the verdict is then HOLD at best.
    """
    blockers = [outcome for severity, outcome in items if severity is Severity.BLOCKER]
    if Outcome.FAIL in blockers:
        return Verdict.NO_GO
    if blockers and whole_gate and all(outcome in _EARNS_GO for outcome in blockers):
        return Verdict.GO
    return Verdict.HOLD
