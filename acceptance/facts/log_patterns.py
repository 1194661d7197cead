"""How errors look in the logs of Node applications, PostgreSQL and Redis.

Seen with pg 8.23, postgres.js 3.4, drizzle-orm 0.45, Next.js 16 and PostgreSQL 15. One print of drizzle
cannot be told apart from any other failed query: `err.message` alone (`Failed query: …`) holds neither the
code nor the words. PostgreSQL's own log has them whichever way the application logs, so it is the main
witness.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Literal

from acceptance.excerpt import around


class ErrorKind(StrEnum):
    """What went wrong, by what the log says."""

    UNDEFINED_COLUMN = "undefined-column"
    UNDEFINED_TABLE = "undefined-table"
    UNDEFINED_FUNCTION = "undefined-function"
    UNDEFINED_TYPE = "undefined-type"
    CACHED_PLAN = "cached-plan"
    UNHANDLED_REJECTION = "unhandled-rejection"
    OUT_OF_MEMORY = "out-of-memory"
    CONNECTION_REFUSED = "connection-refused"


Dialect = Literal["application", "postgres", "redis"]
"""Whose log it is; the same words mean different things in each."""

CODES = {
    "42703": ErrorKind.UNDEFINED_COLUMN,
    "42P01": ErrorKind.UNDEFINED_TABLE,
    "42883": ErrorKind.UNDEFINED_FUNCTION,
    "42704": ErrorKind.UNDEFINED_TYPE,
}
"""SQLSTATEs by what is missing. 0A000 is not here: many unsupported features share it."""

_ROUTINES = {
    "errorMissingColumn": ErrorKind.UNDEFINED_COLUMN,
    "checkInsertTargets": ErrorKind.UNDEFINED_COLUMN,
    "RevalidateCachedQuery": ErrorKind.CACHED_PLAN,
}
"""Functions of the server's source that drivers print with the error."""

_QUOTED = r'"(?:[^"]|"")+"'
_ALIASED = r"[\w$]+\.[\w$]+(?:[ -][\w$]+){0,5}?"
_WORDS = {
    ErrorKind.UNDEFINED_COLUMN: (
        rf"column (?:{_QUOTED}(?: of relation {_QUOTED})?|{_ALIASED}) does not exist",
        rf"record {_QUOTED} has no field {_QUOTED}",
    ),
    ErrorKind.UNDEFINED_TABLE: (
        rf"(?:relation|table) {_QUOTED} does not exist",
        rf"(?:invalid reference to|missing) FROM-clause entry for table {_QUOTED}",
    ),
    ErrorKind.UNDEFINED_FUNCTION: (
        r'(?:function|procedure|aggregate) [\w.$"]+\([^)]*\) does not exist',
        r"operator does not exist: \S",
    ),
    ErrorKind.UNDEFINED_TYPE: (rf"type {_QUOTED} does not exist",),
    ErrorKind.CACHED_PLAN: ("cached plan must not change result type",),
}
"""The server's messages, untranslated, as they begin."""

_MESSAGE = re.compile("|".join(f"(?P<{kind.name}>{'|'.join(words)})" for kind, words in _WORDS.items()))
_CODE = "|".join(CODES)

# In an application's log the message stands where a message begins and ends where one ends; a sentence about
# a column of somebody's spreadsheet does not.
_BEGIN = r"""(?:^|[:"'`(>\[\]=⨯]|\s-)\s*"""
_END = r"""(?=\s*(?:$|["'`\\,;:.()\[\]{}]|at\b|-))"""
_APPLICATION_MESSAGE = re.compile(f"{_BEGIN}(?:{_MESSAGE.pattern}){_END}")
_APPLICATION_CODE = re.compile(
    rf"""\bcode["']?\s*[:=]\s*["'](?P<code>{_CODE})["']"""
    rf"""|\bSQLSTATE\b["']?[\s:=\[("']*(?P<state>{_CODE})\b"""
    rf"""|\bERROR:\s+(?P<psql>{_CODE})(?=:|\s*$)""",
    re.IGNORECASE,
)
_APPLICATION_ROUTINE = re.compile(rf"""\broutine["']?\s*:\s*["'](?P<routine>{"|".join(_ROUTINES)})["']""")
_APPLICATION_OTHER = {
    ErrorKind.UNHANDLED_REJECTION: re.compile(
        r"""(?:^|[\s"'⨯\[])(?:unhandledRejection|uncaughtException)["']?\s*:"""
        r"""|:\s*"(?:unhandledRejection|uncaughtException)\b"""
        r"""|\bUnhandledPromiseRejection|\btriggerUncaughtException\(|^Node\.js v\d+\.\d+\.\d+\s*$"""
        r"""|\bunhandled (?:promise )?rejection(?=\s*(?::|at\b|"|$))""",
        re.IGNORECASE,
    ),
    ErrorKind.OUT_OF_MEMORY: re.compile(
        r"JavaScript heap out of memory|\bENOMEM\b|Cannot allocate memory|Out of memory: Kill"
    ),
    ErrorKind.CONNECTION_REFUSED: re.compile(r"\bECONNREFUSED\b|\bconnection refused\b", re.IGNORECASE),
}
_POSTGRES_MEMORY = re.compile(r"out of memory|Cannot allocate memory")
_REDIS_MEMORY = re.compile(r"Out Of Memory|Cannot allocate memory|OOM command not allowed")

_LABEL = re.compile(r"(?<![^\s:|,\])])(?P<label>[^\W\d_]+[1-5]?):  (?=\S)")
_LEVELS = frozenset({"ERROR", "FATAL", "PANIC"})
_OTHER_LABELS = frozenset(
    {
        "LOG",
        "INFO",
        "NOTICE",
        "WARNING",
        "DEBUG",
        "STATEMENT",
        "DETAIL",
        "HINT",
        "CONTEXT",
        "QUERY",
        "LOCATION",
    }
    | {"BACKTRACE"}
    | {f"DEBUG{level}" for level in range(1, 6)}
)
_PREFIX_CODE = re.compile(rf"(?:^|\s)(?P<code>{_CODE})\s*$")
_VERBOSE_CODE = re.compile(rf"(?P<code>{_CODE}): ")
_CSV_CODE = re.compile(rf",(?:ERROR|FATAL|PANIC),(?P<code>{_CODE}),")
_JSON_ERROR = re.compile(r'"error_severity":\s?"(?:ERROR|FATAL|PANIC)"')
_JSON_CODE = re.compile(rf'(?<!\\)"state_code":\s?"(?P<code>{_CODE})"')
_JSON_MESSAGE = re.compile(r'(?<!\\)"message":\s?"(?P<message>(?:[^"\\]|\\.)*)"')

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ESCAPED_QUOTE = re.compile(r'\\+"')
_WORTH_A_LOOK = re.compile(
    "does not exist|has no field|FROM-clause|cached plan|emory|OOM|ECONNREFUSED|ENOMEM|Node\\.js v"
    f"|refused|nhandled|ncaught|{_CODE}|{'|'.join(_ROUTINES)}",
    re.IGNORECASE,
)

_TELLING = (
    *("does not exist", "has no field", "from-clause", "cached plan", "emory", "oom", "enomem", "node.js v"),
    *(
        "refused",
        "nhandled",
        "ncaught",
        *(code.lower() for code in CODES),
        *(name.lower() for name in _ROUTINES),
    ),
)
"""Whatever has a meaning here holds one of these in lower case; most lines hold none."""

_CONTINUES = re.compile(r"\s|\}|$")
_LAST_WORDS = re.compile(r"Node\.js v\d")
LAST_WORDS_LINES = 60
"""A dying process names its version at most so many lines after the error."""

EXCERPT_LENGTH = 300
_PERSONAL = (
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "«address»"),
    (re.compile(r"\bparams: .*"), "params: «left out»"),
    (
        re.compile(
            r"""((?:params|parameters|args)\\*["']?\s*:\s*)"""
            r"""\[(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\[[^\]]*\]|[^\[\]"'])*\]?"""
        ),
        r"\1[«left out»]",
    ),
    (re.compile(r"://[^\s/:@]*:[^\s/@]+@"), "://«left out»@"),
)


def classify(line: str, dialect: Dialect) -> frozenset[ErrorKind]:
    """Return what one line of a log tells; pure.

    Args:
        line: without Docker's timestamp.
        dialect: whose log it is.
    """
    lowered = line.lower()
    if not any(word in lowered for word in _TELLING):
        return frozenset()
    if dialect == "postgres":
        return _of_postgres(line)
    if dialect == "redis":
        return frozenset({ErrorKind.OUT_OF_MEMORY} if _REDIS_MEMORY.search(line) else ())
    return _of_application(_ESCAPED_QUOTE.sub('"', _COLOUR.sub("", line)))


def _of_application(line: str) -> frozenset[ErrorKind]:
    kinds = {kind for kind, pattern in _APPLICATION_OTHER.items() if pattern.search(line)}
    kinds |= {ErrorKind[match.lastgroup] for match in _APPLICATION_MESSAGE.finditer(line) if match.lastgroup}
    for match in _APPLICATION_CODE.finditer(line):
        kinds.add(CODES[(match["code"] or match["state"] or match["psql"]).upper()])
    kinds |= {_ROUTINES[match["routine"]] for match in _APPLICATION_ROUTINE.finditer(line)}
    return frozenset(kinds)


def _of_postgres(line: str) -> frozenset[ErrorKind]:
    """Judge a line of the server's log; a statement that holds such words or numbers is no error."""
    if line.startswith("\t"):
        return frozenset()
    if _JSON_ERROR.search(line):
        return _of_postgres_json(line)
    csv = _CSV_CODE.search(line)
    return frozenset({CODES[csv["code"]]}) if csv else _of_postgres_text(line)


def _of_postgres_text(line: str) -> frozenset[ErrorKind]:
    """Judge a line of the default format; a translated one is understood by its code only."""
    label = _LABEL.search(line)
    if label is None or label["label"] in _OTHER_LABELS:
        return frozenset()
    prefix, message = line[: label.start()], line[label.end() :]
    code = _PREFIX_CODE.search(prefix) or _VERBOSE_CODE.match(message)
    if code:
        return frozenset({CODES[code["code"]]} | _words_of(_VERBOSE_CODE.sub("", message, count=1)))
    if label["label"] not in _LEVELS:
        return frozenset()
    return _words_of(re.sub(r"^[0-9A-Z]{5}: ", "", message))


def _of_postgres_json(line: str) -> frozenset[ErrorKind]:
    code = _JSON_CODE.search(line)
    message = _JSON_MESSAGE.search(line)
    kinds = {CODES[code["code"]]} if code else set()
    return frozenset(kinds | (_words_of(_ESCAPED_QUOTE.sub('"', message["message"])) if message else set()))


def _words_of(message: str) -> frozenset[ErrorKind]:
    """Return what a server message says; it must begin with the known words."""
    match = _MESSAGE.match(message)
    if match and match.lastgroup:
        return frozenset({ErrorKind[match.lastgroup]})
    return frozenset({ErrorKind.OUT_OF_MEMORY} if _POSTGRES_MEMORY.match(message) else ())


class Scanner:
    """Counts events in a log read line by line; an error printed as an object of many lines counts once."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._line = 0
        self._event: frozenset[ErrorKind] = frozenset()
        self._death_at = -LAST_WORDS_LINES

    def feed(self, line: str) -> frozenset[ErrorKind]:
        """Take the next line and return the kinds of events that begin there."""
        self._line += 1
        kinds = classify(line, self._dialect)
        if self._dialect != "application" or not (kinds or self._event):
            return kinds
        if not _CONTINUES.match(line):
            self._event = frozenset()
        fresh = kinds - self._event
        self._event |= kinds
        if ErrorKind.UNHANDLED_REJECTION in fresh:
            told = _LAST_WORDS.match(line) and self._line - self._death_at < LAST_WORDS_LINES
            fresh -= {ErrorKind.UNHANDLED_REJECTION} if told else frozenset()
            self._death_at = self._line
        return fresh


def excerpt(line: str) -> str:
    """Return a line for people: on one line, short, without query parameters, addresses and passwords."""
    text = "".join(char if char.isprintable() else " " for char in _COLOUR.sub("", line))
    for pattern, replacement in _PERSONAL:
        text = pattern.sub(replacement, text)
    if len(text) <= EXCERPT_LENGTH:
        return text
    point = _WORTH_A_LOOK.search(text)
    start = max(0, min(point.start() - EXCERPT_LENGTH // 3, len(text) - EXCERPT_LENGTH)) if point else 0
    return around(text, start, EXCERPT_LENGTH)
