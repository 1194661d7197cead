"""What the reports have in common: order, grouping and wording. It arranges a record and judges nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from acceptance.check import Evidence
from acceptance.evidence.record import CheckRecord, ItemRecord, RunRecord
from acceptance.outcome import Outcome, Severity
from acceptance.run import PLANNED
from acceptance.verdict import Verdict

REHEARSAL: Final = "REHEARSAL — not evidence about production"

SYMBOLS: Final = {
    Outcome.PASS: "✓",
    Outcome.WARN: "!",
    Outcome.UNKNOWN: "?",
    Outcome.NOT_RUN: "?",
    Outcome.FAIL: "✗",
    Outcome.WAIVED: "w",
    Outcome.NOT_APPLICABLE: "–",
}
"""One sign per outcome, in the order in which outcomes are counted."""

WORDS: Final = {
    Outcome.PASS: "pass",
    Outcome.WARN: "warning",
    Outcome.UNKNOWN: "unknown",
    Outcome.NOT_RUN: "not run",
    Outcome.FAIL: "fail",
    Outcome.WAIVED: "waived",
    Outcome.NOT_APPLICABLE: "not applicable",
}
"""The same as words."""

_UNANSWERED = (Outcome.UNKNOWN, Outcome.NOT_RUN)


@dataclass(frozen=True)
class Section:
    """The items of one section of the checklist, in its order; `planned` are those without a check yet."""

    name: str
    items: tuple[ItemRecord, ...]
    planned: tuple[ItemRecord, ...]

    @property
    def counts(self) -> tuple[tuple[Outcome, int], ...]:
        """How many items have which outcome, planned ones left out."""
        return _counted(self.items)


@dataclass(frozen=True)
class OpenQuestion:
    """Items without an answer for one and the same reason.

    Attributes:
        remedy: how to get the answer; empty if nothing better than the reason is known.
    """

    reason: str
    remedy: str
    items: tuple[ItemRecord, ...]


def is_planned(item: ItemRecord) -> bool:
    """Tell whether the item's check is not written yet."""
    return item.outcome is Outcome.NOT_RUN and item.reason == PLANNED


def sections(record: RunRecord) -> tuple[Section, ...]:
    """Return the sections in the order of the checklist."""
    names = dict.fromkeys(item.section for item in record.items)
    return tuple(_section(name, record) for name in names)


def planned(record: RunRecord) -> tuple[ItemRecord, ...]:
    """Return the items whose checks are not written yet."""
    return tuple(item for item in record.items if is_planned(item))


def counts(record: RunRecord) -> tuple[tuple[Outcome, int], ...]:
    """Return how many items have which outcome, planned ones left out."""
    return _counted([item for item in record.items if not is_planned(item)])


def with_outcome(record: RunRecord, outcome: Outcome) -> tuple[ItemRecord, ...]:
    """Return the items with that outcome, blockers first."""
    found = [item for item in record.items if item.outcome is outcome]
    return tuple(sorted(found, key=lambda item: item.severity is not Severity.BLOCKER))


def open_questions(record: RunRecord) -> tuple[OpenQuestion, ...]:
    """Return what is unknown or did not run, grouped by equal reason, those of blockers first.

    Planned items are left out; an item with two different reasons occurs under both.
    """
    groups: dict[tuple[str, str], list[ItemRecord]] = {}
    for item in record.items:
        if item.outcome in _UNANSWERED and not is_planned(item):
            for reason in _reasons(item):
                groups.setdefault(reason, []).append(item)
    found = [OpenQuestion(reason, remedy, tuple(items)) for (reason, remedy), items in groups.items()]
    return tuple(sorted(found, key=lambda question: not _holds_up(question)))


def refuted(item: ItemRecord) -> tuple[Evidence, ...]:
    """Return the claims of the item that do not hold."""
    return tuple(evidence for check in item.checks for evidence in check.evidence if not evidence.holds)


def pictures(item: ItemRecord) -> tuple[str, ...]:
    """Return the names of the screenshots that the item's evidence refers to, each once."""
    found = (evidence.picture for check in item.checks for evidence in check.evidence if evidence.picture)
    return tuple(dict.fromkeys(found))


def unproved(item: ItemRecord) -> tuple[CheckRecord, ...]:
    """Return the checks that failed without evidence, so that only their reason tells why."""
    return tuple(
        check
        for check in item.checks
        if check.outcome in (Outcome.FAIL, Outcome.WARN) and all(entry.holds for entry in check.evidence)
    )


def request(record: RunRecord) -> str:
    """Return what the verdict asks of the operator, in one to a few sentences."""
    sentences = [_REQUESTS[record.verdict]] if record.verdict is not Verdict.HOLD else _hold_requests(record)
    if record.rehearsal:
        sentences.append("This was a rehearsal: it decides nothing about production.")
    return " ".join(sentences)


def approved(record: RunRecord) -> str:
    """Return which actions were approved, by whom and for what, in one line."""
    if not record.approved:
        return "none"
    by = f" ({record.approved_by})" if record.approved_by else ""
    ticket = f", ticket {record.ticket}" if record.ticket else ""
    return ", ".join(record.approved) + by + ticket


def count(number: int, noun: str) -> str:
    """Return a number with its noun, regular plural where it needs one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def utc(moment: datetime | None) -> str:
    """Return a moment in UTC to the second; a moment without a zone is taken as UTC."""
    if moment is None:
        return "did not finish"
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(record: RunRecord) -> str:
    """Return how long the run took, in seconds."""
    if record.finished is None:
        return "unknown"
    return f"{(record.finished - record.started).total_seconds():.1f} s"


_REQUESTS = {
    Verdict.GO: "Read the evidence you rely on and whatever is a warning or waived, then sign below.",
    Verdict.NO_GO: "Do not go live. Repair what failed, then run the gate again.",
}


def _hold_requests(record: RunRecord) -> list[str]:
    sentences = ["Do not go live on this record."]
    if record.finished is None:
        sentences.append("The run did not finish: run the gate again.")
    if record.narrowed:
        sentences.append("Only a part of the gate was selected: run the whole gate.")
    if open_questions(record):
        sentences.append("Get the missing answers, then run the gate again.")
    missing = len(planned(record))
    if missing:
        have = "has" if missing == 1 else "have"
        sentences.append(f"{count(missing, 'planned item')} {have} no check yet: judge them by other means.")
    return sentences


def _section(name: str, record: RunRecord) -> Section:
    mine = [item for item in record.items if item.section == name]
    return Section(
        name=name,
        items=tuple(item for item in mine if not is_planned(item)),
        planned=tuple(item for item in mine if is_planned(item)),
    )


def _counted(items: list[ItemRecord] | tuple[ItemRecord, ...]) -> tuple[tuple[Outcome, int], ...]:
    numbers = Counter(item.outcome for item in items)
    return tuple((outcome, numbers[outcome]) for outcome in SYMBOLS if numbers[outcome])


def _reasons(item: ItemRecord) -> list[tuple[str, str]]:
    found = [(check.reason, check.remedy) for check in item.checks if check.outcome in _UNANSWERED]
    return list(dict.fromkeys(found)) or [(item.reason, "")]


def _holds_up(question: OpenQuestion) -> bool:
    return any(item.severity is Severity.BLOCKER for item in question.items)
