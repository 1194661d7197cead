"""What changed between two bundles, as text and as a page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from acceptance.evidence.diff import (
    ABSENT,
    EQUALITY_CLASS,
    Change,
    Difference,
    Item,
    ItemChange,
    Value,
)
from acceptance.report import view
from acceptance.report.signoff import LARGEST, policy, style, template
from acceptance.report.text import one_line

_LONGEST = 240
"""Characters of one value in a line of text."""

_EXTENTS = ((4000, 2000), (1000, 1000), (250, 400), (60, 80))
"""Characters of one value, and changes of one fact; the next are taken if the page would be too large."""


def lines(difference: Difference, *, everything: bool) -> Iterator[str]:
    """Tell what changed, line by line, safe for a terminal.

    Args:
        difference: what changed.
        everything: True to list what is volatile too.
    """
    before, after = difference.before, difference.after
    for letter, side in (("A", before), ("B", after)):
        summary = side.summary
        run = f"{summary.gate} on {summary.target}, {view.utc(summary.started)}, {side.name}"
        yield one_line(f"{letter}: {summary.verdict}, {run}")
        yield from (f"   not as it was sealed: {one_line(finding)}" for finding in side.findings)
    if difference.rehearsal:
        yield view.REHEARSAL
    yield from _of_items(difference)
    yield from _of_facts(difference, everything=everything)
    if difference.is_empty:
        yield conclusion(difference)


def _of_items(difference: Difference) -> Iterator[str]:
    if difference.items:
        yield f"\noutcomes changed: {len(difference.items)}"
    for change in difference.items:
        yield f"  {_short(change.id)} ({change.severity}): {outcome(change.before)} → {outcome(change.after)}"
        yield from (f"      {letter}: {_short(reason)}" for letter, reason in reasons(change) if reason)


def _of_facts(difference: Difference, *, everything: bool) -> Iterator[str]:
    changed = [fact for fact in difference.facts if fact.changes]
    if changed:
        yield f"\nfacts changed: {sum(len(fact.changes) for fact in changed)}"
    for fact in changed:
        yield from (_line(fact.fact, change) for change in fact.changes)
    closed = [f"{fact.fact}: {path}" for fact in difference.facts for path in fact.not_comparable]
    if closed:
        yield f"\nsecrets not comparable: {len(closed)} (the runs had no common --fingerprint-key)"
    volatile = [(fact.fact, change) for fact in difference.facts for change in fact.volatile]
    if volatile:
        yield f"\nvolatile, not counted: {len(volatile)}" + ("" if everything else " (--all lists them)")
    if everything:
        yield from (_line(fact, change) for fact, change in volatile)
        yield from (f"  {one_line(path)}: not comparable" for path in closed)


def _line(fact: str, change: Change) -> str:
    place = f"{fact}: {change.path}" if change.path else fact
    return f"  {one_line(place)}: {_short(value(change.before))} → {_short(value(change.after))}"


def _short(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}… ({len(line)} characters)"


def render(difference: Difference, *, everything: bool) -> str:
    """Return the page as HTML: no script, nothing loaded, the same bytes for the same two bundles."""
    css = style()
    shown = {
        "difference": difference,
        "everything": everything,
        "view": view,
        "css": css,
        "policy": policy(css),
        "conclusion": conclusion,
        "outcome": outcome,
        "reasons": reasons,
        "value": value,
        "grouped": grouped,
        "changed": [fact for fact in difference.facts if fact.changes],
        "volatile": [fact for fact in difference.facts if fact.volatile],
        "closed": [fact for fact in difference.facts if fact.not_comparable],
    }
    page = ""
    for longest, most in _EXTENTS:
        page = template("diff.html.j2").render(shown, longest=longest, most=most)
        if len(page.encode()) <= LARGEST:
            break
    return page


def conclusion(difference: Difference) -> str:
    """Say that nothing changed, and whether secrets may have."""
    unsure = any(fact.not_comparable for fact in difference.facts)
    return "nothing changed, but for secrets, which are not comparable" if unsure else "nothing changed"


def outcome(item: Item | None) -> str:
    """Name an item's outcome."""
    return view.WORDS[item.outcome] if item else "not an item of the gate"


def reasons(change: ItemChange) -> tuple[tuple[str, str], ...]:
    """Return the reasons before and after, each with its bundle's letter."""
    sides = (("A", change.before), ("B", change.after))
    return tuple((letter, item.reason if item else "") for letter, item in sides)


def grouped(paths: Iterable[str]) -> dict[str, list[str]]:
    """Return the secrets' names by what they belong to, from their places."""
    groups: dict[str, list[str]] = {}
    for path in paths:
        place = path.removesuffix(f".{EQUALITY_CLASS}")
        start = place.rfind('."') if place.endswith('"') else place.rfind(".")
        groups.setdefault(place[: max(start, 0)], []).append(place[start + 1 :])
    return groups


def value(one: Value) -> str:
    """Write a value as it is shown: a text as it is, anything else as JSON."""
    if one is ABSENT:
        return "(absent)"
    return one if isinstance(one, str) and one else json.dumps(one, ensure_ascii=False)
