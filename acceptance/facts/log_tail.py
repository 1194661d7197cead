"""Follows a log through reads that overlap, so that nothing is missed or counted twice, or the loss is told.

The last line that was read must be there again in the next read. If it is, what follows it is new; if it is
not, the log was rotated or cut meanwhile, and what stood between is unknown. Lines are told by their
position: those of standard output and standard error may be stamped in another order than they were written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from acceptance.facts.containers import nanoseconds

LIMIT = 5000
"""Lines that one read gives at most, from the end of the log."""

BEGINNING = 200
"""Lines that are read to find where to begin."""

OVERLAP_S = 2.0
"""How far a read reaches back before the last line that was read."""

Line = tuple[str, str]
"""Docker's timestamp, and the text."""


@dataclass(frozen=True)
class _Anchor:
    """The last line that was read; `copies` counts the equal ones up to it."""

    line: Line
    copies: int


@dataclass(frozen=True)
class Read:
    """What a read gave.

    Attributes:
        fresh: the lines that are new.
        lost_since: the timestamp after which something may be missing; empty if nothing is.
        why: what happened to it.
    """

    fresh: tuple[Line, ...]
    lost_since: str = ""
    why: str = ""


class Tail:
    """The end of one container's log.

    Args:
        since: where to begin, as a timestamp of the server's clock.

    Attributes:
        had_lines: whether there was ever a line in it.
    """

    def __init__(self, since: str) -> None:
        self.had_lines = False
        self._since = since
        self._anchor: _Anchor | None = None

    @property
    def since(self) -> str:
        """From when on the next read must be."""
        if self._anchor is None:
            return self._since
        return _written(nanoseconds(self._anchor.line[0]) - round(OVERLAP_S * 1e9))

    def skip(self, lines: Sequence[Line]) -> None:
        """Take what is there already; only what follows it is new."""
        self._hold(lines)

    def take(self, lines: Sequence[Line], at: str) -> Read:
        """Take the next read.

        Args:
            lines: those since `since`, at most the last `LIMIT`.
            at: when reading began, by the server's clock.
        """
        place = self._place(lines)
        lost = place is None or (self._anchor is None and len(lines) >= LIMIT)
        before = self._anchor.line[0] if self._anchor else self._since
        if lost:
            self._anchor, self._since = None, at
        fresh = (
            tuple(lines[place:])
            if place is not None
            else tuple(line for line in lines if nanoseconds(line[0]) > nanoseconds(before))
        )
        if fresh:
            self._hold(lines)
        if not lost:
            return Read(fresh)
        crowded = len(lines) >= LIMIT
        why = f"more than {LIMIT} lines came between two looks" if crowded else "the log was rotated or cut"
        return Read(fresh, before, why)

    def _place(self, lines: Sequence[Line]) -> int | None:
        """Return where the new lines begin; None if the line before them is gone."""
        if self._anchor is None:
            return 0
        places = [place for place, line in enumerate(lines) if line == self._anchor.line]
        if len(places) < self._anchor.copies:
            return None
        return places[self._anchor.copies - 1] + 1

    def _hold(self, lines: Sequence[Line]) -> None:
        if lines:
            self.had_lines = True
            self._anchor = _Anchor(lines[-1], sum(line == lines[-1] for line in lines))


def _written(moment: int) -> str:
    """Return nanoseconds since the epoch as Docker writes and reads them."""
    whole, fraction = divmod(moment, 1_000_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"
