"""One run of one gate: gets the target, looks at it, keeps what the checks say, and leaves the reports."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from testinfra.host import Host

from acceptance import __version__, run, target
from acceptance.access import Access
from acceptance.checklist import Checklist
from acceptance.errors import UnavailableError, UsageError
from acceptance.evidence.bundle import Bundle
from acceptance.evidence.record import CheckRecord, RunRecord, Screenshot, TargetRecord
from acceptance.facts.base import Fact, Noun, Unavailable
from acceptance.guard import Guard, actions
from acceptance.ledger import Ledger
from acceptance.loop import Loop
from acceptance.report import junit, pytest_html, signoff
from acceptance.secrets import Redactor, Secrets
from acceptance.transports.testinfra_backend import get_host
from acceptance.verdict import Verdict, decide

REHEARSAL = "rehearsal"
"""The target that is used when none is named."""


class GateRun:
    """Everything between the command line and the verdict of one gate.

    Attributes:
        name: the target's.
        narrowed: how the operator narrowed the selection, empty if not; the verdict is then HOLD at best.
        collected_all: False if paths on the command line kept checks from being collected at all.
        incomplete: why the run did not come to its end, empty once it has.
    """

    def __init__(
        self,
        checklist: Checklist,
        gate: str,
        target_name: str,
        approvals: Iterable[str],
        *,
        no_approvals: bool,
        reports: Path,
    ) -> None:
        self.gate = gate
        self.checklist = checklist
        self.items = checklist.of_gate(gate)
        self.narrowed = ""
        self.collected_all = True
        self.incomplete = "the run did not come to its end"
        self.final: RunRecord | None = None
        self.redactor = Redactor()
        self._approvals = tuple(approvals)
        self._no_approvals = no_approvals
        self._checks: dict[str, list[CheckRecord]] = {}
        self._known_items: set[str] = set()
        self._facts: dict[str, Fact | Unavailable] = {}
        self._screenshots: tuple[Screenshot, ...] = ()
        self._guard: Guard | None = None
        self._secrets = Secrets(self.redactor)
        self._loop = Loop()
        self._resources = ExitStack()
        self._resources.callback(self._loop.close)
        self._access: Access | None = None
        self._started = datetime.now(UTC)
        self._path: Path | None = None
        self.target: target.Target | None = None
        if target_name != REHEARSAL:
            self._path = target.path_of(target_name)
            self.target = target.load(self._path)
        self.name = self.target.name if self.target else REHEARSAL
        self.bundle = Bundle(self.name, gate, self.redactor, reports=reports)
        self.ledger = Ledger(self.bundle.path / "ledger.jsonl", self.redactor)
        self.bundle.begin(self.record())

    def open(self, progress: Callable[[str], None]) -> None:
        """Boot the rehearsal if it is the target, and get ready to look.

        Raises:
            UsageError: the rehearsal cannot boot here, or an unknown action was approved.
        """
        if self.target is None:
            from rehearsal.client import boot  # noqa: PLC0415 - an operator's machine may not have it

            rehearsal = self._resources.enter_context(boot(progress))
            self._path = rehearsal.target_file
            self.target = target.load(self._path)
        self._guard = Guard(self.ledger, self._approved(self.target))

    def _approved(self, judged: target.Target) -> tuple[str, ...]:
        if self._no_approvals:
            return ()
        return actions() if judged.rehearsal and not self._approvals else self._approvals

    def look(self, names: Iterable[str], nouns: Mapping[str, Noun]) -> None:
        """Collect the named facts, each once, all at the same time."""
        assert self.target is not None
        assert self._guard is not None
        self._access = Access(self.target, self._secrets, self._guard, self.ledger, nouns)
        self._resources.callback(lambda access: self._loop.run(access.close()), self._access)
        self.bundle.keep_target(self.target)
        self._facts = self._loop.run(self._access.collect(names))
        self.bundle.keep_facts(self._facts)
        self._screenshots = tuple(
            self.bundle.write_picture(name, png) for name, png in sorted(self._access.pictures.items())
        )

    def fact(self, name: str) -> Fact:
        """Return a fact for a check.

        Raises:
            UnavailableError: it could not be looked at.
        """
        fact = self._facts[name]
        if isinstance(fact, Unavailable):
            raise UnavailableError(fact.reason, fact.remedy)
        return fact

    def testinfra_host(self) -> Host:
        """Return testinfra's view of the server, over this run's login."""
        assert self._access is not None
        return get_host(self._access.host, self._loop)

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

    def record(self) -> RunRecord:
        """Return the record of the run as it is now."""
        items = tuple(
            run.judge(
                item,
                self._checks.get(item.id, ()),
                self._why_not_run(item.id),
            )
            for item in self.items
        )
        whole = not self.narrowed and not self.incomplete
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
                verdict, items, self.incomplete and f"incomplete: {self.incomplete}", self.narrowed
            ),
            started=self._started,
            finished=None if self.incomplete else datetime.now(UTC),
            approved=self._guard.approved if self._guard else (),
            narrowed=self.narrowed,
            logins=self._access.host.logins if self._access else 0,
            round_trips=self._access.host.round_trips if self._access else 0,
            items=items,
            looks=tuple(sorted(self._access.looks, key=lambda look: (look.started_s, look.fact)))
            if self._access
            else (),
            screenshots=self._screenshots,
        )

    def _target_record(self) -> TargetRecord:
        return TargetRecord(
            name=self.name,
            public_name=self.target.public.name if self.target else "",
            server=f"{self.target.server.user}@{self.target.server.address}:{self.target.server.port}"
            if self.target
            else "",
            file=self._path.name if self._path else "",
        )

    def finish(self) -> RunRecord:
        """Write the reports from the final record and return it."""
        self.final = self.record()
        self.bundle.write(
            "signoff.html", signoff.render(self.final, self._access.pictures if self._access else {})
        )
        self.bundle.write("junit.xml", junit.render(self.final))
        return self.final

    def seal(self) -> None:
        """Complete pytest-html's page and replace the incomplete verdict; the last things written."""
        if self.final is None:
            return
        page = self.bundle.path / "report.html"
        if page.is_file():
            self.bundle.write(page.name, pytest_html.finish(page.read_text(encoding="utf-8"), self.final))
        self.bundle.finish(self.final)

    def close(self) -> None:
        """Close connections, end the rehearsal, close the ledger."""
        self._resources.close()
        self.ledger.close()
