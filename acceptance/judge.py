"""Runs a check against facts, and turns what it raised into an outcome. No I/O."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from _pytest.mark import ParameterSet

from acceptance.check import CheckFailedError, Evidence, recording
from acceptance.errors import NotApplicableError, UnavailableError
from acceptance.evidence.record import CheckRecord
from acceptance.facts.base import Fact, Unavailable
from acceptance.outcome import Outcome

Check = Callable[..., None]

_OUR_MISTAKE = "report it as a mistake in the suite"


def outcome_of(error: BaseException | None, evidence: Sequence[Evidence]) -> tuple[Outcome, str, str]:
    """Return outcome, reason and remedy of what a check raised, or claimed without raising.

    A check that claimed nothing looked at nothing, so it passed nothing.

    Whatever is not one of the suite's own exceptions is a mistake in the check: UNKNOWN, never a
    failure of the target and never a pass.
    """
    if error is None and not evidence:
        return Outcome.UNKNOWN, "the check itself broke (it made no claim)", _OUR_MISTAKE
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
        _OUR_MISTAKE,
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


@dataclass(frozen=True)
class Variant:
    """One parametrisation of a check: what pytest would append to its name, and the arguments."""

    label: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


def variants(check: Check) -> tuple[Variant, ...]:
    """Return each parametrisation of a check, as pytest would expand its marks; one if it has none."""
    expanded = [Variant()]
    for marker in getattr(check, "pytestmark", ()):
        if marker.name == "parametrize":
            choices = [_choice(marker.args[0], value) for value in marker.args[1]]
            expanded = [_both(given, choice) for given in expanded for choice in choices]
    return tuple(expanded)


def _choice(names: str | Sequence[str], value: object) -> Variant:
    listed = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    row = ParameterSet.extract_from(value, force_tuple=len(listed) == 1)
    label = row.id if isinstance(row.id, str) else "-".join(map(str, row.values))
    return Variant(label, dict(zip(listed, row.values, strict=True)))


def _both(one: Variant, other: Variant) -> Variant:
    label = "-".join(filter(None, (one.label, other.label)))
    return Variant(label, {**one.arguments, **other.arguments})


NO_VARIANT = Variant()


def judge(
    check: Check,
    facts: Mapping[str, Fact | Unavailable],
    given: Mapping[str, object],
    variant: Variant = NO_VARIANT,
) -> CheckRecord:
    """Run one check, or one parametrisation of it, on facts that were collected before.

    Args:
        check: the test function.
        facts: by the names of their nouns.
        given: what else a check may take, by name: `target`, `baseline`.
        variant: the parametrisation.
    """
    names = tuple(inspect.signature(check).parameters)
    others = {name: value for name, value in {**given, **variant.arguments}.items() if name in names}
    wanted = tuple(name for name in names if name not in others)
    error: BaseException | None = None
    with recording() as evidence:
        try:
            check(**{name: _known(name, facts) for name in wanted}, **others)
        except Exception as raised:  # classified, whatever it is
            error = raised
    outcome, reason, remedy = outcome_of(error, evidence)
    title, why = titles(check)
    suffix = f"[{variant.label}]" if variant.label else ""
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


def _known(name: str, facts: Mapping[str, Fact | Unavailable]) -> Any:  # noqa: ANN401 - the check says which
    if name not in facts:
        raise UnavailableError(f"{name} is neither a fact that was looked at nor given")
    fact = facts[name]
    if isinstance(fact, Unavailable):
        raise UnavailableError(fact.reason, fact.remedy)
    return fact
