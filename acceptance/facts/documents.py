"""The plan and the runbooks on the operator's machine: where something in them looks like a secret."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from acceptance.errors import UnavailableError
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known
from acceptance.needles import may_be_words

if TYPE_CHECKING:
    from acceptance.access import Access

LARGEST = 8 * 1024 * 1024
"""In bytes; a larger file is no plan."""
SHOWN = 10
"""How many places a message names at most."""

_ALONE = (
    ("a private key", re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----")),
    ("an AWS access key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    (
        "a token of a known form",
        re.compile(
            r"\b(?:gh[opsu]_[A-Za-z0-9]{36}|github_pat_\w{40}|glpat-[\w-]{20}|xox[abprs]-[\w-]{10}"
            r"|sk_live_\w{16}|AIza[\w-]{35}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,})"
        ),
    ),
)
_HEX_TOKEN = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{40}(?![0-9A-Za-z])")
_NEAR_A_TOKEN = re.compile(r"token|secret|passw|passphrase|credential|log-?in\b|api.?key", re.IGNORECASE)
_IN_A_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@]*:(?P<value>[^\s/@`]+)@", re.IGNORECASE)
_NAMED = re.compile(
    r"(?P<word>passw(?:or)?ds?|passphrase|pass(?![a-z])|pwd|secret|token|(?:api|access)[ _-]?key)"
    r"\w*[`*_\"')\]]{0,4}\s*(?P<between>[:=|(]|\bis\b|→|—|–|\s-\s)[\s:=|>`*_\"']{0,12}"
    r"(?P<value>[^\s`|\"'()<>,;«»]{6,})(?P<rest>[`*_\"'\s|.]*$)?",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(r"(?<=[:=|`\"'\s])(?<!SHA256:)(?P<value>[A-Za-z0-9+/_-]{24,}={0,2})(?![\w/+.-])")
_HARMLESS = re.compile(
    r"[\[{<$%*…].*|(?:env|file|cmd):.*|.*@.*\.[a-z]{2,}\W*"
    r"|v?[0-9]+(?:[.:][0-9]+)+.*|[A-Z][A-Z0-9_]*(?:=.*)?|(?:[a-z]+[0-9]*|[0-9]+)(?:[_-](?:[a-z]+[0-9]*|[0-9]+))+|(?:[A-Z][a-z]*-)+\w+"
    r"|[\w-]+(?:\.[\w-]+)+(?::[0-9]+)?(?:/.*)?|[~.]?/.*|[a-z]+://.*|sha(?:256|512)[:-].*|\w+/\w+(?:/\w+)*|[\W\d_]+",
)
_NO_SECRET = re.compile(
    r"un(?:set|defined|known|changed)|required|missing|invalid|expired|redacted|changed|rotated|verified"
    r"|pending|optional|provided|generated?|prompt(?:ed)?|shared|nothing|placeholder|example|string|boolean",
    re.IGNORECASE,
)
_PUBLIC = re.compile(r"AAAA[A-Z0-9]|sha(?:256|384|512)", re.IGNORECASE)


class Finding(Fact):
    """A line that seems to hold a secret; the text itself is not kept."""

    line: int
    kind: str


class Document(Fact):
    """A document that was read.

    Attributes:
        lines: how many it has that are not blank.
    """

    lines: int
    findings: tuple[Finding, ...]


class Documents(Fact):
    """What the target names, by path."""

    all: dict[str, Attempt[Document]]

    @property
    def source(self) -> Source:
        """Where they were read."""
        return Source(where=", ".join(self.all) or "no document", again="open the file at the line")

    @property
    def secrets(self) -> tuple[str, ...]:
        """Where something looks like a secret: file, line and kind."""
        return tuple(
            f"{path} line {finding.line}: {finding.kind}"
            for path, document in self.all.items()
            if document.state == "known"
            for finding in document.value.findings
        )

    @property
    def summary(self) -> str:
        """Each place, the first `SHOWN` of them."""
        rest = len(self.secrets) - SHOWN
        return "; ".join(self.secrets[:SHOWN]) + (f"; and {rest} more" if rest > 0 else "")

    @property
    def extent(self) -> str:
        """How much was read.

        Raises:
            UnavailableError: no document is named, or one could not be read or is empty.
        """
        if not self.all:
            raise UnavailableError("the target file names no document", "name the plan under `documents`")
        return ", ".join(f"{path}: {known(document).lines} lines" for path, document in self.all.items())


def kinds(line: str) -> tuple[str, ...]:
    """Return what in a line looks like a secret, whoever knows it; pure."""
    return tuple(dict.fromkeys(_kinds(line)))


def _kinds(line: str) -> Iterator[str]:
    yield from (kind for kind, pattern in _ALONE if pattern.search(line))
    if _HEX_TOKEN.search(line) and _NEAR_A_TOKEN.search(line):
        yield "a token of 40 hexadecimal digits"
    if any(_may_be_secret(match["value"]) for match in _IN_A_URL.finditer(line)):
        yield "a password in a URL"
    if any(map(_is_told, _NAMED.finditer(line))):
        yield "a value behind a word for a secret"
    if any(_is_random(match["value"]) for match in _ASSIGNED.finditer(line)):
        yield "a random value"


def _is_told(match: re.Match[str]) -> bool:
    """Tell whether a value behind a word like `password` is one: a value ends the line, prose goes on."""
    value = match["value"].rstrip(".:")
    if _HARMLESS.fullmatch(value) or _NO_SECRET.match(value):
        return False
    if match["between"] in ":=" and match["rest"] is not None and match["word"].lower().startswith("pass"):
        return True
    return _may_be_secret(value)


def _may_be_secret(value: str) -> bool:
    if _HARMLESS.fullmatch(value) or _NO_SECRET.match(value):
        return False
    letters = any(map(str.isalpha, value))
    return letters and (any(map(str.isdigit, value)) or re.search(r"[!@#$%^&*+?~]", value) is not None)


def _is_random(value: str) -> bool:
    has = [any(map(test, value)) for test in (str.islower, str.isupper, str.isdigit)]
    return all(has) and not may_be_words(value) and not _PUBLIC.match(value)


def findings(text: str, known_in: Callable[[str], tuple[str, ...]]) -> tuple[Finding, ...]:
    """Return each line that seems to hold a secret; pure.

    Args:
        text: the document.
        known_in: returns the names of the known secrets that a line holds.
    """
    return tuple(
        Finding(line=number, kind=kind)
        for number, line in enumerate(text.splitlines(), start=1)
        for kind in (*(f"the value of {name}" for name in known_in(line)), *kinds(line))
    )


def read(path: str, known_in: Callable[[str], tuple[str, ...]]) -> Document:
    """Read a document.

    Args:
        path: of a file of this machine.
        known_in: as for `findings`.

    Raises:
        UnavailableError: it cannot be read, is too large, or holds no text.
    """
    try:
        with Path(path).expanduser().open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise UnavailableError(
            f"{path} cannot be read ({error.strerror})", "correct `documents` in the target file"
        ) from error
    if len(content) > LARGEST:
        raise UnavailableError(f"{path} is larger than {LARGEST} bytes, so it was not looked through")
    text = content.decode("utf-8", errors="replace")
    count = sum(bool(line.strip()) for line in text.splitlines())
    if not count:
        raise UnavailableError(f"{path} is empty, so nothing was looked through")
    return Document(lines=count, findings=findings(text, known_in))


async def collect(access: Access) -> Documents:
    """Look through every document, once the secrets of the environments are known."""
    for needed in NOUN.needs:
        with contextlib.suppress(UnavailableError):
            await access.fact(needed)
    account = access.target.sign_in
    but = frozenset({account.email} if account else ())

    def known_in(line: str) -> tuple[str, ...]:
        return tuple(sorted(access.redactor.names_in(line) - but))

    assumed = access.target.is_assumed("documents")
    found = {}
    for path in access.target.documents:
        found[path] = await asyncio.to_thread(_attempt, path, known_in, assumed=assumed)
    return Documents(all=found)


def _attempt(
    path: str, known_in: Callable[[str], tuple[str, ...]], *, assumed: bool
) -> Known[Document] | Unavailable:
    unsure = "assumed name not found: " if assumed and not Path(path).expanduser().exists() else ""
    try:
        return Known(value=read(path, known_in))
    except UnavailableError as error:
        return Unavailable(reason=f"{unsure}{error.reason}", remedy=error.remedy)


NOUN = Noun("documents", Documents, collect, sources=("documents",), needs=("environments",))
