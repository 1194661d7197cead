"""Runs a check against facts, and turns what it raised into an outcome. No I/O."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from acceptance.check import CheckFailedError, NotApplicableError, recording
from acceptance.errors import UnavailableError
from acceptance.evidence.record import CheckRecord
from acceptance.facts.base import Fact, Unavailable
from acceptance.outcome import Outcome
from acceptance.target import Target

Check = Callable[..., None]


def outcome_of(error: BaseException | None) -> tuple[Outcome, str, str]:
    """Return outcome, reason and remedy of what a check raised.

    Whatever is not one of the suite's own exceptions is a mistake in the check: UNKNOWN, never a
    failure of the target and never a pass.
    """
    if error is None:
        return Outcome.PASS, "", ""
    if isinstance(error, CheckFailedError):
        return Outcome.FAIL, str(error), ""
    if isinstance(error, UnavailableError):
        return Outcome.UNKNOWN, error.reason, error.remedy
    if isinstance(error, NotApplicableError):
        return Outcome.NOT_APPLICABLE, str(error), ""
    message = (str(error).strip() or "no message").splitlines()[0]
    return (
        Outcome.UNKNOWN,
        f"the check itself broke ({type(error).__name__}: {message})",
        "report it as a mistake in the suite",
    )


def item_of(check: Check) -> str:
    """Return the id of the item a check judges, empty if it has none."""
    for marker in getattr(check, "pytestmark", ()):
        if marker.name == "item":
            return str(marker.args[0])
    return ""


def checks_in(module: ModuleType) -> tuple[Check, ...]:
    """Return the checks of a test module, in the order in which they are written."""
    return tuple(
        value
        for name, value in vars(module).items()
        if name.startswith("test_") and inspect.isfunction(value) and item_of(value)
    )


def titles(check: object) -> tuple[str, str]:
    """Return the first line of a check's docstring, and the whole."""
    why = inspect.cleandoc(getattr(check, "__doc__", None) or "")
    return why.split("\n", 1)[0], why


def judge(check: Check, facts: Mapping[str, Fact | Unavailable], target: Target) -> CheckRecord:
    """Run one check on facts that were collected before."""
    arguments: dict[str, Any] = {}
    error: BaseException | None = None
    names = tuple(name for name in inspect.signature(check).parameters if name != "target")
    with recording() as evidence:
        try:
            for name in inspect.signature(check).parameters:
                arguments[name] = target if name == "target" else _given(facts[name])
            check(**arguments)
        except Exception as raised:  # classified, whatever it is
            error = raised
    outcome, reason, remedy = outcome_of(error)
    title, why = titles(check)
    return CheckRecord(
        name=f"{check.__module__}.{check.__name__}",
        item=item_of(check),
        title=title,
        why=why,
        outcome=outcome,
        reason=reason,
        remedy=remedy,
        evidence=tuple(evidence),
        facts=names,
    )


def _given(fact: Fact | Unavailable) -> Fact:
    if isinstance(fact, Unavailable):
        raise UnavailableError(fact.reason, fact.remedy)
    return fact
