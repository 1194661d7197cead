"""Secrets that must not come out, in whatever guise, and a scanner that shares no code with the redactor."""

from __future__ import annotations

import base64
import html
import json
import re
import secrets
import shlex
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, unquote

PIECE = 12
"""So many characters in a row of a secret, or of its base64 form, count as the secret."""

_STEP = 4
_GRAM = PIECE - _STEP + 1
"""Looking at every fourth place for so many characters finds every piece."""

_PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]+")
_NOISE = re.compile(
    r"\\?\s*\n(?:INTERNALERROR>)?(?: ?[E>] )?(?:\s*[-+] )?|\"\s*\n\s*\"|\x1b\[[0-9;]*m"
    r"|</?[a-zA-Z][^<>]{0,200}>|\s"
    r"|[\u200b-\u200f\u202a-\u202e\x00-\x1f]"
    r"|\\x1b\[[0-9;]*m|\\x00|\\u20[0-9a-f]{2}"
)
_SHELL = re.compile(r"""'"'"'|'\\''""")
_BACKSLASH = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\n)|([0-3][0-7]{2})|(.))")
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r"}


def secret(length: int = 39) -> str:
    """Return a value that cannot be mistaken for a word: no two neighbours are of one kind."""
    kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
    return "".join(secrets.choice(kinds[place % 3]) for place in range(length))


def forms(value: str) -> dict[str, str]:
    """Return the guises in which a secret may turn up, each under its name."""
    encoded = value.encode()
    lines = [value[start : start + 8] for start in range(0, len(value), 8)]
    return {
        "raw": value,
        "url": quote(value, safe=""),
        "url, every character": "".join(f"%{byte:02x}" for byte in encoded),
        "url, every other character": "".join(
            f"%{byte:02X}" if place % 2 or byte > 127 else chr(byte) for place, byte in enumerate(encoded)
        ),
        "url twice": quote(quote(f"{value}%", safe=""), safe=""),
        "hexadecimal": encoded.hex(),
        "base64": base64.b64encode(encoded).decode(),
        "base64 twice": base64.b64encode(base64.b64encode(b"user:" + encoded)).decode(),
        "base64 behind one byte": base64.b64encode(b"a" + encoded).decode(),
        "base64 behind two bytes": base64.b64encode(b"ab" + encoded).decode(),
        "base64 in lines": base64.encodebytes(encoded * 2).decode(),
        "base64 for addresses": base64.urlsafe_b64encode(b"a" + encoded).decode(),
        "basic authorization": f"Basic {base64.b64encode(b'user:' + encoded).decode()}",
        "json": json.dumps(value),
        "json, every character": "".join(f"\\u{ord(character):04X}" for character in value),
        "json in json": json.dumps(json.dumps({"key": value})),
        "html": html.escape(value),
        "html, every character": "".join(f"&#{ord(character)};" for character in value),
        "html, every character, hexadecimal": "".join(f"&#x{ord(character):x};" for character in value),
        "json in html": html.escape(json.dumps(value)),
        "shell": shlex.quote(value),
        "shell, every character": "".join(f"\\{byte:03o}" for byte in encoded),
        "python": repr(value),
        "python bytes": repr(encoded),
        "lines": "\n".join(lines),
        "indented lines": "\r\n      ".join(lines),
        "lines in json": json.dumps("\n".join(lines)),
        "lines of a quotation": "\n> ".join(lines),
        "lines of a traceback": "\nE       ".join(lines),
        "lines of a comparison": "\nE         - ".join(lines),
        "continued lines": "\\\n    ".join(lines),
        "literals in lines": '"\n    "'.join(lines),
        "blanks": " ".join(value),
        "tags": "<br>".join(lines),
        "tags with attributes": "".join(f'<span class="s1">{line}</span>' for line in lines),
        "colours": "\x1b[31m".join(lines),
        "invisible characters": "\u200b".join(lines),
        "cut off": value[:-9],
        "begins late": "…" + value[9:],
    }


def _unescaped(match: re.Match[str]) -> str:
    number = match[1] or match[2]
    if number:
        return chr(int(number, 16))
    if match[4]:
        return chr(int(match[4], 8))
    return "" if match[3] else _CONTROLS.get(match[5], match[5])


def _readings(text: str) -> Iterator[str]:
    """Yield the text as it stands, with each way of quoting undone, and with all of them, once and twice."""
    ways: tuple[Callable[[str], str], ...] = (
        html.unescape,
        lambda given: _BACKSLASH.sub(_unescaped, given),
        unquote,
        lambda given: _SHELL.sub("'", given),
    )
    yield text
    yield from (undone(text) for undone in ways)
    for _ in range(2):
        for undone in ways:
            text = undone(text)
        yield text


def _grams(text: str, step: int = 1) -> set[str]:
    return {text[place : place + _GRAM] for place in range(0, len(text) - _GRAM + 1, step)}


def _guises(value: str) -> Iterator[str]:
    yield value
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + value.encode()).decode().rstrip("=")
        core = encoded[4 if shift else 0 : -1]
        yield core
        yield core.translate(str.maketrans("+/", "-_"))
        for again in range(3):
            yield base64.b64encode(b"\0" * again + core[1:-1].encode()).decode().rstrip("=")[4:-1]
    yield value.encode().hex()


class Scanner:
    """Looks for canaries.

    Args:
        canaries: the secrets by the names that a finding is told with.
    """

    def __init__(self, canaries: Mapping[str, str]) -> None:
        self._names: dict[str, str] = {}
        for name, value in canaries.items():
            for guise in _guises(value):
                self._names |= dict.fromkeys(_grams(_NOISE.sub("", guise)), name)

    def leaks(self, text: str) -> set[str]:
        """Return the names of the canaries that a text holds, whole or in part, in any guise."""
        grams: set[str] = set()
        for reading in set(_readings(_PICTURE.sub("", text))):
            grams |= _grams(reading, _STEP) | _grams(_NOISE.sub("", reading), _STEP)
        return {self._names[gram] for gram in grams & self._names.keys()}

    def leaks_in(self, places: Iterable[Path]) -> dict[str, set[str]]:
        """Return what each file (a directory's too) holds, its name included; only those that hold any."""
        files = [path for place in places for path in ([place] if place.is_file() else place.rglob("*"))]
        found = {
            path.name: self.leaks(f"{path.name}\n{path.read_bytes().decode('utf-8', 'replace')}")
            for path in files
            if path.is_file()
        }
        return {name: names for name, names in found.items() if names}
