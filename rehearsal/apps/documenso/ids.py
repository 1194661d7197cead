"""Identifiers as Documenso makes them, and the object keys made of titles."""

from __future__ import annotations

import re
import secrets
import string
import unicodedata
from pathlib import PurePosixPath

_BASE36 = string.digits + string.ascii_lowercase
_URL_SAFE = string.ascii_letters + string.digits + "_-"
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})


def cuid() -> str:
    """Return a row's id: `c` and 24 of 0-9a-z."""
    return "c" + _random(_BASE36, 24)


def prefixed(prefix: str) -> str:
    """Return an id of the newer kind: a prefix and 16 small letters."""
    return f"{prefix}_{_random(string.ascii_lowercase, 16)}"


def recipient_token() -> str:
    """Return what opens the signing page: 21 characters."""
    return _random(_URL_SAFE, 21)


def session_token() -> str:
    """Return the value of a session or csrf cookie before it is signed."""
    return _random(_BASE36, 32)


def object_key(file_name: str) -> str:
    """Return the key of a new object: 12 random characters and the slug of its name."""
    path = PurePosixPath(file_name)
    return f"{_random(_BASE36, 12)}/{slug(path.stem)}{path.suffix}"


def slug(text: str) -> str:
    """Return small ASCII letters and digits of a name, joined by hyphens; empty if there are none."""
    text = text.translate(_GERMAN).replace("&", " and ")
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    text = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text)
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
