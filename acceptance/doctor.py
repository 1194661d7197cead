"""Which sources of a target can be read from here, and what is missing for each gate. Judges nothing."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import tempfile
from collections.abc import Awaitable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel

from acceptance import judge, probes, sources
from acceptance.access import Access
from acceptance.checklist import Checklist
from acceptance.errors import UnavailableError
from acceptance.facts.catalogue import NOUNS
from acceptance.guard import Approvals, Guard
from acceptance.ledger import Ledger
from acceptance.position import Position
from acceptance.probes import Source
from acceptance.secrets import Redactor, Secrets
from acceptance.target import Target

TESTS = Path(__file__).resolve().parent.parent / "tests"

SHORT_S: Final = 3.0
"""The longest that one connection or answer may take, whatever the target allows."""
LIMIT_S: Final = 7.0
"""The longest that one probe may take."""

State = Literal["readable", "missing", "not tried"]


@dataclass(frozen=True)
class Finding:
    """How it is with one source.

    Attributes:
        told: what was found, or why there is nothing, in one sentence.
        remedy: what to do about that.
    """

    source: Source
    state: State
    told: str
    remedy: str = ""


@dataclass(frozen=True)
class Gate:
    """What one gate needs.

    Attributes:
        sources: names of the sources of all of its checks.
        planned: how many of its items have no check yet.
    """

    name: str
    sources: frozenset[str]
    planned: int


@dataclass(frozen=True)
class Examination:
    """Everything that was found, and what each gate needs."""

    findings: Mapping[str, Finding]
    gates: tuple[Gate, ...]

    def missing(self, gate: Gate) -> tuple[Finding, ...]:
        """Return what keeps a gate from being looked at as a whole."""
        return tuple(
            finding
            for name, finding in self.findings.items()
            if name in gate.sources and finding.state != "readable"
        )

    @property
    def is_complete(self) -> bool:
        """True if every source that any gate needs can be read."""
        return not any(self.missing(gate) for gate in self.gates)


@cache
def checks() -> tuple[judge.Check, ...]:
    """Return every check there is.

    Raises:
        UsageError: a contract that checks are made from cannot be read.
    """
    found: list[judge.Check] = []
    for path in sorted(TESTS.glob("*/test_*.py")):
        name = f"acceptance_checks.{path.parent.name}.{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found += judge.checks_in(module)
    return tuple(found)


def plan(checklist: Checklist, position: Position) -> tuple[Gate, ...]:
    """Return what each gate needs at a stage of the cutover; nothing is contacted.

    Raises:
        UsageError: a contract that checks are made from cannot be read.
    """
    nouns: dict[str, set[str]] = {}
    for check in checks():
        named = {name for name in inspect.signature(check).parameters if name in NOUNS}
        nouns.setdefault(judge.item_of(check), set()).update(named)
    gates = []
    for name in checklist.gates:
        items = checklist.of_gate(name)
        wanted = [item.id for item in items if not position.excuse(item)]
        named = {noun for item in wanted for noun in nouns.get(item, ())}
        needed: frozenset[str] = sources.of(named, NOUNS)
        if any(item.stages for item in items):
            needed |= {probes.STAGE}
        planned = sum(item not in nouns for item in wanted)
        gates.append(Gate(name, needed, planned))
    return tuple(gates)


def examine(target: Target, checklist: Checklist, position: Position) -> Examination:
    """Probe each source of the target that a gate needs, side by side.

    Raises:
        UsageError: a contract that checks are made from cannot be read.
    """
    hasty = _hasty(target)
    known = {source.name: source for source in probes.all_of(hasty, position)}
    gates = tuple(replace(gate, sources=closed(gate.sources, known)) for gate in plan(checklist, position))
    wanted = frozenset().union(*(gate.sources for gate in gates))
    findings = asyncio.run(_probed(hasty, [known[name] for name in known if name in wanted]))
    return Examination(findings, gates)


def _hasty(target: Target) -> Target:
    """Return the target with shorter time limits."""

    def shorter(part: Any) -> Any:  # noqa: ANN401 - any section
        if not isinstance(part, BaseModel):
            return part
        values = {name: shorter(part.__dict__[name]) for name in type(part).model_fields}
        if "timeout_s" in values:
            values["timeout_s"] = min(values["timeout_s"], SHORT_S)
        return part.model_copy(update=values)

    return Target.model_validate(shorter(target).model_dump())


def closed(wanted: Collection[str], known: Mapping[str, Source]) -> frozenset[str]:
    """Return sources with what they need, and with the secrets that collectors present themselves.

    Args:
        wanted: names of sources.
        known: every source of the target, by name.
    """
    sections = tuple(f"{name}." for name in wanted if name.startswith("secret."))
    ahead = {name for name in known if name in wanted or name.startswith(sections)}
    found: set[str] = set()
    while ahead:
        name = ahead.pop()
        found.add(name)
        ahead |= {*known[name].needs, *known[name].beside} - found
    return frozenset(found)


async def _probed(target: Target, wanted: Iterable[Source]) -> dict[str, Finding]:
    redactor = Redactor()
    secrets = _Remembered(redactor)
    with tempfile.TemporaryDirectory(prefix="acceptance-") as directory:
        ledger = Ledger(Path(directory) / "ledger.jsonl", redactor)
        access = Access(target, secrets, Guard(ledger, Approvals(), target), ledger, NOUNS)
        tasks: dict[str, asyncio.Task[Finding]] = {}
        try:
            for source in _in_order(wanted):
                needs = [tasks[name] for name in source.needs if name in tasks]
                tasks[source.name] = asyncio.create_task(_finding(source, needs, access))
            return {name: await task for name, task in tasks.items()}
        finally:
            await access.close()
            ledger.close()


def _in_order(wanted: Iterable[Source]) -> Iterator[Source]:
    """Return sources behind those that they need."""
    left = list(wanted)
    names = {source.name for source in left}
    while left:
        ready = next(one for one in left if not names & set(one.needs))
        left.remove(ready)
        names.discard(ready.name)
        yield ready


async def _finding(source: Source, needs: Iterable[Awaitable[Finding]], access: Access) -> Finding:
    clean = access.redactor.clean
    absent = [found.source.title for found in [await need for need in needs] if found.state != "readable"]
    if absent:
        return Finding(source, "not tried", f"not tried: it needs {', '.join(absent)}")
    try:
        async with asyncio.timeout(LIMIT_S):
            told = await source.probe(access)
    except UnavailableError as error:
        return Finding(source, "missing", clean(error.reason), clean(error.remedy))
    except TimeoutError:
        return Finding(
            source, "missing", f"no answer within {LIMIT_S:g} s", "try it by hand, and run this again"
        )
    return Finding(source, "readable", clean(told))


class _Remembered(Secrets):
    """Resolves each reference once: a command may ask its user something."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__(redactor)
        self._known: dict[str, str | UnavailableError] = {}

    def resolve(self, reference: str) -> str:
        if reference not in self._known:
            try:
                self._known[reference] = super().resolve(reference)
            except UnavailableError as error:
                self._known[reference] = error
        found = self._known[reference]
        if isinstance(found, UnavailableError):
            raise UnavailableError(found.reason, found.remedy)
        return found
