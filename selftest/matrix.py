"""Judges a rehearsal without pytest, so that every fault can be injected into one booted stack."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from acceptance import checklist, guard, judge
from acceptance import target as targets
from acceptance.access import Access
from acceptance.evidence.record import CheckRecord
from acceptance.facts.base import Fact, Noun, Unavailable
from acceptance.facts.catalogue import NOUNS
from acceptance.ledger import Ledger
from acceptance.meter import Meter
from acceptance.outcome import Outcome, combine
from acceptance.position import Position
from acceptance.secrets import Redactor, Secrets
from acceptance.target import Target
from rehearsal.client import Rehearsal, boot
from rehearsal.faults.base import Fault
from rehearsal.faults.catalogue import FAULTS
from rehearsal.stages import TOUCHES

CHECKLIST = checklist.load()

TESTS = Path(__file__).parent.parent / "tests"

EVERYTHING = bool(os.environ.get("MATRIX_READ_EVERYTHING"))
"""Set by `make matrix`: read every source again for each fault, not only those it touches."""

SIGNING_IN = {"origin", "session"}
"""Read again only for a fault that touches them: the app allows three sign-ins in ten seconds."""

NOTHING = "nothing"
"""In the place of a fault: the rehearsal as it should be."""

Facts = Mapping[str, Fact | Unavailable]


def checks() -> tuple[judge.Check, ...]:
    """Return every check there is, whatever its gate, by file."""
    names = [path.relative_to(TESTS.parent).with_suffix("") for path in sorted(TESTS.glob("*/test_*.py"))]
    modules = [importlib.import_module(".".join(name.parts)) for name in names]
    return tuple(check for module in modules for check in judge.checks_in(module))


def checks_at(position: Position) -> tuple[judge.Check, ...]:
    """Return the checks that are judged at a stage of the cutover."""
    return tuple(check for check in checks() if not position.excuse(CHECKLIST.items[judge.item_of(check)]))


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
    meter: Meter = field(default_factory=Meter)

    def look(self, nouns: Iterable[str], before: Look | None = None) -> Look:
        """Look afresh for the named facts; what they need besides is taken from an earlier look."""
        ledger = Ledger(self.directory / "ledger.jsonl", self.secrets.redactor)
        try:
            return asyncio.run(self._look(set(nouns), ledger, before))
        finally:
            ledger.close()

    async def _look(self, nouns: set[str], ledger: Ledger, before: Look | None) -> Look:
        allowed = guard.Guard(ledger, guard.Approvals(self.approved), self.target)
        access = Access(self.target, self.secrets, allowed, ledger, NOUNS, meter=self.meter)
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
    for check in checks_at(position):
        found = [judge.judge(check, facts, given, variant) for variant in judge.variants(check)]
        records.setdefault(judge.item_of(check), []).extend(found)
    return records


def outcomes(records: Mapping[str, list[CheckRecord]]) -> dict[str, Outcome]:
    """Return each item's outcome, before its severity is looked at."""
    return {item: combine(record.outcome for record in found) for item, found in records.items()}


def nouns_of(check: judge.Check) -> tuple[str, ...]:
    """Return the names of the facts that a check takes."""
    return tuple(name for name in inspect.signature(check).parameters if name in NOUNS)


def of_documenso(noun: Noun) -> bool:
    """Tell whether a noun is one of Documenso's, which a rehearsal without Documenso cannot show."""
    return noun.collect.__module__.startswith("acceptance.facts.documenso")


def item_of(check: judge.Check) -> str:
    """Return the item that a check judges."""
    return judge.item_of(check)


def with_outcome(found: Mapping[str, Outcome], outcome: Outcome) -> set[str]:
    """Return the items with that outcome."""
    return {item for item, value in found.items() if value is outcome}


@dataclass
class Bench:
    """One rehearsal that faults are injected into, one by one; it moves from stage to stage of the cutover.

    Attributes:
        target: the rehearsal as it was when it came to its stage.
        healthy: what was seen then.
    """

    rehearsal: Rehearsal
    directory: Path
    target: Target = field(init=False)
    healthy: Look = field(init=False)

    def __post_init__(self) -> None:
        self._secrets = Secrets(Redactor())
        self.target = targets.load(self.rehearsal.target_file)
        self.healthy = self._observer.look(self.nouns)

    @property
    def _observer(self) -> Observer:
        """An observer with a ledger of its own: a ledger is read again when it is closed."""
        return Observer(self.target, Path(tempfile.mkdtemp(dir=self.directory)), self._secrets)

    @property
    def nouns(self) -> set[str]:
        """The names of the facts that the checks at this stage take."""
        return {name for check in checks_at(Position(self.target.stage)) for name in nouns_of(check)}

    def go_to(self, stage: int) -> None:
        """Move the rehearsal to a stage, unless it is there, and look again at what that touches."""
        if stage == self.target.stage:
            return
        self.rehearsal.go_to_stage(stage)
        self.target = targets.load(self.rehearsal.target_file)
        known = {} if EVERYTHING else self.healthy.facts
        again = self._observer.look(self.nouns & {*TOUCHES} | self.nouns - {*known}, self.healthy)
        self.healthy = replace(again, facts={**known, **again.facts})

    def judged(self) -> dict[str, list[CheckRecord]]:
        """Judge what was seen when nothing was wrong; the records by item."""
        return judged(self.healthy.facts, self.target)

    @contextmanager
    def broken(self, fault: Fault) -> Iterator[dict[str, Outcome]]:
        """Inject a fault, look again at what it touches, and give each item's outcome; then undo it."""
        self.rehearsal.inject(fault.name)
        try:
            nouns = {*fault.touches} | (self.nouns - SIGNING_IN if EVERYTHING else set())
            again = self._observer.look(nouns, self.healthy)
            declared = targets.load(self.rehearsal.target_file)
            yield outcomes(judged({**self.healthy.facts, **again.facts}, declared))
        finally:
            self.rehearsal.revert(fault.name)


@contextmanager
def bench(directory: Path, stage: int) -> Iterator[Bench]:
    """Boot a rehearsal of the matrix's own: what other tests did to theirs must not show here."""
    with boot(lambda _line: None, stage) as rehearsal:
        yield Bench(rehearsal, directory)


def injectable(stage: int) -> list[str]:
    """Return the faults of a stage.

    An ordinary user's rehearsal has no accounts of its own, so it cannot inject what needs one.
    """
    able = [fault for fault in FAULTS.values() if os.getuid() == 0 or not fault.root_only]
    return sorted(fault.name for fault in able if fault.stage == stage)


def prove(bench: Bench, name: str, table: Table) -> None:
    """Prove that a fault turns exactly its items red; of `NOTHING`, that nothing is odd."""
    if name == NOTHING:
        assert odd(bench.judged()) == {}
        return
    fault = FAULTS[name]
    with bench.broken(fault) as found:
        red, unknown = with_outcome(found, Outcome.FAIL), with_outcome(found, Outcome.UNKNOWN)
        table.add(name, red, unknown)
        assert red == set(fault.reddens)
        assert unknown or not fault.blinds


def odd(records: Mapping[str, list[CheckRecord]]) -> dict[str, str]:
    """Return why checks neither pass nor are without an object, by the check's name."""
    return {
        record.name: record.reason
        for found in records.values()
        for record in found
        if record.outcome not in (Outcome.PASS, Outcome.NOT_APPLICABLE)
    }


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
    rows = [
        f"| `{fault.name}` | {fault.stage} | {fault.notice} | {_cell(fault)} |" for fault in FAULTS.values()
    ]
    return _HEAD + "\n".join(rows) + "\n"


def _cell(fault: Fault) -> str:
    red = ", ".join(f"`{item}`" for item in fault.reddens)
    return f"{red or 'nothing'}; what depends on it is UNKNOWN" if fault.blinds else red


_HEAD = """\
# What turns what red

Generated by `make matrix-document` from `rehearsal/faults/`; do not edit. `make test` injects every fault
into a running rehearsal and proves that exactly these items turn red; what depends on something that a
fault takes away may become UNKNOWN besides. The stage is the website's cutover's, at which it is injected.

| fault | stage | what an operator would notice | turns red |
|---|---|---|---|
"""
