"""Secrets have one door in and none out.

A reference in the target file is resolved to a value in memory; whatever leaves the process as text goes
through one `Redactor`; and a value is compared only through its equality class within the run.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import os
import re
import secrets
import shlex
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from acceptance.errors import UnavailableError

SHORTEST = 6
"""A shorter value is never redacted by itself: it would rewrite ordinary words."""

UNMISTAKABLE = 12
"""A value of at least this length is no ordinary word; it is removed even from a finished document."""

_ANCHORED = (
    (re.compile(r"([a-z][a-z0-9+.-]*://[^\s/:@\"']*:)([^\s/@\"']+)(@)", re.IGNORECASE), r"\1«redacted»\3"),
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        "«redacted: private key»",
    ),
    (
        re.compile(
            r"(\bauthorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic|token)?\s*)[^\s\"',;]+", re.IGNORECASE
        ),
        r"\1«redacted»",
    ),
    (re.compile(r"(session_token[\"']?\s*[:=]\s*[\"']?)[^\s\"',;]+", re.IGNORECASE), r"\1«redacted»"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"), "«redacted: token»"),
)


class Redactor:
    """Replaces every known secret, in each of its usual spellings, and secrets at anchored places.

    It is applied to text from outside only; ids, names and outcomes never pass through it.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._patterns: dict[int, re.Pattern[str]] = {}

    def learn(self, name: str, value: str) -> None:
        """Make a secret known under a name that may be shown.

        Ignored are values that may be ordinary words: those shorter than `SHORTEST` characters, and those
        shorter than `UNMISTAKABLE` of one kind of character only. A database password `postgres` would
        else rewrite the name of the database, and with it what the checks judge.
        """
        if not _is_distinctive(value):
            return
        for spelling in _spellings(value):
            self._known.setdefault(spelling, name)
        self._patterns.clear()

    def clean(self, text: str) -> str:
        """Return a piece of text from outside without any known secret and without anchored ones."""
        text = self._replace(text, SHORTEST)
        for pattern, replacement in _ANCHORED:
            text = pattern.sub(replacement, text)
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
        return self._replace(document, UNMISTAKABLE)

    def _replace(self, text: str, shortest: int) -> str:
        if shortest not in self._patterns:
            spellings = [spelling for spelling in self._known if len(spelling) >= shortest]
            longest_first = sorted(spellings, key=len, reverse=True)
            self._patterns[shortest] = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        return self._patterns[shortest].sub(lambda match: f"«redacted: {self._known[match.group()]}»", text)


def _is_distinctive(value: str) -> bool:
    kinds = (str.islower, str.isupper, str.isdigit, lambda character: not character.isalnum())
    mixed = sum(any(kind(character) for character in value) for kind in kinds) > 1
    return len(value) >= UNMISTAKABLE or (len(value) >= SHORTEST and mixed)


def _spellings(value: str) -> set[str]:
    as_json = json.dumps(value)[1:-1]
    spellings = {
        value,
        quote(value, safe=""),
        quote_plus(value),
        as_json,
        json.dumps(value, ensure_ascii=False)[1:-1],
        html.escape(value),
        shlex.quote(value).strip("'"),
        repr(value)[1:-1],
    }
    return {spelling for spelling in spellings | _base64_cores(value) if len(spelling) >= SHORTEST}


def _base64_cores(value: str) -> set[str]:
    """Return what the value looks like inside base64 text, at each of the three alignments."""
    raw = value.encode()
    cores = set()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        start = -(-shift * 8 // 6)
        end = (shift + len(raw)) * 8 // 6
        core = encoded[start:end]
        cores.update({core, core.replace("+", "-").replace("/", "_")})
    return cores


class Secrets:
    """Resolves references, teaches the redactor, and classifies values for comparison."""

    def __init__(self, redactor: Redactor, fingerprint_key: bytes | None = None) -> None:
        self.redactor = redactor
        self._key = fingerprint_key or secrets.token_bytes(32)

    def resolve(self, reference: str) -> str:
        """Return the value of `env:NAME`, `file:PATH` or `cmd:COMMAND`.

        Raises:
            UnavailableError: it is not set, not readable, or the command failed.
        """
        kind, _, rest = reference.partition(":")
        value = {"env": _from_environment, "file": _from_file, "cmd": _from_command}[kind](rest)
        if not value:
            raise UnavailableError(f"the secret {reference} is empty", f"set {reference}")
        self.redactor.learn(reference, value)
        return value

    def classify(self, value: str) -> str:
        """Return the equality class of a value: equal within a run for equal values, and nothing more."""
        return hmac.new(self._key, value.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:16]


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise UnavailableError(f"the secret env:{name} is not set", f"export {name} before the run")
    return value


def _from_file(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UnavailableError(
            f"the secret file:{path} cannot be read ({reason})", "create the file or correct the reference"
        ) from error


def _from_command(command: str) -> str:
    try:
        done = subprocess.run(
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        program = command.split(maxsplit=1)[0]
        raise UnavailableError(
            f"the secret command {program} did not answer ({type(error).__name__})",
            "run it by hand and see what it says",
        ) from error
    return done.stdout.rstrip("\r\n")
