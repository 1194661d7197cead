"""Judges a rehearsal without pytest, so that every fault can be injected into one booted stack."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from acceptance import checklist, guard, judge
from acceptance.access import Access
from acceptance.evidence.record import CheckRecord
from acceptance.facts.base import Fact, Unavailable
from acceptance.facts.catalogue import NOUNS
from acceptance.ledger import Ledger
from acceptance.outcome import Outcome, combine
from acceptance.position import Position
from acceptance.secrets import Redactor, Secrets
from acceptance.target import Target
from rehearsal.faults.base import Fault
from rehearsal.faults.catalogue import FAULTS

CHECKLIST = checklist.load()

TESTS = Path(__file__).parent.parent / "tests"

Facts = Mapping[str, Fact | Unavailable]


def checks() -> tuple[judge.Check, ...]:
    """Return every check there is, whatever its gate, by file."""
    names = [path.relative_to(TESTS.parent).with_suffix("") for path in sorted(TESTS.glob("*/test_*.py"))]
    modules = [importlib.import_module(".".join(name.parts)) for name in names]
    return tuple(check for module in modules for check in judge.checks_in(module))


@dataclass(frozen=True)
class Look:
    """One look at a target, and how many logins and round trips it took."""

    facts: dict[str, Fact | Unavailable]
    logins: int
    round_trips: int
    session_cookie: str


@dataclass
class Observer:
    """Looks at a target again and again, with equality classes that stay comparable."""

    target: Target
    directory: Path
    secrets: Secrets = field(default_factory=lambda: Secrets(Redactor()))
    approved: tuple[str, ...] = field(default_factory=guard.actions)

    def look(self, nouns: Iterable[str], before: Look | None = None) -> Look:
        """Look afresh for the named facts; what they need besides is taken from an earlier look."""
        ledger = Ledger(self.directory / "ledger.jsonl", self.secrets.redactor)
        try:
            return asyncio.run(self._look(set(nouns), ledger, before))
        finally:
            ledger.close()

    async def _look(self, nouns: set[str], ledger: Ledger, before: Look | None) -> Look:
        allowed = guard.Guard(ledger, guard.Approvals(self.approved), self.target)
        access = Access(self.target, self.secrets, allowed, ledger, NOUNS)
        if before is not None:
            kept = {name: fact for name, fact in before.facts.items() if name not in nouns}
            access.inherit(kept, before.session_cookie)
        try:
            facts = await access.collect(sorted(nouns))
            return Look(facts, access.host.logins, access.host.round_trips, access.session_cookie)
        finally:
            await access.close()


def judged(facts: Facts, target: Target) -> dict[str, list[CheckRecord]]:
    """Run every check that is judged at the target's stage; the records by item."""
    position = Position(target.stage)
    given = {"target": target, "position": position}
    records: dict[str, list[CheckRecord]] = {}
    for check in checks():
        if position.excuse(CHECKLIST.items[judge.item_of(check)]):
            continue
        found = [judge.judge(check, facts, given, variant) for variant in judge.variants(check)]
        records.setdefault(judge.item_of(check), []).extend(found)
    return records


def outcomes(records: Mapping[str, list[CheckRecord]]) -> dict[str, Outcome]:
    """Return each item's outcome, before its severity is looked at."""
    return {item: combine(record.outcome for record in found) for item, found in records.items()}


def nouns_of(check: judge.Check) -> tuple[str, ...]:
    """Return the names of the facts that a check takes."""
    return tuple(name for name in inspect.signature(check).parameters if name in NOUNS)


def item_of(check: judge.Check) -> str:
    """Return the item that a check judges."""
    return judge.item_of(check)


def with_outcome(found: Mapping[str, Outcome], outcome: Outcome) -> set[str]:
    """Return the items with that outcome."""
    return {item for item, value in found.items() if value is outcome}


@dataclass
class Table:
    """What each fault was seen to do, for the end of the terminal's output."""

    rows: list[tuple[str, set[str], set[str]]] = field(default_factory=list)

    def add(self, name: str, red: set[str], unknown: set[str]) -> None:
        """Keep what one fault did."""
        self.rows.append((name, red, unknown))

    def parts(self) -> list[tuple[str, list[str], list[str]]]:
        """Return the rows in a form that can be sent to another process."""
        return [(name, sorted(red), sorted(unknown)) for name, red, unknown in self.rows]

    def lines(self) -> list[str]:
        """Return the table as text, by name."""
        width = max((len(name) for name, _, _ in self.rows), default=0)
        return [
            f"{name:<{width}}  red: {', '.join(sorted(red)) or '–'}"
            + (f"  unknown: {len(unknown)}" if unknown else "")
            for name, red, unknown in sorted(self.rows)
        ]


def document() -> str:
    """Return docs/fault-matrix.md, from the catalogue that `test_fault` proves true."""
    rows = [f"| `{fault.name}` | {fault.notice} | {_cell(fault)} |" for fault in FAULTS.values()]
    return _HEAD + "\n".join(rows) + "\n"


def _cell(fault: Fault) -> str:
    return (
        "nothing; what depends on it is UNKNOWN"
        if fault.blinds
        else ", ".join(f"`{item}`" for item in fault.reddens)
    )


_HEAD = """\
# What turns what red

Generated by `make matrix-document` from `rehearsal/faults/`; do not edit. `make test` injects every fault
into a running rehearsal and proves that exactly these items turn red; what depends on something that a
fault takes away may become UNKNOWN besides.

| fault | what an operator would notice | turns red |
|---|---|---|
"""
