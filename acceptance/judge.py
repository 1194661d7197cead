"""Runs a check against facts, and turns what it raised into an outcome. No I/O."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from _pytest.mark import ParameterSet

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


def variants(check: Check) -> tuple[dict[str, Any], ...]:
    """Return the arguments of each parametrisation of a check, as pytest would expand its marks."""
    expanded: list[dict[str, Any]] = [{}]
    for marker in getattr(check, "pytestmark", ()):
        if marker.name == "parametrize":
            names, values = marker.args[0], marker.args[1]
            listed = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
            choices = [dict(zip(listed, _row(value, len(listed)), strict=True)) for value in values]
            expanded = [{**given, **choice} for given in expanded for choice in choices]
    return tuple(expanded)


def _row(value: Any, width: int) -> tuple[Any, ...]:  # noqa: ANN401 - a parameter is any value
    if isinstance(value, ParameterSet):
        return tuple(value.values)
    return (value,) if width == 1 else tuple(value)


def judge(
    check: Check,
    facts: Mapping[str, Fact | Unavailable],
    target: Target,
    parameters: Mapping[str, Any] | None = None,
) -> CheckRecord:
    """Run one check, or one parametrisation of it, on facts that were collected before."""
    given = dict(parameters or {})
    error: BaseException | None = None
    names = tuple(inspect.signature(check).parameters)
    wanted = tuple(name for name in names if name != "target" and name not in given)
    with recording() as evidence:
        try:
            arguments = {name: _given(facts[name]) for name in wanted}
            if "target" in names:
                arguments["target"] = target
            check(**arguments, **given)
        except Exception as raised:  # classified, whatever it is
            error = raised
    outcome, reason, remedy = outcome_of(error)
    title, why = titles(check)
    suffix = f"[{'-'.join(map(_label, given.values()))}]" if given else ""
    return CheckRecord(
        name=f"{check.__module__}.{check.__name__}{suffix}",
        item=item_of(check),
        title=title,
        why=why,
        outcome=outcome,
        reason=reason,
        remedy=remedy,
        evidence=tuple(evidence),
        facts=wanted,
    )


def _label(value: object) -> str:
    return str(getattr(value, "__name__", value))


def _given(fact: Fact | Unavailable) -> Any:  # noqa: ANN401 - the check's annotation says which fact
    if isinstance(fact, Unavailable):
        raise UnavailableError(fact.reason, fact.remedy)
    return fact
