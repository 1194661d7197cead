"""Finds secrets in text: each in its usual encodings, whole or in part, however many there are."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, quote_plus

from markupsafe import escape

from acceptance.disguise import Way, bare, ways

SHORTEST = 6
"""A shorter value is never looked for: it would be found in ordinary words."""

UNMISTAKABLE = 12
"""A value of at least this length is no ordinary word."""

PIECE = 12
"""So many characters in a row of a value that reads as no word are taken for the value."""

_PHRASE = 16
"""A value of at least this length that reads as words is the secret with line breaks in it, too."""

_STEP = 4
_GRAM = PIECE - _STEP + 1
"""Looking at every fourth place for so many characters finds every piece."""

_WORD = 8
"""Bytes that are looked at at once, at every fourth: each piece holds such a word."""


_PART = re.compile(r"[^\W\d_a-z]?[a-z]+|[A-Z]+|\d+|[^\W\d_A-Za-z]+")
"""A word or a number; a capital letter belongs to the small ones behind it."""

_ONE_KIND = re.compile(r"[a-z]*|[A-Z]*|\d*|[\W_]*")

_MARKUP = frozenset('<>"')


class Needle(NamedTuple):
    """A text that gives a secret away.

    Attributes:
        text: what is looked for.
        whole: the same with its own blanks.
        name: of the secret.
        is_loose: True if a part of it is enough, and interruptions of any kind do not matter.
        is_breakable: True if line breaks in it do not matter.
    """

    text: str
    whole: str
    name: str
    is_loose: bool
    is_breakable: bool


class Match(NamedTuple):
    """Where a secret stands in a text, and its name."""

    begin: int
    end: int
    name: str


class Needles:
    """Everything that is looked for."""

    def __init__(self) -> None:
        self._short: list[Needle] = []
        self._grams: dict[str, list[tuple[Needle, int]]] = {}
        self._words: set[int] = set()
        self._texts: set[str] = set()

    def add(self, name: str, value: str) -> None:
        """Look for a secret as it stands and in its usual encodings."""
        is_random = not may_be_words(value)
        for whole in sorted(_encoded(value)):
            loose, breakable = _manner(whole, is_random)
            for text in sorted({whole, bare(whole)} - self._texts):
                self._add(Needle(text, whole, name, loose, breakable))

    def _add(self, needle: Needle) -> None:
        text = needle.text
        self._texts.add(text)
        if SHORTEST <= len(text) < UNMISTAKABLE:
            self._short.append(needle)
        elif len(text) >= UNMISTAKABLE:
            for place in range(len(text) - _GRAM + 1):
                self._grams.setdefault(text[place : place + _GRAM], []).append((needle, place))
            raw = text.encode("utf-8", "surrogatepass")
            places = range(len(raw) - _WORD + 1)
            self._words.update(int.from_bytes(raw[at : at + _WORD], sys.byteorder) for at in places)

    def find(self, text: str) -> Iterator[Match]:
        """Yield each place of a secret, or of a part of one, however it is disguised; they may overlap."""
        if len(text) >= SHORTEST and self._texts:
            for way in ways(text):
                yield from self._found(text, way, list(self._candidates(way, self._short)))

    def find_in_document(self, document: str) -> Iterator[Match]:
        """Yield each place of a secret too long for an ordinary word, where it crosses no markup."""
        for way in ways(document, layers=1) if self._texts else ():
            for match in self._found(document, way, list(self._candidates(way, ()))):
                if not way.is_joined or _MARKUP.isdisjoint(document[match.begin : match.end]):
                    yield match

    def touch(self, text: str) -> bool:
        """Tell whether there may be something to find."""
        return any(True for way in ways(text) for _ in self._candidates(way, self._short))

    def _found(self, text: str, way: Way, candidates: list[tuple[int, int, Needle]]) -> Iterator[Match]:
        reading = way.located(text) if candidates else None
        for begin, end, needle in candidates:
            assert reading is not None
            start, stop = reading.span(begin, end)
            if not way.is_joined or needle.is_loose or way.is_wrapped(text[start:stop], needle.whole):
                yield Match(start, stop, needle.name)

    def _candidates(self, way: Way, short: Iterable[Needle]) -> Iterator[tuple[int, int, Needle]]:
        for needle in short:
            if needle.is_breakable or not way.is_joined:
                for place in places(way.text, needle.text):
                    yield place, place + len(needle.text), needle
        if self._may_hold_a_long_one(way.text):
            for begin, end, needle in self._long(way.text):
                if needle.is_breakable or not way.is_joined:
                    yield begin, end, needle

    def _may_hold_a_long_one(self, text: str) -> bool:
        """Tell quickly what is so for next to every text: that no part of a long needle is in it."""
        raw = memoryview(text.encode("utf-8", "surrogatepass"))
        return any(
            not self._words.isdisjoint(raw[start : start + (len(raw) - start) // _WORD * _WORD].cast("Q"))
            for start in range(0, _WORD, _STEP)
            if len(raw) - start >= _WORD
        )

    def _long(self, text: str) -> Iterator[tuple[int, int, Needle]]:
        reached: dict[tuple[str, int], int] = {}
        hits = [
            place
            for place in range(0, len(text) - _GRAM + 1, _STEP)
            if text[place : place + _GRAM] in self._grams
        ]
        for place in hits:
            for needle, offset in self._grams[text[place : place + _GRAM]]:
                if place < reached.get((needle.text, place - offset), 0):
                    continue
                begin, end = _grown(text, place, offset, needle.text)
                reached[needle.text, place - offset] = end
                if end - begin == len(needle.text) or (
                    needle.is_loose and end - begin >= PIECE and not may_be_words(text[begin:end])
                ):
                    yield begin, end, needle


def places(text: str, part: str) -> Iterator[int]:
    """Yield where a part begins in a text."""
    place = text.find(part)
    while place >= 0:
        yield place
        place = text.find(part, place + len(part))


def reads_as_words(value: str) -> bool:
    """Tell whether a value has at least three letters or digits to each word or number, as words have."""
    parts = _PART.findall(value)
    return 3 * (len(parts) - 1) <= sum(map(len, parts))


@lru_cache(maxsize=4096)
def may_be_words(value: str) -> bool:
    """Tell whether every part of a value reads as words."""
    windows = range(max(len(value) - PIECE, 0) + 1)
    return all(reads_as_words(value[start : start + PIECE]) for start in windows)


def is_distinctive(value: str) -> bool:
    """Tell whether a value is long enough, or of characters different enough, to be no ordinary word."""
    return len(value) >= UNMISTAKABLE or (len(value) >= SHORTEST and _ONE_KIND.fullmatch(value) is None)


def _manner(text: str, is_random: bool) -> tuple[bool, bool]:
    """Return whether a needle for a value, random or not, is loose, and whether it is breakable."""
    loose = len(text) >= UNMISTAKABLE and (is_random or not may_be_words(text))
    return loose, is_random or len(text) >= _PHRASE or not reads_as_words(text)


def _grown(text: str, place: int, offset: int, whole: str) -> tuple[int, int]:
    """Return as much around a gram (at `place`, at `offset` of the needle) as belongs to the needle."""
    begin, end = place, place + _GRAM
    while begin > 0 and place - begin < offset and text[begin - 1] == whole[offset - (place - begin) - 1]:
        begin -= 1
    while end < len(text) and offset + end - place < len(whole) and text[end] == whole[offset + end - place]:
        end += 1
    return begin, end


def _encoded(value: str) -> set[str]:
    """Return the value in its usual encodings, and what it reads as once quoting is undone."""
    raw = _raw(value)
    spellings = {
        value,
        quote(raw, safe=""),
        quote_plus(raw),
        value.replace(" ", "+"),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        html.escape(value),
        str(escape(value)),
        shlex.quote(value).strip("'"),
        repr(value)[1:-1],
    }
    cores = {core for spelling in spellings for core in _base64_cores(spelling)}
    twice = {core for once in _base64_cores(value) for core in _base64_cores(once)}
    return spellings | cores | twice | {raw.hex(), raw.hex().upper()}


def _raw(value: str) -> bytes:
    """Return the bytes that a value was read from."""
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")


def _base64_cores(value: str) -> set[str]:
    """Return what the value looks like inside base64 text, at each of the three alignments."""
    raw = _raw(value)
    cores = set()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        start = -(-shift * 8 // 6)
        end = (shift + len(raw)) * 8 // 6
        core = encoded[start:end]
        cores.update({core, core.replace("+", "-").replace("/", "_")})
    return cores
