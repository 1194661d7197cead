"""One run of one gate: what was seen, what the checks say of it, and the reports it leaves."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from testinfra.host import Host

from acceptance import __version__, run, waivers
from acceptance.checklist import Checklist
from acceptance.errors import UnavailableError, UsageError
from acceptance.evidence.bundle import Bundle
from acceptance.evidence.record import CheckRecord, ItemRecord, RunRecord, Screenshot, TargetRecord
from acceptance.evidence.stored import Baseline, StoredBundle
from acceptance.facts import plan, watch
from acceptance.facts.base import Fact, Noun, Unavailable
from acceptance.facts.catalogue import NOUNS
from acceptance.facts.watch import Watch
from acceptance.ledger import Ledger
from acceptance.observer import Live, Observed, Observer, Replayed, Wanted
from acceptance.options import REHEARSAL, Options
from acceptance.position import Position
from acceptance.report import junit, pytest_html, signoff
from acceptance.secrets import Redactor
from acceptance.target import Target
from acceptance.verdict import Verdict, decide


class GateRun:
    """Everything between the command line and the verdict of one gate.

    Attributes:
        name: the target's.
        narrowed: how the operator narrowed the selection, empty if not; the verdict is then HOLD at best.
        collected_all: False if paths on the command line kept checks from being collected at all.
        incomplete: why the run did not come to its end, empty once it has.
        final: the record that the reports were made from, once there is one.
        baseline: an earlier run's facts.
        position: where in the plan the run stands.
    """

    def __init__(self, checklist: Checklist, gate: str, options: Options) -> None:
        self.gate = gate
        self.checklist = checklist
        self.items = checklist.of_gate(gate)
        self.narrowed = ""
        self.collected_all = True
        self.incomplete = "the run did not come to its end"
        self.final: RunRecord | None = None
        self.redactor = Redactor()
        self.baseline = Baseline(StoredBundle(options.baseline) if options.baseline else None, NOUNS)
        self._waivers = waivers.load(options.waivers, checklist.items)
        self._stored = StoredBundle(options.replay) if options.replay else None
        self._observer: Observer = Replayed(self._stored) if self._stored else Live(options, self.redactor)
        self._watch_s = options.watch_s
        self._observed = Observed()
        self._screenshots: tuple[Screenshot, ...] = ()
        self._checks: dict[str, list[CheckRecord]] = {}
        self._known_items: set[str] = set()
        self._started = datetime.now(UTC)
        judged = self._observer.target
        self.name = judged.name if judged else REHEARSAL
        self.position = self._position()
        self.bundle = Bundle(self.name, gate, self.redactor, options.reports, replay=self._stored is not None)
        self.ledger = Ledger(self.bundle.path / "ledger.jsonl", self.redactor)
        self.bundle.begin(self.record())

    def _position(self) -> Position:
        stage = self._observer.stage
        if stage is None and any(item.stages for item in self.items):
            raise UsageError(
                f"-m {self.gate}: the cutover's stage is not declared; give --stage 0 to 5, "
                "or `stage` in the target file."
            )
        return Position(stage)

    def excuse(self, item_id: str) -> str:
        """Return why an item is not judged where the run stands; empty if it is."""
        item = self.checklist.items.get(item_id)
        return self.position.excuse(item) if item else ""

    @property
    def target(self) -> Target | None:
        """The target; None before a rehearsal is booted."""
        return self._observer.target

    def open(self, progress: Callable[[str], None], wanted: Wanted) -> None:
        """Get ready to look: boot the rehearsal if it is the target.

        Raises:
            UsageError: the rehearsal cannot boot here, or an unknown action was approved.
        """
        self._observer.open(self.ledger, progress, wanted)

    def look(self, names: Iterable[str], nouns: Mapping[str, Noun]) -> None:
        """Collect the named facts, each once, and keep them.

        Raises:
            KeyboardInterrupt: the operator interrupted it; what was seen until then is kept.
        """
        if self.target is not None:
            self.bundle.keep_target(self.target)
        self._observed = self._observer.look(names, nouns, self.bundle.keep_fact)
        for name, fact in self._observed.facts.items():
            self.bundle.keep_fact(name, fact)
        self._screenshots = tuple(
            self.bundle.write_picture(name, png) for name, png in self._observed.pictures.items()
        )
        if self._observed.interrupted:
            raise KeyboardInterrupt

    def fact(self, name: str) -> Fact:
        """Return a fact for a check.

        Raises:
            UnavailableError: it could not be looked at.
        """
        fact = self._observed.facts[name]
        if isinstance(fact, Unavailable):
            raise UnavailableError(fact.reason, fact.remedy)
        return fact

    def testinfra_host(self) -> Host:
        """Return testinfra's view of the server, over this run's login."""
        return self._observer.host()

    def known(self, item_ids: Iterable[str]) -> None:
        """Note which items have checks at all; the others are planned."""
        self._known_items.update(item_ids)
        unknown = self._known_items - set(self.checklist.items)
        if unknown:
            raise UsageError(
                f"a check names the item {sorted(unknown)[0]}, which checklist/ lacks; correct its marker."
            )

    def add(self, check: CheckRecord) -> None:
        """Keep how a check went, its remote text redacted."""
        clean = self.redactor.clean
        evidence = tuple(
            entry.model_copy(
                update={name: clean(getattr(entry, name)) for name in ("expected", "seen", "where", "again")}
            )
            for entry in check.evidence
        )
        kept = check.model_copy(
            update={"reason": clean(check.reason), "remedy": clean(check.remedy), "evidence": evidence}
        )
        self._checks.setdefault(check.item, []).append(kept)
        self.bundle.keep_check(kept)

    def check_named(self, name: str) -> CheckRecord | None:
        """Return the record of a check by its node id."""
        return next(
            (check for checks in self._checks.values() for check in checks if check.name == name), None
        )

    def _why_not_run(self, item_id: str) -> str:
        if self.narrowed and (item_id in self._known_items or not self.collected_all):
            return "not selected"
        if item_id in self._known_items or not self._known_items:
            return "the run ended before it"
        return run.PLANNED

    @property
    def _seen_at(self) -> datetime:
        return self._observed.at or self._started

    def _judged(self) -> tuple[ItemRecord, ...]:
        mine = {waiver.item: waiver for waiver in self._waivers if waiver.target == self.name}
        return tuple(
            run.judge(
                item,
                self._checks.get(item.id, ()),
                self._why_not_run(item.id),
                mine.get(item.id),
                self._seen_at,
            )
            for item in self.items
        )

    def _warnings(self, items: Iterable[ItemRecord]) -> tuple[str, ...]:
        expired = [
            f"the waiver of {waiver.item} expired on {waiver.expires:%Y-%m-%d %H:%M} UTC and is ignored"
            for waiver in self._waivers
            if waiver.target == self.name and waiver.expires <= self._seen_at
        ]
        changed = run.differences(self._stored.record.items, tuple(items)) if self._stored else ()
        withheld = [
            f"the picture of the page {name} was not kept: it shows a secret"
            for name in self._observed.withheld
        ]
        return (*expired, *changed, *withheld, *self._remarks)

    @property
    def besides(self) -> frozenset[str]:
        """The facts that are kept whether a check judges them or not: the plan's digests, a watch asked for.

        Of a bundle that is replayed those of them that it holds.
        """
        if self._stored is not None:
            return frozenset(noun.name for noun in (plan.NOUN, watch.NOUN) if self._stored.has(noun))
        return frozenset({plan.NOUN.name, *([watch.NOUN.name] if self._watch_s else ())})

    @property
    def _watch(self) -> Watch | None:
        seen = self._observed.facts.get(watch.NOUN.name)
        return seen if isinstance(seen, Watch) else None

    @property
    def _remarks(self) -> tuple[str, ...]:
        """What a watch saw, unless a check judged it."""
        seen = self._observed.facts.get(watch.NOUN.name)
        judged = any(watch.NOUN.name in check.facts for checks in self._checks.values() for check in checks)
        if seen is None or judged:
            return ()
        if isinstance(seen, Unavailable):
            return (f"it was not watched: {seen.reason}",)
        assert isinstance(seen, Watch)
        return tuple(f"while watched for {seen.told}: {remark}" for remark in seen.remarks)

    def record(self) -> RunRecord:
        """Return the record of the run as it is now."""
        items = self._judged()
        narrowed = self.narrowed or self._observer.narrowed
        whole = not narrowed and not self.incomplete
        verdict = decide([(item.severity, item.outcome) for item in items], whole_gate=whole)
        if self.incomplete:
            verdict = Verdict.HOLD
        return RunRecord(
            suite_version=f"{__version__} (Python {platform.python_version()})",
            gate=self.gate,
            gate_title=self.checklist.titles[self.gate],
            target=self._target_record(),
            rehearsal=self.target.rehearsal if self.target else True,
            verdict=verdict,
            reason=run.explain(
                verdict, items, self.incomplete and f"incomplete: {self.incomplete}", narrowed
            ),
            started=self._started,
            finished=None if self.incomplete else datetime.now(UTC),
            replayed=self._stored.path.name if self._stored else "",
            seen=self._seen_at,
            fingerprint_key_id=self._observed.fingerprint_key_id,
            approved=self._observer.approvals.actions,
            approved_by=self._observer.approvals.by,
            ticket=self._observer.approvals.ticket,
            narrowed=narrowed,
            stage=self.position.stage,
            logins=self._observed.logins,
            round_trips=self._observed.round_trips,
            samples=self._observed.samples,
            items=items,
            looks=self._observed.looks,
            watch=self._watch,
            screenshots=self._screenshots,
            warnings=self._warnings(items) if not self.incomplete else (),
        )

    def _target_record(self) -> TargetRecord:
        judged, path = self.target, self._observer.path
        if judged is None:
            return TargetRecord(name=self.name, public_name="", server="", file="")
        return TargetRecord(
            name=self.name,
            public_name=judged.known_as,
            server=f"{judged.login}:{judged.server.port}" if judged.login else "",
            file=path.name if path else "",
        )

    def finish(self) -> RunRecord:
        """Write the reports from the final record and return it; without them nothing is final.

        They get their names when the bundle is sealed: a killed run leaves no page that says GO.
        """
        record = self.record()
        self.bundle.prepare("signoff.html", signoff.render(record, self._observed.pictures))
        self.bundle.prepare("junit.xml", junit.render(record))
        self.final = record
        return record

    def seal(self) -> None:
        """Complete pytest-html's page and replace the incomplete verdict; the last things written."""
        if self.final is None:
            return
        page = self.bundle.path / "report.html"
        if page.is_file():
            self.bundle.write(page.name, pytest_html.finish(page.read_text(encoding="utf-8"), self.final))
        self.bundle.publish()
        self.bundle.finish(self.final, self._observed.facts)

    def close(self) -> None:
        """Close connections, end the rehearsal, close the ledger."""
        self._observer.close()
        self.ledger.close()
