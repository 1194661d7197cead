"""Which lines of an application's log tell of an error, whatever it is: a level, an exception, an answer 5xx.

`log_patterns` knows what single errors mean. This is for watching, where any error counts. Forms seen with
console.error of Node 20, Next.js 16, Nitro 2 (h3, ofetch, consola), pino 9 and winston 3.
"""

from __future__ import annotations

import re
from collections import Counter

from acceptance.facts.log_patterns import Scanner

ERROR = "error"
SERVER_ERROR = "answer 5xx"

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CONTINUES = re.compile(r"\s|\}|$")
_LEVEL = re.compile(
    r"^\s?(?:\W{0,3}[\d:.,TZ/+ -]{8,40}\W{0,3})?(?:\[[^\]]{1,40}\]\s*)*[\[(<]?"
    r"(?:(?:ERROR|FATAL|CRITICAL|PANIC|EMERG)\b|(?:error|fatal)(?=[\])>]?:|\]))"
)
_JSON_LEVEL = re.compile(
    r'"(?:level|lvl|severity|levelname)"\s*:\s*(?:[56]\d\b|"(?:error|fatal|critical|panic|alert|emerg))'
    r'|\b(?:level|lvl|severity)="?(?:error|fatal|critical|panic|alert|emerg)',
    re.IGNORECASE,
)
"""As JSON or as logfmt writes it."""
_EXCEPTION = re.compile(r"(?:^|[\s⨯:\]\"'])[A-Za-z]*(?:Error|Exception)(?: \[[^\]]{1,60}\])?: ")
_SIGN = re.compile(
    r"\s?(?:⨯|✖|✘|[Uu]ncaught |panic: |prisma:error "
    r"|(?:\[[^\]]{1,40}\]\s*)*\[(?:unhandled|uncaught|fatal)\w*\])"
)
_ANSWER = re.compile(
    r"\b(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)\b\]?\s+\S+(?:\s+HTTP/[\d.]+\"?)?:?\s+5\d\d(?=[\s,\"]|$)"
    r'|"(?:status|statusCode|status_code)"\s*:\s*5\d\d\b|\[5\d\d\]'
)
_FAR = 400
"""An error says so in the beginning of its line."""


def symptom(line: str) -> str:
    """Return `ERROR`, `SERVER_ERROR` or nothing for one line without its timestamp; pure."""
    text = _COLOUR.sub("", line)[:_FAR]
    if _ANSWER.search(text):
        return SERVER_ERROR
    found = _LEVEL.match(text) or _JSON_LEVEL.search(text) or _SIGN.match(text) or _EXCEPTION.search(text)
    return ERROR if found else ""


class Errors:
    """Counts errors in an application's log read line by line; one of many lines counts once.

    Attributes:
        kinds: how many of each kind; an error may be of two.
    """

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self._scanner = Scanner("application")
        self._in_error = False

    def feed(self, line: str) -> bool:
        """Take the next line and tell whether an error begins there."""
        text = _COLOUR.sub("", line)
        continues = self._in_error and bool(_CONTINUES.match(text)) and not _LEVEL.match(text)
        told = {str(kind) for kind in self._scanner.feed(line)}
        if not continues:
            told = told or ({symptom(line)} - {""})
        self.kinds.update(told)
        self._in_error = continues or bool(told)
        return bool(told) and not continues
