"""Shows how far something long has come: a bar on a terminal, elsewhere a line every minute."""

from __future__ import annotations

from collections.abc import Callable

from acceptance import duration

_BAR = 24
_MINUTE_S = 60.0


class Meter:
    """Tells the operator how far a watch has come; one without any outlet tells nobody.

    Args:
        line: prints a line.
        redraw: replaces the line that is being drawn; None where there is no terminal.
    """

    def __init__(
        self, line: Callable[[str], None] | None = None, redraw: Callable[[str], None] | None = None
    ) -> None:
        self._line = line or _nobody
        self._redraw = redraw
        self._total_s = 0.0
        self._minutes = 0

    def begin(self, what: str, total_s: float) -> None:
        """Say what is going to take how long, in seconds."""
        self._total_s, self._minutes = total_s, 0
        self._line(f"{what} for {duration.told(total_s)}")

    def show(self, done_s: float, note: str) -> None:
        """Say how much of it is over, in seconds, and how it stands."""
        if self._redraw is not None:
            self._redraw(f"{self._bar(done_s)} {self._progress(done_s)} · {note}")
        elif int(done_s / _MINUTE_S) > self._minutes:
            self._minutes = int(done_s / _MINUTE_S)
            self._line(f"{self._progress(done_s)}: {note}")

    def end(self, done_s: float, note: str) -> None:
        """Say that it is over, and how it went."""
        if self._redraw is not None:
            self._redraw("")
        self._line(f"watched {duration.told(done_s)}: {note}")

    def _progress(self, done_s: float) -> str:
        return f"{duration.told(min(done_s, self._total_s))} of {duration.told(self._total_s)}"

    def _bar(self, done_s: float) -> str:
        full = min(_BAR, round(_BAR * done_s / self._total_s))
        return "█" * full + "░" * (_BAR - full)


def _nobody(_line: str) -> None:
    """Take a line that nobody reads."""
