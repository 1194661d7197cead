"""What changed between two bundles: outcomes, and facts leaf by leaf."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from difflib import SequenceMatcher
from enum import Enum
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from acceptance.errors import UsageError
from acceptance.evidence.verify import verify
from acceptance.evidence.volatile import is_volatile, steady
from acceptance.outcome import Outcome, Severity
from acceptance.verdict import Verdict

EQUALITY_CLASS = "equals"
"""The name of every field of a fact that holds the equality class of a secret."""

TARGET = "target"
"""Under this name the target files are compared, as if they were a fact."""

_IDENTITIES = ("service", "name", "key", "destination", "path", "number", "protocol", "kind", "url", "id")
"""What tells the elements of a list apart, the first that all have and no two share."""


class _Absent(Enum):
    ABSENT = "absent"


ABSENT: Final = _Absent.ABSENT
"""Stands for a value where there is none."""

Value = Any
"""A JSON value, or ABSENT."""


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Check(_Form):
    """A check as verdict.json tells it."""

    name: str
    outcome: Outcome
    reason: str = ""


class Item(_Form):
    """An item as verdict.json tells it."""

    id: str
    severity: Severity
    outcome: Outcome
    reason: str = ""
    checks: tuple[Check, ...] = ()


class Summary(_Form):
    """What verdict.json tells of a run."""

    verdict: Verdict
    reason: str
    gate: str
    target: str
    rehearsal: bool
    started: datetime
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Side:
    """One of the two bundles.

    Attributes:
        findings: what `acceptance verify` finds wrong with it.
        key_id: which key made its equality classes; empty if it does not say.
        facts: by name, each file as it is; the target file's content among them.
        claims: of the items, by id, so far as its record tells them.
    """

    name: str
    summary: Summary
    findings: tuple[str, ...]
    key_id: str
    facts: Mapping[str, Value]
    claims: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ItemChange:
    """An item whose outcome, or that of one of its checks, is another; None where it does not occur."""

    id: str
    before: Item | None
    after: Item | None
    claim: str = ""

    @property
    def severity(self) -> Severity:
        """The later one."""
        item = self.after or self.before
        assert item is not None
        return item.severity


@dataclass(frozen=True)
class Change:
    """A leaf, or a whole part, that is another; ABSENT where there is none."""

    path: str
    before: Value
    after: Value


@dataclass(frozen=True)
class FactChange:
    """What is another in one fact.

    Attributes:
        changes: what counts.
        volatile: what changes from look to look.
        not_comparable: places of secrets whose equality classes were made with different keys.
    """

    fact: str
    changes: tuple[Change, ...]
    volatile: tuple[Change, ...]
    not_comparable: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """Everything that changed from one bundle to another."""

    before: Side
    after: Side
    items: tuple[ItemChange, ...]
    facts: tuple[FactChange, ...]

    @property
    def is_empty(self) -> bool:
        """True if nothing changed but what is volatile, so far as that can be told."""
        same_verdict = self.before.summary.verdict is self.after.summary.verdict
        return same_verdict and not self.items and not any(fact.changes for fact in self.facts)

    @property
    def rehearsal(self) -> bool:
        """True if one of them is a rehearsal's."""
        return self.before.summary.rehearsal or self.after.summary.rehearsal


def load(bundle: Path) -> Side:
    """Read what is compared.

    Raises:
        UsageError: it is no bundle, or a file of it is malformed.
    """
    findings = verify(bundle).findings
    try:
        summary = Summary.model_validate(_document(bundle / "verdict.json"))
    except ValidationError as error:
        raise UsageError(
            f"{bundle / 'verdict.json'}: it is malformed; give the directory of a run."
        ) from error
    record = _document(bundle / "record.json") if (bundle / "record.json").is_file() else {}
    facts = {path.stem: _document(path) for path in sorted((bundle / "facts").glob("*.json"))}
    if (bundle / "target.json").is_file():
        facts[TARGET] = {"state": "known", "value": _document(bundle / "target.json")}
    key_id = str(record.get("fingerprint_key_id", ""))
    return Side(bundle.resolve().name, summary, findings, key_id, facts, _claims(record))


def _claims(record: Mapping[str, Value]) -> dict[str, str]:
    items = record.get("items")
    told = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return {str(item.get("id")): str(item.get("claim", "")) for item in told}


def _document(path: Path) -> dict[str, Value]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: cannot be read as JSON; give the directory of a run.") from error
    if not isinstance(document, dict):
        raise UsageError(f"{path}: it holds no object; give the directory of a run.")
    return document


def compare(before: Side, after: Side) -> Difference:
    """Return what changed from one bundle to the other; pure."""
    comparable = bool(before.key_id) and before.key_id == after.key_id
    names = sorted({*before.facts, *after.facts})
    facts = [_fact(name, before.facts.get(name), after.facts.get(name), comparable) for name in names]
    return Difference(
        before,
        after,
        tuple(_items(before, after)),
        tuple(fact for fact in facts if fact.changes or fact.volatile or fact.not_comparable),
    )


def _items(before: Side, after: Side) -> Iterator[ItemChange]:
    then, now = ({item.id: item for item in side.summary.items} for side in (before, after))
    for item_id in dict.fromkeys([*then, *now]):
        old, new = then.get(item_id), now.get(item_id)
        if old is None or new is None or _judgement(old) != _judgement(new):
            yield ItemChange(item_id, old, new, after.claims.get(item_id) or before.claims.get(item_id, ""))


def _judgement(item: Item) -> tuple[Outcome, dict[str, Outcome]]:
    return item.outcome, {check.name: check.outcome for check in item.checks}


def _fact(name: str, before: Value, after: Value, comparable: bool) -> FactChange:
    walk = _Walk(name, comparable)
    old, new = _state(before), _state(after)
    if old == new == "known":
        walk.compare(before["value"], after["value"], (), "")
    elif old != new:
        walk.note(old, new, (), "")
    return FactChange(name, tuple(walk.changes), tuple(walk.volatile), tuple(walk.not_comparable))


def _state(fact: Value) -> str:
    """Say in words whether there is a fact."""
    if fact is None:
        return "not looked at"
    if fact.get("state") == "known" and "value" in fact:
        return "known"
    value = fact.get("value")
    return f"unavailable: {value.get('reason', '') if isinstance(value, dict) else ''}"


class _Walk:
    """Compares one fact; collects what it finds."""

    def __init__(self, fact: str, comparable: bool) -> None:
        self.changes: list[Change] = []
        self.volatile: list[Change] = []
        self.not_comparable: list[str] = []
        self._fact = fact
        self._comparable = comparable

    def compare(self, before: Value, after: Value, steps: tuple[str, ...], shown: str) -> None:
        """Compare two values at one place: its steps, and how it is shown."""
        if isinstance(before, dict) and isinstance(after, dict):
            for name in dict.fromkeys([*before, *after]):
                self._member(
                    before.get(name, ABSENT), after.get(name, ABSENT), (*steps, name), _at(shown, name)
                )
        elif isinstance(before, list) and isinstance(after, list):
            for label, old, new in self._aligned(before, after, (*steps, "*")):
                self._member(old, new, (*steps, "*"), f"{shown}[{label}]")
        elif before != after or type(before) is not type(after):
            self.note(before, after, steps, shown)

    def _member(self, before: Value, after: Value, steps: tuple[str, ...], shown: str) -> None:
        if before is ABSENT or after is ABSENT:
            self.note(before, after, steps, shown)
        elif steps[-1] == EQUALITY_CLASS and not self._comparable:
            self.not_comparable.append(shown)
        else:
            self.compare(before, after, steps, shown)

    def note(self, before: Value, after: Value, steps: tuple[str, ...], shown: str) -> None:
        """Keep a difference where it belongs."""
        texts = isinstance(before, str) and isinstance(after, str)
        same = texts and steady(before) == steady(after)
        kept = self.volatile if same or is_volatile(self._fact, steps) else self.changes
        if texts and steps and steps[-1] == EQUALITY_CLASS:
            before, after = "one value", "another value"
        kept.append(Change(shown, before, after))

    def _aligned(
        self, before: list[Value], after: list[Value], steps: tuple[str, ...]
    ) -> Iterator[tuple[str, Value, Value]]:
        identity = _identity(before, after)
        if identity is None:
            yield from self._in_order(before, after, steps)
            return
        then = {entry[identity]: entry for entry in before}
        now = {entry[identity]: entry for entry in after}
        for value in dict.fromkeys([*then, *now]):
            yield f"{identity}={value}", then.get(value, ABSENT), now.get(value, ABSENT)

    def _in_order(
        self, before: list[Value], after: list[Value], steps: tuple[str, ...]
    ) -> Iterator[tuple[str, Value, Value]]:
        old, new = ([self._canonical(entry, steps) for entry in entries] for entries in (before, after))
        for tag, start, end, new_start, new_end in SequenceMatcher(
            None, old, new, autojunk=False
        ).get_opcodes():
            if tag == "equal":
                for index in range(start, end):
                    yield str(index), before[index], after[new_start + index - start]
            else:
                yield from _paired(before, after, range(start, end), range(new_start, new_end))

    def _canonical(self, value: Value, steps: tuple[str, ...]) -> str:
        return json.dumps(self._without_volatile(value, steps), sort_keys=True)

    def _without_volatile(self, value: Value, steps: tuple[str, ...]) -> Value:
        if is_volatile(self._fact, steps) or (steps[-1] == EQUALITY_CLASS and not self._comparable):
            return None
        if isinstance(value, dict):
            return {name: self._without_volatile(entry, (*steps, name)) for name, entry in value.items()}
        if isinstance(value, list):
            return [self._without_volatile(entry, (*steps, "*")) for entry in value]
        return steady(value) if isinstance(value, str) else value


def _paired(
    before: list[Value], after: list[Value], old: range, new: range
) -> Iterator[tuple[str, Value, Value]]:
    """Pair what was replaced with what stands in its place and is of the same kind."""
    left = list(new)
    for index in old:
        partner = next((other for other in left if _kind(after[other]) == _kind(before[index])), None)
        if partner is None:
            yield str(index), before[index], ABSENT
        else:
            left.remove(partner)
            yield str(index), before[index], after[partner]
    for index in left:
        yield f"+{index}", ABSENT, after[index]


def _kind(value: Value) -> object:
    return (dict, value.get("name")) if isinstance(value, dict) else type(value)


def _identity(before: list[Value], after: list[Value]) -> str | None:
    for name in _IDENTITIES:
        if before and after and _tells_apart(name, before) and _tells_apart(name, after):
            return name
    return None


def _tells_apart(name: str, entries: list[Value]) -> bool:
    values = [entry.get(name) if isinstance(entry, dict) else None for entry in entries]
    return all(isinstance(value, str | int) for value in values) and len(set(values)) == len(values)


def _at(shown: str, name: str) -> str:
    plain = name.replace("_", "").replace("-", "").isalnum()
    step = name if plain else json.dumps(name, ensure_ascii=False)
    return f"{shown}.{step}" if shown else step
