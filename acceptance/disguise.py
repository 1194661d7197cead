"""Text as it may be meant: encodings undone, interruptions left out, with the way back to where it stood."""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

_HIDDEN = (
    "\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff"
)
_MARGIN = r"(?:(?:INTERNALERROR>|[E|\#*+?-]|//)[ \t]+|>[ \t]*)*"
_NEW_LINE = rf"(?:(?<=\n)|(?<=\s)[^\S\n]*\n)\s*{_MARGIN}"
_JOINED_LINE = rf"(?<=\\)(?:\s+{_MARGIN}|[nr]\s*{_MARGIN})"
_JOINED_LITERAL = rf"""(?<=["'])\s*(?:\+\s*)?\n\s*{_MARGIN}["']"""
_COLOUR = r"(?<=\x1b)\[[0-9;?]*[ -/]*[@-~]"

_TAG = r"(?<=<)(?:/?[A-Za-z][^<>]{0,200}>|!--.{0,200}?-->)"

_BLANKS = r"(?<=[ \t])[ \t]*+(?!\s)"
_SPACE = r"(?<=\s)\s*"
_BREAKS = rf"{_NEW_LINE} | {_JOINED_LINE} | {_JOINED_LITERAL} | {_COLOUR} | (?<=[{_HIDDEN}])"
"""A line break with the margin of a quotation, a traceback or a comparison behind it; one that a program
wrote behind a backslash, or between two literals; and what no terminal shows."""


def _interruption(*kinds: str) -> re.Pattern[str]:
    # every one begins with one of a few characters, which makes the search fast
    return re.compile(rf"[\s<\\\"'{_HIDDEN}](?: {' | '.join(kinds)} )", re.VERBOSE | re.DOTALL)


_INTERRUPTION = _interruption(_BLANKS, _BREAKS, _SPACE, _TAG)
_INSIDE_TAGS = _interruption(_BLANKS, _BREAKS, _SPACE)
"""The same for a text that stands within a tag, or between a `<` and a `>` that belong to no tag."""
_WRAP = _interruption(_BREAKS, _TAG)
"""Of the interruptions those that nobody writes between two words: all but blanks."""

_ESCAPE = re.compile(
    r"""
    [%&\\']
    (?:
        (?<=%)[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*
        | (?<=&)(?:\#[0-9]{1,9};?|\#[xX][0-9A-Fa-f]{1,8};?|[A-Za-z][A-Za-z0-9]{1,31};|(?:amp|lt|gt|quot))
        | (?<=\\)u[0-9A-Fa-f]{4}(?:\\u[0-9A-Fa-f]{4})*
        | (?<=\\)(?:u\{[0-9A-Fa-f]{1,8}\}|U[0-9A-Fa-f]{8})
        | (?<=\\)x[0-9A-Fa-f]{2}(?:\\x[0-9A-Fa-f]{2})*
        | (?<=\\)[0-3][0-7]{2}(?:\\[0-3][0-7]{2})*
        | (?<=\\)\r?\n
        | (?<=\\)[^\n]
        | (?<=')(?:"'"'|\\'')
    )
    """,
    re.VERBOSE,
)
"""URL, HTML, JSON, Python and shell quoting."""

_SINGLE = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "a": "\a"}

Meaning = Callable[[re.Match[str]], str]


class Way(NamedTuple):
    """A way to read a text.

    Attributes:
        text: as it reads.
        is_joined: True if interruptions are left out.
        steps: what was replaced by what, in order.
    """

    text: str
    is_joined: bool
    steps: tuple[tuple[re.Pattern[str], Meaning], ...]

    def decoded(self) -> Way:
        """Return it with one layer of quoting undone; the same if there is none."""
        text = _ESCAPE.sub(_meaning, self.text)
        return self if text == self.text else Way(text, self.is_joined, (*self.steps, (_ESCAPE, _meaning)))

    def without_interruptions(self, what: re.Pattern[str] = _INTERRUPTION) -> Way:
        """Return it joined; the same if nothing interrupts it."""
        text = what.sub("", self.text)
        return self if text == self.text else Way(text, True, (*self.steps, (what, _nothing)))

    def inside_tags(self) -> tuple[Way, ...]:
        """Return it joined as if it had no tags, if it may have some."""
        return (self.without_interruptions(_INSIDE_TAGS),) if "<" in self.text else ()

    def located(self, text: str) -> Reading:
        """Return the same reading of the text that it is a way to read, with the way back."""
        reading = Reading(text)
        for pattern, meaning in self.steps:
            reading = reading.replaced(pattern, meaning)
        return reading

    def is_wrapped(self, text: str, value: str) -> bool:
        """Tell whether what this reads as the value is the value broken into lines, and no more."""
        for pattern, meaning in self.steps:
            text = _WRAP.sub("", text) if meaning is _nothing else pattern.sub(meaning, text)
        rest = iter(value)
        return all(
            character == next((other for other in rest if not other.isspace() or character.isspace()), "")
            for character in text
        )


class _Piece(NamedTuple):
    """What stands at `at` of a reading for all of `begin` to `end` of the text that was read."""

    at: int
    length: int
    begin: int
    end: int


class Reading:
    """A text, read in one way, that knows where each part of it stood.

    Attributes:
        text: as it reads.
    """

    def __init__(self, text: str, origin: Reading | None = None, pieces: Sequence[_Piece] = ()) -> None:
        self.text = text
        self._origin = origin
        self._pieces = pieces
        self._starts = [piece.at for piece in pieces]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where the text from `start` to `end` (not empty) stands in the original."""
        if self._origin is None:
            return start, end
        return self._origin.span(self._place(start)[0], self._place(end - 1)[1])

    def _place(self, position: int) -> tuple[int, int]:
        number = bisect_right(self._starts, position) - 1
        if number < 0:
            return position, position + 1
        piece = self._pieces[number]
        behind = position - piece.at - piece.length
        return (piece.begin, piece.end) if behind < 0 else (piece.end + behind, piece.end + behind + 1)

    def replaced(self, pattern: re.Pattern[str], meaning: Meaning) -> Reading:
        """Return the reading with each match replaced by its meaning."""
        texts: list[str] = []
        pieces: list[_Piece] = []
        length = position = 0
        for match in pattern.finditer(self.text):
            begin, end = match.span()
            meant = meaning(match)
            texts += (self.text[position:begin], meant)
            length += begin - position
            pieces.append(_Piece(length, len(meant), begin, end))
            length += len(meant)
            position = end
        return Reading("".join([*texts, self.text[position:]]), self, pieces)


def bare(value: str) -> str:
    """Return a value without interruptions."""
    return _INTERRUPTION.sub("", value)


def ways(text: str, layers: int = 2) -> Iterator[Way]:
    """Yield the ways to read a text, none twice: as it stands, and with up to `layers` of quoting undone.

    Each is there with and without its interruptions, if it has any, and without all but tags: what looks like
    one may be none, or hold the secret. Interruptions may be left out before the quoting is undone, which a
    line break can stand within, or after it, which may tell what is a line break.
    """
    plain = Way(text, is_joined=False, steps=())
    joined = plain.without_interruptions()
    yield from dict.fromkeys((plain, joined, *plain.inside_tags()))
    for _ in range(layers):
        deeper, inner = plain.decoded(), joined.decoded()
        if deeper is plain and inner is joined:
            return
        before = {plain.text, joined.text}
        whole = () if deeper is plain else (deeper.without_interruptions(), deeper, *deeper.inside_tags())
        plain, joined = deeper, joined if inner is joined else inner.without_interruptions()
        found = {way.text: way for way in (*whole, joined)}
        yield from (way for text, way in found.items() if text not in before)


def _nothing(_: re.Match[str]) -> str:
    return ""


def _meaning(match: re.Match[str]) -> str:
    return _meant(match[0])


@lru_cache(maxsize=4096)
def _meant(text: str) -> str:
    if text[0] == "%":
        return unquote_to_bytes(text).decode("utf-8", "replace")
    if text[0] == "&":
        return html.unescape(text)
    if text[0] == "'":
        return "'"
    return _BACKSLASHED.get(text[1:2], _single)(text)


def _single(text: str) -> str:
    return "" if text.endswith("\n") else _SINGLE.get(text[1], text[1])


def _units(text: str) -> str:
    if len(text) < 6:
        return "u"
    if text[2] == "{":
        return _character(text[3:-1])
    return bytes.fromhex(text.replace("\\u", "")).decode("utf-16-be", "replace")


def _character(code: str) -> str:
    return chr(int(code, 16)) if int(code, 16) < 0x110000 else ""


def _bytes(text: str) -> str:
    return bytes.fromhex(text.replace("\\x", "")).decode("utf-8", "replace") if len(text) > 3 else "x"


def _octal(text: str) -> str:
    if len(text) < 4:
        return _single(text)
    return bytes(int(code, 8) for code in text[1:].split("\\")).decode("utf-8", "replace")


_BACKSLASHED: dict[str, Callable[[str], str]] = {
    "u": _units,
    "U": lambda text: _character(text[2:]) if len(text) > 2 else "U",
    "x": _bytes,
    **dict.fromkeys("0123", _octal),
}
