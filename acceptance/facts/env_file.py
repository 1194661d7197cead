"""The .env file on the server's disk, read as Docker Compose reads it and reduced to equality classes."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

from acceptance.errors import UnavailableError
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known
from acceptance.guard.commands import DEPLOY_ENV_FILE, call

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.transports.host import Result

Lookup = Callable[[str], str | None]
Kind = Literal["file", "directory", "missing", "other"]

_SECRET_NAME = re.compile(
    r"SECRET|PASSWORD|PASSWD|PASSPHRASE|TOKEN|CREDENTIAL|PRIVATE_KEY|(?:^|_)(?:PASS|PW|KEY|APIKEY|SALT)_?\d*$"
    r"|_PWD_?\d*$|(?:SMTP|IMAP|MAIL|DB|PG|SQL|REDIS|USER|ROOT|ADMIN)(?:PASS|PWD|PW)$|^REDISCLI_AUTH$"
    r"|_FILE_CONTENTS$",
    re.IGNORECASE,
)
_NO_SECRET_NAME = re.compile(
    r"_(?:FILE|PATH|DIR|HOST|PORT|URL|TTL)$|(?:^|(?<!SECRET)_)(?:ACCESS|PUBLIC|PUBLISHABLE|SITE)_KEY(?:_ID)?$",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SHORTEST_SECRET = 6


class EnvFileError(ValueError):
    """Docker Compose would refuse the file; the message holds the line number and no value."""


class Variable(Fact):
    """A variable without its value.

    Attributes:
        equals: its equality class: equal within a run for equal values.
        length: in characters.
        blank: True if it is empty or only white space.
    """

    equals: str
    length: int
    blank: bool


class EnvFile(Fact):
    """The .env file.

    Attributes:
        mode: permission bits in octal, `600`; empty if there is no file. Likewise owner and group.
        inherited: names without a value; Compose takes them from the shell it is started from.
    """

    path: str
    kind: Kind
    mode: str = ""
    owner: str = ""
    group: str = ""
    variables: Attempt[dict[str, Variable]]
    inherited: tuple[str, ...] = ()

    @property
    def source(self) -> Source:
        """Where it was read."""
        return Source(where=self.path, again=f"as root: cat {self.path}  # holds secrets")

    def expected_in_containers(self, interpolation_only: Iterable[str]) -> dict[str, Variable]:
        """Return the variables that a service with this env_file must have.

        Raises:
            UnavailableError: there is no file, or Compose would refuse it.
        """
        left_out = set(interpolation_only)
        return {name: value for name, value in known(self.variables).items() if name not in left_out}


def reduce(access: Access, values: Mapping[str, str]) -> dict[str, Variable]:
    """Reduce values to equality classes, and make the secret ones known to the redactor.

    Which are secret is told by their names; a password inside a URL counts whatever the name.
    """
    for name, value in values.items():
        for label, secret in secrets_of(name, value):
            access.learn(label, secret)
    return {
        name: Variable(equals=access.classify(value), length=len(value), blank=not value.strip())
        for name, value in values.items()
    }


def secrets_of(name: str, value: str) -> list[tuple[str, str]]:
    """Return what is secret in a variable, each with a name that may be shown; pure.

    Values shorter than 6 characters are left out: redacting them would rewrite ordinary words.
    """
    found = []
    if _SECRET_NAME.search(name) and not _NO_SECRET_NAME.search(name):
        found.append((name, value))
    for password in _url_passwords(value):
        found += [(f"password in {name}", spelling) for spelling in {password, unquote(password)}]
    return [(label, secret) for label, secret in found if len(secret) >= _SHORTEST_SECRET]


def _url_passwords(value: str) -> list[str]:
    """Return the passwords of the URLs in a value; one may hold `@`, or an unescaped `/`, `?` or `#`."""
    found = []
    for rest in _SCHEME.split(value)[1:]:
        url = (rest.split() or [""])[0]
        authority = re.split(r"[/?#]", url, maxsplit=1)[0]
        user, colon, _ = authority.partition(":")
        place = authority if "@" in authority else url
        if colon and "@" not in user and "@" in place:
            found.append(place.rpartition("@")[0].partition(":")[2])
    return found


_ESCAPE = re.compile(r'\\(?:[abfnrtv$"\\]|0[0-7]{0,3})')
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "$": "$$"}
_REFERENCE = re.compile(r"\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*)|(\{))")
_BRACED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(:?[-+?])?(.*)", re.DOTALL)
_SPACES = " \t\v\f\r\x85\xa0"
_NAME = re.compile(r"[\w.\[\]-]*")


def parse(text: str, lookup: Lookup = lambda _: None) -> tuple[dict[str, str], tuple[str, ...]]:
    """Parse an env file as Docker Compose does (compose-go v2, package dotenv); pure.

    Unquoted values end at a comment that is preceded by a space; single quotes are literal; double quotes
    know escapes; `$NAME`, `${NAME:-default}` and their relatives are replaced except in single quotes.
    The last of several equal names wins.

    Args:
        text: the file's text.
        lookup: asked before the variables further up in the file; None if a name is not set.

    Returns:
        the variables, and the names that stand without a value.

    Raises:
        EnvFileError: Compose would refuse the file.
    """
    return _Parser(text.removeprefix("\ufeff"), lookup).parse()


def as_compose_passes(text: str, *, is_project_file: bool) -> tuple[dict[str, str], tuple[str, ...]]:
    """Parse a service's env_file; pure.

    Args:
        text: the file's text.
        is_project_file: True if it is the project's own `.env`. Compose then reads it twice: first for the
            project, whose values the second reading prefers in references.

    Raises:
        EnvFileError: Compose would refuse the file.
    """
    if not is_project_file:
        return parse(text)
    project, _ = parse(text)
    return parse(text, project.get)


class _Parser:
    def __init__(self, text: str, lookup: Lookup) -> None:
        self._text = text
        self._position = 0
        self._lookup = lookup
        self._values: dict[str, str] = {}
        self._inherited: list[str] = []

    def parse(self) -> tuple[dict[str, str], tuple[str, ...]]:
        while self._to_next_statement():
            self._statement()
        return self._values, tuple(name for name in self._inherited if name not in self._values)

    def _error(self, message: str) -> EnvFileError:
        line = self._text.count("\n", 0, self._position) + 1
        return EnvFileError(f"line {line}: {message}")

    def _to_next_statement(self) -> bool:
        while self._position < len(self._text):
            if self._text[self._position].isspace():
                self._position += 1
            elif self._text[self._position] == "#":
                self._position = self._line_end()
            else:
                return True
        return False

    def _line_end(self) -> int:
        end = self._text.find("\n", self._position)
        return len(self._text) if end < 0 else end

    def _skip_spaces(self) -> None:
        while self._position < len(self._text) and self._text[self._position] in _SPACES:
            self._position += 1

    def _statement(self) -> None:
        if re.match(r"export[ \t]", self._text[self._position : self._position + 7]):
            self._position += len("export")
            self._skip_spaces()
        match = _NAME.match(self._text, self._position)
        name = match.group() if match else ""
        self._position += len(name)
        self._skip_spaces()
        following = self._text[self._position : self._position + 1]
        if following in ("", "\n"):
            self._inherited.append(name)
            return
        if following not in "=:" or not name:
            raise self._error("unexpected character in a variable's name")
        self._position += 1
        self._skip_spaces()
        self._values[name] = self._value()

    def _value(self) -> str:
        quote = self._text[self._position : self._position + 1]
        if quote == "'":
            return self._quoted(quote)
        if quote == '"':
            return self._interpolate(_ESCAPE.sub(_unescape, self._quoted(quote)))
        end = self._line_end()
        value = self._text[self._position : end].split(" #", 1)[0].rstrip()
        interpolated = self._interpolate(value)
        self._position = end
        return interpolated

    def _quoted(self, quote: str) -> str:
        """Return the text between quotes; only the escaped quote itself is unescaped."""
        pattern = re.compile(rf"{quote}((?:\\.|[^{quote}\\])*){quote}", re.DOTALL)
        match = pattern.match(self._text, self._position)
        if match is None:
            raise self._error("a quoted value is never closed")
        self._position = match.end()
        return re.sub(r"\\(.)", lambda m: quote if m[1] == quote else m[0], match.group(1), flags=re.DOTALL)

    def _resolve(self, name: str) -> str | None:
        value = self._lookup(name)
        return self._values.get(name) if value is None else value

    def _interpolate(self, template: str) -> str:
        try:
            return interpolate(template, self._resolve)
        except EnvFileError as error:
            raise self._error(str(error)) from error


def _empty(_name: str) -> str:
    return ""


def interpolate(template: str, lookup: Lookup, unset: Callable[[str], str] = _empty) -> str:
    """Replace `$NAME`, `${NAME:-default}` and their relatives as Docker Compose does; pure.

    Args:
        template: the text; `$$` stands for a dollar, and so does a `$` that starts no reference (since
            Compose 2.11.2; older ones refuse the file).
        lookup: the value of a name, None if it is not set.
        unset: what stands for a name that is not set and has no default; Compose takes nothing.

    Raises:
        EnvFileError: Compose would refuse it.
    """
    done = []
    position = 0
    while (dollar := template.find("$", position)) >= 0:
        done.append(template[position:dollar])
        match = _REFERENCE.match(template, dollar)
        position = match.end() if match else dollar + 1
        if match is None:
            done.append("$")
            continue
        if match[1]:
            done.append("$")
        elif match[2]:
            value = lookup(match[2])
            done.append(unset(match[2]) if value is None else value)
        else:
            closing = _closing_brace(template, position)
            if closing < 0:
                raise EnvFileError("a reference is never closed")
            done.append(_braced(template[position:closing], lookup, unset))
            position = closing + 1
    return "".join(done) + template[position:]


def _braced(reference: str, lookup: Lookup, unset: Callable[[str], str]) -> str:
    match = _BRACED.fullmatch(reference)
    if match is None or (match[3] and not match[2]):
        raise EnvFileError("a reference that Compose does not know")
    value = lookup(match[1])
    operator = match[2] or ""
    is_set = bool(value) if operator.startswith(":") else value is not None
    if operator.endswith("+"):
        return interpolate(match[3], lookup, unset) if is_set else ""
    if operator.endswith("-"):
        return (value or "") if is_set else interpolate(match[3], lookup, unset)
    if operator.endswith("?") and not is_set:
        raise EnvFileError(f"the required variable {match[1]} is not set")
    return unset(match[1]) if value is None else value


def _unescape(match: re.Match[str]) -> str:
    escaped = match.group()[1:]
    if escaped[0] == "0":
        return chr(int(escaped, 8)) if len(escaped) == 4 and int(escaped, 8) < 256 else match.group()
    return _ESCAPED.get(escaped, escaped)


def _closing_brace(template: str, start: int) -> int:
    depth = 1
    for position in range(start, len(template)):
        if template.startswith("${", position):
            depth += 1
        elif template[position] == "}":
            depth -= 1
            if depth == 0:
                return position
    return -1


def read(result: Result, path: str, access: Access) -> EnvFile:
    """Turn the answer of the declared command into the fact.

    Raises:
        UnavailableError: the file could not be looked at.
    """
    result.answered(0, 3)
    if result.rc == 3:
        return _unseen(result.stderr, path, assumed=access.target.is_assumed("compose.directory"))
    status, _, content = result.stdout.decode("utf-8", errors="surrogateescape").partition("\n")
    described, mode, owner, group = status.split("|")
    if not described.startswith("regular"):
        kind: Kind = "directory" if described == "directory" else "other"
        not_a_file = Unavailable(reason=f"{path} is a {described}, not a file")
        return EnvFile(path=path, kind=kind, mode=mode, owner=owner, group=group, variables=not_a_file)
    variables: Known[dict[str, Variable]] | Unavailable
    inherited: tuple[str, ...] = ()
    try:
        values, inherited = as_compose_passes(content, is_project_file=posixpath.basename(path) == ".env")
        variables = Known(value=reduce(access, values))
    except EnvFileError as error:
        variables = Unavailable(reason=f"{path}, {error}; Docker Compose refuses the file")
    return EnvFile(
        path=path, kind="file", mode=mode, owner=owner, group=group, variables=variables, inherited=inherited
    )


def _unseen(message: str, path: str, *, assumed: bool) -> EnvFile:
    if "No such file" not in message and "Not a directory" not in message:
        first = message.strip().splitlines()[-1] if message.strip() else "no message"
        raise UnavailableError(f"{path} cannot be looked at ({first})", "check the configured way up to root")
    if assumed:
        raise UnavailableError(
            f"assumed name not found: {path}", "set compose.directory in the target file to the real place"
        )
    return EnvFile(path=path, kind="missing", variables=Unavailable(reason=f"{path} does not exist"))


async def collect(access: Access) -> EnvFile:
    """Read the .env file.

    Raises:
        UnavailableError: it cannot be looked at, or only its assumed place is empty.
    """
    path = access.target.compose.env_path
    (result,) = await access.host.run(call(DEPLOY_ENV_FILE, path))
    return read(result, path, access)


NOUN = Noun("env_file", EnvFile, collect, sources=("root",), host=True, teaches=True)
