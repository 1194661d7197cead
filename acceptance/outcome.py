"""The possible outcomes of a check, and how several become the outcome of one item.

The three honest answers (it is so, it is not so, I could not tell) never collapse into one another.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Outcome(StrEnum):
    """What is known about a claim after a run."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"
    WARN = "warn"
    WAIVED = "waived"
    NOT_APPLICABLE = "not-applicable"
    NOT_RUN = "not-run"


class Severity(StrEnum):
    """What a failure means for the verdict."""

    BLOCKER = "blocker"
    ADVISORY = "advisory"


_PRECEDENCE = (
    Outcome.FAIL,
    Outcome.WARN,
    Outcome.UNKNOWN,
    Outcome.NOT_RUN,
    Outcome.WAIVED,
    Outcome.PASS,
    Outcome.NOT_APPLICABLE,
)


def combine(outcomes: Iterable[Outcome]) -> Outcome:
    """Reduce the outcomes of an item's checks to the outcome of the item.

    The worst one counts: a failure before anything unknown, anything unknown before a pass. No outcome
    at all means that nothing ran.
    """
    return min(outcomes, key=_PRECEDENCE.index, default=Outcome.NOT_RUN)


def graded(outcome: Outcome, severity: Severity) -> Outcome:
    """Return the outcome as its severity shows it: a failed advisory is a warning."""
    if outcome is Outcome.FAIL and severity is Severity.ADVISORY:
        return Outcome.WARN
    return outcome
