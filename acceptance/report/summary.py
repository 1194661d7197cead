"""The end of the terminal's output: a line per section, what failed and what to do, the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from acceptance.evidence.record import ItemRecord, RunRecord
from acceptance.outcome import Outcome, Severity
from acceptance.report import view
from acceptance.report.text import cells, one_line, visible, wrap
from acceptance.verdict import Verdict

_MINIMUM_WIDTH: Final = 60
_LONGEST_VALUE: Final = 12
"""Lines of one value; the whole of it is in the report."""

_GREEN, _RED, _YELLOW, _MAGENTA, _BOLD, _FAINT = "32", "31", "33", "35", "1", "2"

_COLOURS: Final = {
    Outcome.PASS: _GREEN,
    Outcome.FAIL: _RED,
    Outcome.WARN: _YELLOW,
    Outcome.UNKNOWN: _MAGENTA,
    Outcome.NOT_RUN: _MAGENTA,
    Outcome.WAIVED: _YELLOW,
    Outcome.NOT_APPLICABLE: _FAINT,
}
_VERDICT_COLOURS: Final = {Verdict.GO: _GREEN, Verdict.NO_GO: _RED, Verdict.HOLD: _YELLOW}


def lines(record: RunRecord, *, width: int, colour: bool, report_path: str) -> list[str]:
    """Return the summary, one string per line, without line ends.

    Args:
        record: the run.
        width: columns of the terminal; lines keep within it, but for fewer than 60.
        colour: whether to use ANSI colours. Text from the target is printed without any control
            character either way; they are shown as escapes.
        report_path: where the reports are; printed in one piece, so that it can be copied.
    """
    writer = _Writer(max(width, _MINIMUM_WIDTH), colour)
    _sections(writer, record)
    _failed(writer, view.with_outcome(record, Outcome.FAIL), "failed")
    _failed(writer, view.with_outcome(record, Outcome.WARN), "warnings")
    _unanswered(writer, record)
    _waived(writer, record)
    _planned(writer, record)
    _notes(writer, record)
    _verdict(writer, record, report_path)
    return writer.lines


class _Writer:
    """Collects lines, wrapped and coloured."""

    def __init__(self, width: int, colour: bool) -> None:
        self.width = width
        self.lines: list[str] = []
        self._colour = colour

    def paint(self, text: str, *codes: str) -> str:
        """Return the text in colour, if there is colour."""
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self._colour else text

    def blank(self) -> None:
        """Add an empty line."""
        self.lines.append("")

    def heading(self, text: str) -> None:
        """Add an empty line and a heading."""
        self.blank()
        self.lines.append(self.paint(text, _BOLD))

    def add(self, label: str, text: str, *codes: str, indent: int = 0, limit: int = 0) -> None:
        """Add a label and a text, wrapped and aligned behind the label.

        Args:
            label: own text.
            text: any text.
            codes: the label's colour.
            indent: columns to the left.
            limit: the number of lines shown, 0 for all.
        """
        label = visible(label)
        if indent + cells(label) > self.width // 2:
            self.add("", label, indent=indent)
            label, indent = "", indent + 2
        margin = indent + cells(label)
        first, *rest = _shortened(wrap(text, self.width - margin), limit)
        head = " " * indent + (self.paint(label, *codes) if codes else label)
        self.lines.append((head + first).rstrip())
        self.lines += [(" " * margin + line).rstrip() for line in rest]


def _shortened(pieces: list[str], limit: int) -> list[str]:
    if not limit or len(pieces) <= limit:
        return pieces
    return [*pieces[: limit - 1], f"… {len(pieces) - limit + 1} more lines: see the report"]


def _sections(writer: _Writer, record: RunRecord) -> None:
    found = view.sections(record)
    longest = max((cells(one_line(section.name)) for section in found), default=0)
    writer.heading("Sections")
    for section in found:
        name = one_line(section.name)
        parts = [
            (f"{view.SYMBOLS[outcome]} {number}", _COLOURS[outcome]) for outcome, number in section.counts
        ]
        if section.planned:
            parts.append((f"{len(section.planned)} planned", _FAINT))
        counted = "   ".join(writer.paint(text, code) for text, code in parts)
        writer.lines.append(f"  {name}{' ' * (longest - cells(name))}   {counted}")


def _failed(writer: _Writer, items: tuple[ItemRecord, ...], title: str) -> None:
    for position, item in enumerate(items):
        if position == 0:
            writer.heading(f"{title.capitalize()} ({len(items)})")
        else:
            writer.blank()
        writer.add(f"{view.SYMBOLS[item.outcome]} {item.id}  ", item.claim, _COLOURS[item.outcome], indent=2)
        for label, text in _particulars(item):
            writer.add(f"{label:<10}", text, _FAINT, indent=4, limit=_LONGEST_VALUE)
        if item.remedy:
            writer.add(f"{'do:':<10}", item.remedy, _BOLD, indent=4)


def _particulars(item: ItemRecord) -> Iterator[tuple[str, str]]:
    for check in view.unproved(item):
        yield "reason", check.reason
    for evidence in view.refuted(item):
        yield "expected", evidence.expected
        yield "seen", evidence.seen
        yield "where", evidence.where
        yield "again", evidence.again
    if not item.checks and item.reason:
        yield "reason", item.reason


def _unanswered(writer: _Writer, record: RunRecord) -> None:
    questions = view.open_questions(record)
    if questions:
        writer.heading(f"No answer ({len({item.id for question in questions for item in question.items})})")
    for question in questions:
        reason = question.reason or "no reason was recorded"
        writer.add("? ", reason, _MAGENTA, indent=2, limit=_LONGEST_VALUE)
        writer.add(f"{'items':<10}", ", ".join(_named(item) for item in question.items), _FAINT, indent=4)
        if question.remedy:
            writer.add(f"{'do:':<10}", question.remedy, _BOLD, indent=4)


def _waived(writer: _Writer, record: RunRecord) -> None:
    items = view.with_outcome(record, Outcome.WAIVED)
    if items:
        writer.heading(f"Waived ({len(items)})")
    for item in items:
        writer.add(f"w {item.id}  ", f"{view.WORDS[item.true_outcome]}, {item.waiver}", _YELLOW, indent=2)


def _planned(writer: _Writer, record: RunRecord) -> None:
    items = view.planned(record)
    if items:
        writer.blank()
        names = ", ".join(one_line(item.id) for item in items)
        writer.add("", f"Planned, no check yet ({len(items)}): {names}")


def _notes(writer: _Writer, record: RunRecord) -> None:
    if record.warnings:
        writer.heading("Notes")
    for warning in record.warnings:
        writer.add("- ", warning, indent=2)


def _verdict(writer: _Writer, record: RunRecord, report_path: str) -> None:
    writer.blank()
    if record.rehearsal:
        writer.lines.append(writer.paint(view.REHEARSAL, _BOLD, _YELLOW))
    if record.replayed:
        writer.add("replayed from ", record.replayed)
    writer.add(f"{record.verdict.value} — ", record.reason, _BOLD, _VERDICT_COLOURS[record.verdict])
    writer.add("", view.request(record))
    writer.lines.append(f"report: {visible(report_path)}")


def _named(item: ItemRecord) -> str:
    name = one_line(item.id)
    return name if item.severity is Severity.BLOCKER else f"{name} (advisory)"
