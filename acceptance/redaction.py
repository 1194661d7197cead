"""The one redactor that every text from outside passes before it is kept or shown.

It knows two things: secrets that it was told of, in whatever usual spelling, and places where a secret stands
whoever wrote it. What it does not know it does not touch: see docs/security-model.md, "What is redacted".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from acceptance import anchors
from acceptance.needles import SHORTEST, UNMISTAKABLE, Match, Needles, is_distinctive, may_be_words

__all__ = ["SHORTEST", "UNMISTAKABLE", "Redactor"]

_WINDOW = 1 << 16
_OVERLAP = 1 << 13
"""A text is looked through in pieces that overlap: what one secret costs does not grow with the text."""

_BETWEEN = "\n<>-->\n"
"""Stands between texts that are looked through at once; neither a secret nor a comment goes across it."""

_HALF = re.compile(r"[\ud800-\udfff]")
"""Half of a character: JSON can say it, and no file can hold it."""

_LONGEST_NAME = 100
_NOT_IN_A_NAME = re.compile(r"[^\w .,:/@=+*~#%-]")


class Redactor:
    """Replaces every known secret, in each of its usual spellings, and secrets at anchored places.

    It is applied to text from outside only; ids, names and outcomes never pass through it.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._spared: frozenset[str] = frozenset()
        self._needles = Needles()
        self._shown: dict[str, str] = {}

    def learn(self, name: str, value: str) -> None:
        """Make a secret known under a name that may be shown.

        Ignored are values that may be ordinary words: those shorter than `SHORTEST` characters, and those
        shorter than `UNMISTAKABLE` of one kind of character only. A database password `postgres` would
        else rewrite the name of the database, and with it what the checks judge. Of a value of several
        lines each line that reads as no word is a secret too.
        """
        lines = [line.strip() for line in value.splitlines()] if "\n" in value else []
        keys = [line for line in lines if len(line) >= UNMISTAKABLE and not may_be_words(line)]
        for secret in (value, value.strip(), *keys):
            if is_distinctive(secret) and secret not in self._known and not self._is_spared(secret):
                self._known[secret] = name
                self._needles.add(name, secret)
                self._shown.clear()

    def spare(self, names: Iterable[str]) -> None:
        """Never take one of these names, nor a part of one, for a secret, whatever was or will be learned.

        They are what the checks look for: redacted, a healthy service would seem to be missing. Whoever can
        read the target file knows them.
        """
        self._spared |= frozenset(names)
        self._known = {value: name for value, name in self._known.items() if not self._is_spared(value)}
        self._needles = Needles()
        for value, name in self._known.items():
            self._needles.add(name, value)
        self._shown.clear()

    def _is_spared(self, value: str) -> bool:
        return any(value in name for name in self._spared)

    def clean(self, text: str) -> str:
        """Return a piece of text from outside without any known secret and without anchored ones.

        What UTF-8 cannot say is told as an escape.
        """
        cleaned = anchors.clean(self._replaced(text, self._needles.find))
        return cleaned if cleaned.isascii() else _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", cleaned)

    def clean_leaves(self, value: Any) -> Any:  # noqa: ANN401 - JSON is any value
        """Return a JSON value with every text in it cleaned, names of keys included."""
        texts: dict[str, str] = {}
        for batch in _batches(dict.fromkeys(_texts(value))):
            together = _BETWEEN.join(batch)
            suspect = self._needles.touch(together) or anchors.touch(together) or _HALF.search(together)
            texts.update((text, self.clean(text) if suspect else text) for text in batch)
        return _with(value, texts)

    def scrub(self, document: str) -> str:
        """Return a finished document without any known secret long enough not to be an ordinary word.

        A second net under `clean`, which every piece of remote text has passed before.
        """
        return self._replaced(document, self._needles.find_in_document)

    def would_change(self, text: str, but: frozenset[str] = frozenset()) -> bool:
        """Tell whether a text holds a secret other than those that were learned under the given names."""
        known = any(match.name not in but for match in _found(text, self._needles.find))
        return known or anchors.touch(text)

    def names_in(self, text: str) -> frozenset[str]:
        """Return the names of the known secrets that a text holds."""
        return frozenset(match.name for match in _found(text, self._needles.find))

    def _replaced(self, text: str, find: Callable[[str], Iterator[Match]]) -> str:
        parts: list[str] = []
        position = 0
        for begin, end, name in sorted(_found(text, find), key=lambda match: (match.begin, -match.end)):
            if begin >= position:
                parts += (text[position:begin], f"«redacted: {self._told(name)}»")
            position = max(position, end)
        return "".join([*parts, text[position:]]) if parts else text

    def _told(self, name: str) -> str:
        """Return a name as it may be shown: it may come from the server, and hold a secret or markup."""
        if name not in self._shown:
            harmless = _NOT_IN_A_NAME.sub("·", name[:_LONGEST_NAME])
            self._shown[name] = "a secret" if any(self._needles.find(name)) else harmless
        return self._shown[name]


def _found(text: str, find: Callable[[str], Iterator[Match]]) -> Iterator[Match]:
    for start in range(0, max(len(text), 1), _WINDOW):
        for begin, end, name in find(text[start : start + _WINDOW + _OVERLAP]):
            yield Match(start + begin, start + end, name)


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON is any value
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)
    elif isinstance(value, dict):
        yield from value
        for entry in value.values():
            yield from _texts(entry)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    length = 0
    for text in texts:
        batch.append(text)
        length += len(text)
        if length >= _WINDOW:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch


def _with(value: Any, texts: dict[str, str]) -> Any:  # noqa: ANN401 - JSON is any value
    if isinstance(value, str):
        return texts[value]
    if isinstance(value, list):
        return [_with(entry, texts) for entry in value]
    if isinstance(value, dict):
        return {texts[key]: _with(entry, texts) for key, entry in value.items()}
    return value
