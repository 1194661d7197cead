"""The one redactor that every text from outside passes before it is kept or shown.

It knows two things: secrets that it was told of, in whatever usual spelling, and places where a secret stands
whoever wrote it. What it does not know it does not touch: see docs/security-model.md, "What is redacted".
"""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any
from urllib.parse import quote, quote_plus

from markupsafe import escape

from acceptance.disguise import bare, readings

SHORTEST = 6
"""A shorter value is never redacted by itself: it would rewrite ordinary words."""

UNMISTAKABLE = 12
"""A value of at least this length is no ordinary word; it is removed even from a finished document."""

PIECE = 12
"""So many characters in a row of a value that reads as no word are taken for the value."""

_SEPARATOR = r"""\\*["']?\s*(?:[:=]|,\s*(?=b?["']))\s*(?:b(?=["']))?+\\*+["']?+"""
_NAME = (
    r"(?:passwords?|passwd|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key"
    r"|encryption[_-]?key|token|signature|credential|\bpwd)[\w-]{0,20}"
)
_NO_VALUE = (
    r"(?!«|\$|\*{3}|(?:env|file|cmd):"
    r"|(?:undefined|required|missing|invalid|expired|unknown|redacted)\b)"
)
_UNQUOTED = rf"{_NO_VALUE}[^\s\"'\\,;&<>()\[\]{{}}«»]{{6,}}"
_TOKEN = r"[A-Za-z0-9_-]{8,2000}"
_KEY_END = re.compile(r"-----YEK ETAVIRP [A-Z ]{0,40}DNE-----(?:(?:\s|[nr]\\)*+[A-Za-z0-9+/=]{16,}+)+")
"""The end of a private key whose beginning was cut off, read backwards: so it is found in one pass."""

_COOKIE_ATTRIBUTES = frozenset({"path", "domain", "expires", "max-age", "samesite", "priority"})


def _anchored(pattern: str, *, cased: bool = False) -> tuple[re.Pattern[str], Callable[[re.Match[str]], str]]:
    flags = re.DOTALL if cased else re.DOTALL | re.IGNORECASE
    return re.compile(pattern, flags), lambda match: f"{match[1]}«redacted»"


def _cookies(match: re.Match[str]) -> str:
    def pair(found: re.Match[str]) -> str:
        return found[0] if found[1].strip().lower() in _COOKIE_ATTRIBUTES else f"{found[1]}=«redacted»"

    return match[1] + re.sub(r"([^=;,\s\"']+)=[^;,\s\"'\\«»]+", pair, match[2])


_ANCHORED: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    _anchored(r"((?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,30}://[^\s/:@\"'«»]*:)[^\s/\"'«»]+(?=@)"),
    (
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
            re.DOTALL,
        ),
        lambda _: "«redacted: private key»",
    ),
    _anchored(
        rf"(\bauthorization{_SEPARATOR}(?:(?:bearer|basic|token|digest|negotiate)\s+)?+)(?!«)[^\s\"',;\\«»]+"
    ),
    _anchored(r"(\b(?:bearer|basic)\s+)(?=[^\s\"']*\d)[a-z0-9+/=._~-]{8,}"),
    (re.compile(rf"(\b(?:set-)?cookie2?{_SEPARATOR})([^\r\n\"'\\]*)", re.IGNORECASE), _cookies),
    _anchored(rf"(session_token{_SEPARATOR})(?!«)[^\s\"',;\\«»]+"),
    _anchored(r"(\b__(?:secure|host)-[\w.-]{1,80}=)(?!«)[^\s\"',;\\«»]+"),
    _anchored(rf"()\beyJ{_TOKEN}\.{_TOKEN}\.{_TOKEN}", cased=True),
    _anchored(rf"({_NAME}\s*=\s*){_UNQUOTED}"),
    _anchored(rf"({_NAME}\\*[\"']?\s*[:=]\s*\\*\")(?:{_NO_VALUE}[^\"\\«»]{{6,}})(?=\\*\")"),
    _anchored(rf"({_NAME}\\*[\"']?\s*[:=]\s*\\*')(?:{_NO_VALUE}[^'\\«»]{{6,}})(?=\\*')"),
    _anchored(rf"(\bx-[\w-]{{0,30}}(?:secret|token|key|signature)\s*:\s*){_UNQUOTED}"),
    _anchored(
        rf"(\b[A-Z][A-Z0-9_]{{0,60}}(?:PASSWORD|SECRET|TOKEN|_KEY)\s*:\s*){_UNQUOTED}",
        cased=True,
    ),
)


@dataclass(frozen=True)
class _Secret:
    """A value to be removed, and what is to be read in its place."""

    name: str
    value: str

    @cached_property
    def is_word(self) -> bool:
        """True if it may read as words, so that only the whole of it, as it stands, is the secret."""
        return len(self.value) < UNMISTAKABLE or _reads_as_words(self.value)

    @cached_property
    def spellings(self) -> frozenset[str]:
        """The value in its usual encodings, each as a whole."""
        value = self.value
        spellings = {
            value,
            quote(value, safe=""),
            quote_plus(value),
            json.dumps(value)[1:-1],
            json.dumps(value, ensure_ascii=False)[1:-1],
            html.escape(value),
            str(escape(value)),
            shlex.quote(value).strip("'"),
            repr(value)[1:-1],
        }
        return frozenset(spelling for spelling in spellings | self._cores if len(spelling) >= SHORTEST)

    @cached_property
    def meanings(self) -> frozenset[str]:
        """What it reads as once a layer of quoting is undone."""
        return frozenset({self.value, self.value.replace(" ", "+")} | self._cores)

    @cached_property
    def uninterrupted(self) -> frozenset[str]:
        """What it reads as without blanks and line breaks; nothing if it may then be ordinary words."""
        return frozenset() if self.is_word else frozenset(map(bare, self.meanings))

    @cached_property
    def pieces(self) -> tuple[tuple[str, int, str], ...]:
        """Parts that give it or its base64 form away, each with its place in the whole, and that.

        At least one is in any 23 characters.
        """
        if self.is_word:
            return ()
        return tuple(
            (whole[place : place + PIECE], place, whole)
            for whole in sorted({self.value, *_base64_cores(self.value)})
            for place in sorted({*range(0, len(whole) - PIECE + 1, PIECE), len(whole) - PIECE})
            if not _reads_as_words(whole[place : place + PIECE])
        )

    @cached_property
    def _cores(self) -> frozenset[str]:
        return frozenset(core for core in _base64_cores(self.value) if len(core) >= SHORTEST)


@dataclass(frozen=True)
class _Needles:
    """What is looked for, by the way of reading; each with the name of its secret."""

    spellings: tuple[tuple[str, str], ...]
    meanings: tuple[tuple[str, str], ...]
    uninterrupted: tuple[tuple[str, str], ...]
    pieces: tuple[tuple[str, int, str, str], ...]


class Redactor:
    """Replaces every known secret, in each of its usual spellings, and secrets at anchored places.

    It is applied to text from outside only; ids, names and outcomes never pass through it.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Secret] = {}
        self._spared: frozenset[str] = frozenset()
        self._needles: dict[int, _Needles] = {}

    def learn(self, name: str, value: str) -> None:
        """Make a secret known under a name that may be shown.

        Ignored are values that may be ordinary words: those shorter than `SHORTEST` characters, and those
        shorter than `UNMISTAKABLE` of one kind of character only. A database password `postgres` would
        else rewrite the name of the database, and with it what the checks judge. Of a value of several
        lines each line that reads as no word is a secret too.
        """
        lines = [line.strip() for line in value.splitlines()] if "\n" in value else []
        keys = [line for line in lines if len(line) >= UNMISTAKABLE and not _reads_as_words(line)]
        for secret in (value, *keys):
            if _is_distinctive(secret) and secret not in self._known and not self._is_spared(secret):
                self._known[secret] = _Secret(name, secret)
                self._needles.clear()

    def spare(self, names: Iterable[str]) -> None:
        """Never take one of these names, nor a part of one, for a secret, whatever was or will be learned.

        They are what the checks look for: redacted, a healthy service would seem to be missing. Whoever can
        read the target file knows them.
        """
        self._spared |= frozenset(names)
        self._known = {value: one for value, one in self._known.items() if not self._is_spared(value)}
        self._needles.clear()

    def _is_spared(self, value: str) -> bool:
        return any(value in name for name in self._spared)

    def clean(self, text: str) -> str:
        """Return a piece of text from outside without any known secret and without anchored ones."""
        text = self._replace(text, SHORTEST)
        for pattern, replacement in _ANCHORED:
            text = pattern.sub(replacement, text)
        if "PRIVATE KEY-----" in text:
            text = _KEY_END.sub("«redacted: private key»"[::-1], text[::-1])[::-1]
        return text

    def clean_leaves(self, value: Any) -> Any:  # noqa: ANN401 - JSON is any value
        """Return a JSON value with every text in it cleaned, names of keys included."""
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, list):
            return [self.clean_leaves(entry) for entry in value]
        if isinstance(value, dict):
            return {self.clean(key): self.clean_leaves(entry) for key, entry in value.items()}
        return value

    def scrub(self, document: str) -> str:
        """Return a finished document without any known secret long enough not to be an ordinary word.

        A second net under `clean`, which every piece of remote text has passed before.
        """
        return self._replace(document, UNMISTAKABLE, layers=1)

    def would_change(self, text: str, but: frozenset[str] = frozenset()) -> bool:
        """Tell whether a text holds a secret other than those that were learned under the given names."""
        known = any(name not in but for _, _, name in self._found(text, SHORTEST))
        return known or any(pattern.search(text) for pattern, _ in _ANCHORED)

    def _replace(self, text: str, shortest: int, layers: int = 2) -> str:
        found = sorted(self._found(text, shortest, layers), key=lambda one: (one[0], -one[1]))
        if not found:
            return text
        parts: list[str] = []
        position = 0
        for start, end, name in found:
            if start >= position:
                parts += [text[position:start], f"«redacted: {name}»"]
            position = max(position, end)
        return "".join([*parts, text[position:]])

    def _found(self, text: str, shortest: int, layers: int = 2) -> Iterator[tuple[int, int, str]]:
        """Yield begin, end and name of each secret in the text; they may overlap.

        Parts of secrets are looked for in pieces of text only, where a cut may have left them.
        """
        if len(text) < SHORTEST or not self._known:
            return
        needles = self._needles.get(shortest) or self._prepared(shortest)
        for number, (reading, is_joined) in enumerate(readings(text, layers)):
            as_it_stands = needles.spellings if number == 0 else needles.meanings
            for needle, name in needles.uninterrupted if is_joined else as_it_stands:
                for start in _places(reading.text, needle):
                    yield (*reading.span(start, start + len(needle)), name)
            for piece, place, whole, name in needles.pieces if shortest < UNMISTAKABLE else ():
                for start in _places(reading.text, piece):
                    yield (*reading.span(*_grown(reading.text, start, place, whole)), name)

    def _prepared(self, shortest: int) -> _Needles:
        secrets = [secret for secret in self._known.values() if len(secret.value) >= shortest]
        names = {secret: self._shown(secret.name) for secret in secrets}

        def named(parts: Callable[[_Secret], frozenset[str]]) -> tuple[tuple[str, str], ...]:
            return tuple((part, names[secret]) for secret in secrets for part in sorted(parts(secret)))

        self._needles[shortest] = _Needles(
            spellings=named(lambda secret: secret.spellings),
            meanings=named(lambda secret: secret.meanings),
            uninterrupted=named(lambda secret: secret.uninterrupted),
            pieces=tuple((*piece, names[secret]) for secret in secrets for piece in secret.pieces),
        )
        return self._needles[shortest]

    def _shown(self, name: str) -> str:
        """Return the name; it may come from the server, and hold a secret itself."""
        return "a secret" if any(value in name for value in self._known) else name


def _places(text: str, needle: str) -> Iterator[int]:
    place = text.find(needle)
    while place >= 0:
        yield place
        place = text.find(needle, place + len(needle))


def _grown(text: str, start: int, place: int, value: str) -> tuple[int, int]:
    """Return as much around a piece (at `start`, at `place` of its value) as belongs to the value."""
    begin, end = start, start + PIECE
    while begin > 0 and start - begin < place and text[begin - 1] == value[place - (start - begin) - 1]:
        begin -= 1
    while end < len(text) and place + end - start < len(value) and text[end] == value[place + end - start]:
        end += 1
    return begin, end


def _kinds(value: str) -> list[int]:
    """Return for each character whether it is lower case, upper case, a digit, or something else."""
    return [
        0 if character.islower() else 1 if character.isupper() else 2 if character.isdigit() else 3
        for character in value
    ]


def _reads_as_words(value: str) -> bool:
    kinds = _kinds(value)
    changes = sum(one != other for one, other in pairwise(kinds))
    return 3 * changes < len(value)


def _is_distinctive(value: str) -> bool:
    return len(value) >= UNMISTAKABLE or (len(value) >= SHORTEST and len(set(_kinds(value))) > 1)


def _base64_cores(value: str) -> set[str]:
    """Return what the value looks like inside base64 text, at each of the three alignments."""
    raw = value.encode("utf-8", "surrogateescape")
    cores = set()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        start = -(-shift * 8 // 6)
        end = (shift + len(raw)) * 8 // 6
        core = encoded[start:end]
        cores.update({core, core.replace("+", "-").replace("/", "_")})
    return cores
