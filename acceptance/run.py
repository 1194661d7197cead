"""Assembles the record of a run from what its checks said; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from acceptance.checklist import Item
from acceptance.evidence.record import CheckRecord, ItemRecord
from acceptance.outcome import Outcome, Severity, combine, graded
from acceptance.verdict import Verdict
from acceptance.waivers import Waiver

PLANNED = "planned"
"""Reason of an item that no check judges yet."""


_WAIVABLE = (Outcome.FAIL, Outcome.WARN, Outcome.UNKNOWN)
"""What did not run cannot be waived: a waived check still runs."""


def judge(
    item: Item,
    checks: Sequence[CheckRecord],
    not_run_reason: str,
    waiver: Waiver | None,
    seen_at: datetime,
) -> ItemRecord:
    """Return the outcome of an item from its checks.

    Args:
        item: what the checklist says.
        checks: its checks as they went; none if nothing ran.
        not_run_reason: why nothing ran, used only then.
        waiver: the item's waiver for this target, if there is one; ignored once it has expired.
        seen_at: when the facts were seen, by which a waiver is valid or not.
    """
    outcome = graded(combine(check.outcome for check in checks), item.severity)
    decisive = [check.reason for check in checks if graded(check.outcome, item.severity) is outcome]
    waived = waiver is not None and outcome in _WAIVABLE and seen_at < waiver.expires
    return ItemRecord(
        id=item.id,
        section=item.section,
        severity=item.severity,
        claim=item.claim,
        plan=item.plan,
        remedy=item.remedy,
        approval=item.approval,
        outcome=Outcome.WAIVED if waived else outcome,
        true_outcome=outcome,
        waiver=waiver.summary if waiver is not None and waived else "",
        reason=next((reason for reason in decisive if reason), "") if checks else not_run_reason,
        checks=tuple(checks),
    )


def differences(before: Iterable[ItemRecord], after: Iterable[ItemRecord]) -> tuple[str, ...]:
    """Say what this suite judges differently on the same facts than the suite that collected them."""
    then = {item.id: item.true_outcome for item in before}
    return tuple(
        f"judged differently than before: {item.id} was {then[item.id].value}, is {item.true_outcome.value}"
        for item in after
        if item.id in then and then[item.id] is not item.true_outcome
    )


def explain(verdict: Verdict, items: Sequence[ItemRecord], incomplete: str, narrowed: str) -> str:
    """Say in one sentence why the verdict is what it is."""
    blockers: dict[Outcome, list[str]] = {outcome: [] for outcome in Outcome}
    for item in items:
        if item.severity is Severity.BLOCKER:
            blockers[item.outcome].append(item.id)
    waiting = {item.id for item in items if item.outcome is Outcome.NOT_RUN and item.reason == PLANNED}
    planned = [item_id for item_id in blockers[Outcome.NOT_RUN] if item_id in waiting]
    parts = [
        _count(blockers[Outcome.FAIL], "failed"),
        incomplete,
        narrowed and f"the selection was narrowed by {narrowed}",
        _count(blockers[Outcome.UNKNOWN], "could not be judged"),
        _count([item_id for item_id in blockers[Outcome.NOT_RUN] if item_id not in waiting], "did not run"),
        _count(planned, "planned, not checked yet"),
    ]
    told = [part for part in parts if part]
    if verdict is Verdict.GO:
        waived = _count(blockers[Outcome.WAIVED], "waived")
        return "every blocker passed" + (f"; {waived}" if waived else "")
    return "; ".join(told) or "the gate has no blocker that was judged"


def _count(ids: Sequence[str], what: str) -> str:
    if not ids:
        return ""
    shown = ", ".join(ids[:4]) + (", …" if len(ids) > 4 else "")
    return f"{len(ids)} blocker{'s' if len(ids) > 1 else ''} {what} ({shown})"
