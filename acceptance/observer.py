"""Where a run's facts come from: from looking at the target, or from a bundle of an earlier look."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from testinfra.host import Host

from acceptance import target
from acceptance.access import Access, Keep
from acceptance.errors import UnavailableError, UsageError
from acceptance.evidence.stored import StoredBundle
from acceptance.facts.base import Fact, LookRecord, Noun, Unavailable
from acceptance.guard import Approvals, Guard, actions, declared_actions
from acceptance.guard.approvals import AT_THE_TERMINAL, BY_DEFAULT, asked
from acceptance.ledger import Ledger
from acceptance.loop import Loop
from acceptance.meter import Meter
from acceptance.options import REHEARSAL, REHEARSED_STAGE, Options
from acceptance.secrets import Redactor, Secrets
from acceptance.target import Target
from acceptance.transports.testinfra_backend import get_host


@dataclass(frozen=True)
class Observed:
    """What was seen, and what seeing it took.

    Attributes:
        pictures: screenshots as PNG, by name.
        withheld: the names of those that were dropped because they show a secret.
        samples: round trips of a watch.
        at: when it was seen, if that was not in this run.
        fingerprint_key_id: which key made the equality classes.
        interrupted: True if the operator ended it before all was seen.
    """

    facts: Mapping[str, Fact | Unavailable] = field(default_factory=dict)
    looks: tuple[LookRecord, ...] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    withheld: tuple[str, ...] = ()
    logins: int = 0
    round_trips: int = 0
    samples: int = 0
    at: datetime | None = None
    fingerprint_key_id: str = ""
    interrupted: bool = False


@dataclass(frozen=True)
class Wanted:
    """What the selected checks would do beyond reading, and how the operator takes part.

    Attributes:
        actions: the names of the actions.
        ask: shows the operator a question and returns the answer; None if nobody can be asked.
        meter: shows the operator how far a watch has come.
    """

    actions: tuple[str, ...] = ()
    ask: Callable[[str], str] | None = None
    meter: Meter = field(default_factory=Meter)


class Observer(Protocol):
    """Something that can tell the facts about a target.

    Attributes:
        target: None before `open`, if it is booted only then.
        path: the target file, or the bundle.
        approvals: what was approved for this run.
        stage: of the cutover, as declared; None if it was not.
        narrowed: how what it can tell is less than the whole gate; empty if it is not.
    """

    target: Target | None
    path: Path | None
    approvals: Approvals
    stage: int | None
    narrowed: str

    def open(self, ledger: Ledger, progress: Callable[[str], None], wanted: Wanted) -> None:
        """Get ready to look.

        Raises:
            UsageError: that is not possible with the options given.
        """

    def look(self, names: Iterable[str], nouns: Mapping[str, Noun], keep: Keep) -> Observed:
        """Tell the named facts; each was looked at once.

        Args:
            names: which facts.
            nouns: every noun by name.
            keep: is handed facts as they become known, for the case that this does not come to its end.
        """

    def host(self) -> Host:
        """Return testinfra's view of the server.

        Raises:
            UnavailableError: there is none.
        """

    def close(self) -> None:
        """End whatever was opened."""


class Live:
    """Looks at the target itself; boots a rehearsal first if that is the target.

    Raises:
        UsageError: there is no such target, its file is wrong, or nobody answers for what is approved.
    """

    def __init__(self, options: Options, redactor: Redactor) -> None:
        self.target: Target | None = None
        self.path: Path | None = None
        self.approvals = Approvals()
        self.narrowed = ""
        self._options = options
        key = options.fingerprint_key
        self._secrets = Secrets.comparable(redactor, key) if key else Secrets(redactor)
        self._guard: Guard | None = None
        self._access: Access | None = None
        self._meter = Meter()
        self._resources = ExitStack()
        self._loop = Loop()
        self._resources.callback(self._loop.close)
        self.stage = options.stage
        if options.target != REHEARSAL:
            declared = self._load(target.path_of(options.target)).stage
            self.stage = declared if options.stage is None else options.stage
        elif options.stage is None:
            self.stage = REHEARSED_STAGE

    def _demand_an_approver(self, judged: Target) -> None:
        options = self._options
        if options.approve and not options.approved_by.strip() and not judged.rehearsal:
            raise UsageError(
                f"--approve {', '.join(options.approve)}: {judged.name} is no rehearsal; say who approved it "
                "with --approved-by NAME."
            )

    def _load(self, path: Path) -> Target:
        self.path = path
        self.target = target.load(path)
        self._demand_an_approver(self.target)
        self._secrets.foresee(self.target.model_dump(mode="json"))
        return self.target

    def open(self, ledger: Ledger, progress: Callable[[str], None], wanted: Wanted) -> None:
        """See `Observer.open`."""
        judged = self.target
        if judged is None:
            from rehearsal.client import boot  # noqa: PLC0415 - an operator's machine may not have it
            from rehearsal.instances import OF_GATE  # noqa: PLC0415

            booted = boot(progress, self.stage or 0, OF_GATE.get(self._options.gate))
            judged = self._load(self._resources.enter_context(booted).target_file)
        self.approvals = self._approve(judged, wanted)
        self._guard = Guard(ledger, self.approvals, judged)
        self._ledger = ledger
        self._meter = wanted.meter

    def _approve(self, judged: Target, wanted: Wanted) -> Approvals:
        options = self._options
        if options.no_approvals:
            return Approvals()
        if options.approve:
            return Approvals(tuple(sorted(set(options.approve))), options.approved_by, options.ticket)
        if judged.rehearsal:
            return Approvals(actions(), options.approved_by or BY_DEFAULT, options.ticket)
        if wanted.ask is None:
            return Approvals()
        questions = [(name, declared_actions()[name].purpose) for name in wanted.actions]
        granted = asked(questions, judged.name, wanted.ask)
        return (
            Approvals(granted, options.approved_by or AT_THE_TERMINAL, options.ticket)
            if granted
            else Approvals()
        )

    def look(self, names: Iterable[str], nouns: Mapping[str, Noun], keep: Keep) -> Observed:
        """See `Observer.look`."""
        assert self.target is not None
        assert self._guard is not None
        access = self._access = Access(
            self.target,
            self._secrets,
            self._guard,
            self._ledger,
            nouns,
            watch_s=self._options.watch_s,
            meter=self._meter,
        )
        self._resources.callback(lambda: self._loop.run(access.close()))
        wanted, interrupted = list(names), False
        try:
            facts = self._loop.run(access.collect(wanted, keep))
        except KeyboardInterrupt:
            facts, interrupted = self._loop.run(access.salvage(wanted)), True
        logins, round_trips, samples = access.visits
        return Observed(
            facts=facts,
            looks=access.looks,
            pictures=dict(sorted(access.pictures.items())),
            withheld=access.withheld,
            logins=logins,
            round_trips=round_trips,
            samples=samples,
            fingerprint_key_id=self._secrets.key_id,
            interrupted=interrupted,
        )

    def host(self) -> Host:
        """See `Observer.host`."""
        assert self._access is not None
        return get_host(self._access.host, self._loop)

    def close(self) -> None:
        """See `Observer.close`."""
        self._resources.close()


class Replayed:
    """Tells what a bundle holds; touches no network."""

    def __init__(self, bundle: StoredBundle) -> None:
        self.target: Target | None = bundle.target
        self.path: Path | None = bundle.path
        record = bundle.record
        self.approvals = Approvals(record.approved, record.approved_by, record.ticket)
        self.stage = record.stage
        self.narrowed = record.narrowed
        self._bundle = bundle

    def open(self, ledger: Ledger, progress: Callable[[str], None], wanted: Wanted) -> None:
        """See `Observer.open`."""
        del ledger, wanted
        progress(f"replaying {self._bundle.path.name}: judged again from its facts, nothing is contacted")

    def look(self, names: Iterable[str], nouns: Mapping[str, Noun], keep: Keep) -> Observed:
        """See `Observer.look`."""
        del keep
        record = self._bundle.record
        return Observed(
            facts={name: self._bundle.fact(nouns[name]) for name in names},
            looks=record.looks,
            pictures=self._bundle.pictures(),
            logins=record.logins,
            round_trips=record.round_trips,
            samples=record.samples,
            at=record.started,
            fingerprint_key_id=record.fingerprint_key_id,
        )

    def host(self) -> Host:
        """See `Observer.host`."""
        raise UnavailableError("a replay has no server to ask")

    def close(self) -> None:
        """See `Observer.close`."""
