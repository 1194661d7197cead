"""Text as it may be meant: encodings undone, interruptions left out, with the way back to where it stood."""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

_INTERRUPTION = re.compile(
    r"""
    \s*\n[E>|][ \t]+                                             # the margin of a quotation or a traceback
    | \s+
    | \x1b\[[0-9;?]*[ -/]*[@-~]                                  # a terminal's colours and movements
    | [\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]
    | </?[A-Za-z][^<>]{0,200}>                                   # an element's tag
    | <!--.{0,200}?-->
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(
    r"""
    (?P<url>(?:%[0-9A-Fa-f]{2})+)
    | (?P<html>&(?:\#[0-9]{1,7}|\#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});)
    | (?P<unicode>(?:\\u[0-9A-Fa-f]{4})+)
    | (?P<long>\\U[0-9A-Fa-f]{8})
    | (?P<bytes>(?:\\x[0-9A-Fa-f]{2})+)
    | (?P<shell>'"'"'|'\\'')
    | (?P<joined>\\\r?\n)
    | (?P<single>\\[^\n])
    """,
    re.VERBOSE,
)
_SINGLE = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "a": "\a"}


@dataclass(frozen=True)
class _Piece:
    """A stretch of a reading and where it stands in what was read.

    Attributes:
        at: its first position in the reading.
        whole: True if it stands for all of `start` to `end`, False if position for position.
    """

    at: int
    start: int
    end: int
    whole: bool


class Reading:
    """A text, read in one way.

    Attributes:
        text: as it reads.
    """

    def __init__(self, text: str, pieces: tuple[_Piece, ...] = (), origin: Reading | None = None) -> None:
        self.text = text
        self._pieces = pieces
        self._starts = [piece.at for piece in pieces]
        self._origin = origin

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where the text from `start` to `end` (not empty) stands in the original."""
        if self._origin is None:
            return start, end
        first, last = self._piece(start), self._piece(end - 1)
        begins = first.start if first.whole else first.start + start - first.at
        ends = last.end if last.whole else last.start + end - last.at
        return self._origin.span(begins, ends)

    def _piece(self, position: int) -> _Piece:
        return self._pieces[bisect_right(self._starts, position) - 1]

    def replaced(self, pattern: re.Pattern[str], meaning: Callable[[re.Match[str]], str]) -> Reading:
        """Return the reading with each match replaced by its meaning; the same one if nothing matches."""
        pieces: list[_Piece] = []
        texts: list[str] = []
        length = position = 0
        for match in pattern.finditer(self.text):
            if match.start() > position:
                pieces.append(_Piece(length, position, match.start(), whole=False))
                texts.append(self.text[position : match.start()])
                length += match.start() - position
            position = match.end()
            meant = meaning(match)
            if meant:
                pieces.append(_Piece(length, match.start(), position, whole=True))
                texts.append(meant)
                length += len(meant)
        if position == 0:
            return self
        if position < len(self.text):
            pieces.append(_Piece(length, position, len(self.text), whole=False))
            texts.append(self.text[position:])
        return Reading("".join(texts), tuple(pieces), self)


def decoded(reading: Reading) -> Reading:
    """Undo one layer of URL, HTML, JSON, Python and shell quoting, whichever is there."""
    return reading.replaced(_ESCAPE, _meaning)


def joined(reading: Reading) -> Reading:
    """Leave out what may interrupt a word: blanks, line breaks, tags, colours, invisible characters."""
    return reading.replaced(_INTERRUPTION, lambda _: "")


def bare(value: str) -> str:
    """Return a value as `joined` shows it."""
    return joined(Reading(value)).text


def readings(text: str, layers: int = 2) -> Iterator[tuple[Reading, bool]]:
    """Yield the ways to read a text, each with whether its interruptions are left out; none twice."""
    reading = Reading(text)
    for layer in range(layers + 1):
        yield reading, False
        whole = joined(reading)
        if whole is not reading:
            yield whole, True
        deeper = decoded(reading) if layer < layers else reading
        if deeper is reading:
            return
        reading = deeper


def _meaning(match: re.Match[str]) -> str:
    assert match.lastgroup is not None
    return _MEANINGS[match.lastgroup](match.group())


def _character(text: str) -> str:
    code = int(text[2:], 16)
    return chr(code) if code < 0x110000 else ""


_MEANINGS: dict[str, Callable[[str], str]] = {
    "url": lambda text: unquote_to_bytes(text).decode("utf-8", "replace"),
    "html": html.unescape,
    "unicode": lambda text: bytes.fromhex(text.replace("\\u", "")).decode("utf-16-be", "replace"),
    "long": _character,
    "bytes": lambda text: bytes.fromhex(text.replace("\\x", "")).decode("utf-8", "replace"),
    "shell": lambda _: "'",
    "joined": lambda _: "",
    "single": lambda text: _SINGLE.get(text[1], text[1]),
}
