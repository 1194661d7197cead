"""Assembles the record of a run from what its checks said; pure."""

from __future__ import annotations

from collections.abc import Sequence

from acceptance.checklist import Item
from acceptance.evidence.record import CheckRecord, ItemRecord
from acceptance.outcome import Outcome, Severity, combine, graded
from acceptance.verdict import Verdict

PLANNED = "planned"
"""Reason of an item that no check judges yet."""


def judge(item: Item, checks: Sequence[CheckRecord], not_run_reason: str) -> ItemRecord:
    """Return the outcome of an item from its checks.

    Args:
        item: what the checklist says.
        checks: its checks as they went; none if nothing ran.
        not_run_reason: why nothing ran, used only then.
    """
    outcome = graded(combine(check.outcome for check in checks), item.severity)
    decisive = [check.reason for check in checks if graded(check.outcome, item.severity) is outcome]
    return ItemRecord(
        id=item.id,
        section=item.section,
        severity=item.severity,
        claim=item.claim,
        plan=item.plan,
        remedy=item.remedy,
        approval=item.approval,
        outcome=outcome,
        reason=next((reason for reason in decisive if reason), "") if checks else not_run_reason,
        checks=tuple(checks),
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
