"""Secrets have one door in and none out.

A reference in the target file is resolved to a value in memory; whatever leaves the process as text goes
through one `Redactor`; and a value is compared only through its equality class within the run.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from acceptance.errors import UnavailableError, UsageError
from acceptance.redaction import SHORTEST, UNMISTAKABLE, Redactor

__all__ = ["SHORTEST", "UNMISTAKABLE", "Redactor", "Secrets"]

REFERENCE = r"(?:env|file|cmd):\S"
"""How a reference to a secret begins."""

SHORTEST_KEY = 16
"""A shorter fingerprint key would not withstand guessing."""


class Secrets:
    """Resolves references, teaches the redactor, and classifies values for comparison."""

    def __init__(self, redactor: Redactor, fingerprint_key: bytes | None = None) -> None:
        self.redactor = redactor
        self._key = fingerprint_key or secrets.token_bytes(32)
        self._awaited: set[str] = set()

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
        self._awaited.discard(reference)
        return value

    @classmethod
    def comparable(cls, redactor: Redactor, reference: str) -> Secrets:
        """Return secrets whose equality classes compare with those of other runs with the same key.

        Args:
            redactor: learns the key.
            reference: where the key is, as a target file would say it.

        Raises:
            UsageError: it is no reference, cannot be resolved, or is too short to withstand guessing.
        """
        if not re.match(REFERENCE, reference):
            raise UsageError(
                "--fingerprint-key: give a reference (env:NAME, file:PATH or cmd:COMMAND), not the key."
            )
        try:
            key = cls(redactor).resolve(reference)
        except UnavailableError as error:
            raise UsageError(f"--fingerprint-key: {error.reason}; {error.remedy}.") from error
        if len(key) < SHORTEST_KEY:
            raise UsageError(
                f"--fingerprint-key {reference}: the key has less than {SHORTEST_KEY} characters; "
                "take one from a password generator."
            )
        return cls(redactor, key.encode("utf-8", "surrogateescape"))

    @property
    def key_id(self) -> str:
        """What is equal for two runs with the same key and says nothing else about it."""
        return hmac.new(self._key, b"acceptance: id of the fingerprint key", hashlib.sha256).hexdigest()[:16]

    def foresee(self, document: Any) -> None:  # noqa: ANN401 - JSON is any value
        """Teach the redactor every `env:` and `file:` reference of a target that resolves, before any look.

        A server may show a secret before the suite has to present it, or in a run that never does. The
        others are learned as they are needed: a command may ask its user something.
        """
        for reference in _references(document):
            if reference.startswith("cmd:"):
                self._awaited.add(reference)
                continue
            with contextlib.suppress(UnavailableError):
                self.resolve(reference)

    @property
    def are_known(self) -> bool:
        """False while a `cmd:` reference of the target was not resolved."""
        return not self._awaited

    def classify(self, value: str) -> str:
        """Return the equality class of a value: equal within a run for equal values, and nothing more."""
        return hmac.new(self._key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:16]


def _references(document: Any) -> Iterator[str]:  # noqa: ANN401 - JSON is any value
    if isinstance(document, str):
        if re.match(REFERENCE, document):
            yield document
    elif isinstance(document, dict | list | tuple):
        for entry in document.values() if isinstance(document, dict) else document:
            yield from _references(entry)


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
