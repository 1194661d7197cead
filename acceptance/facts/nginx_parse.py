"""nginx's configuration as nginx would read it, from files held in memory; pure.

Tokens and the table of directives are crossplane's. Includes are resolved only inside the fetched tree:
crossplane itself would open them on the operator's machine.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from tempfile import NamedTemporaryFile

import crossplane
from crossplane.analyzer import CONTEXTS, DIRECTIVES, analyze, enter_block_ctx
from crossplane.errors import NgxParserDirectiveError, NgxParserSyntaxError

from acceptance.errors import UnavailableError
from acceptance.facts.base import Fact, Source
from acceptance.facts.tree import MissingError, OutsideError, Tree, is_pattern

_MAX_DEPTH = 30
_ONCE = frozenset(
    {
        "client_max_body_size",
        "pid",
        "proxy_buffering",
        "proxy_http_version",
        "proxy_pass",
        "proxy_read_timeout",
        "ssl_dhparam",
    }
)
"""Directives that nginx refuses a second time in one block, among those that are judged."""

_FROM_CONFIG_DIRECTORY = frozenset(
    {
        "auth_basic_user_file",
        "proxy_ssl_certificate",
        "proxy_ssl_certificate_key",
        "proxy_ssl_trusted_certificate",
        "ssl_certificate",
        "ssl_certificate_key",
        "ssl_client_certificate",
        "ssl_crl",
        "ssl_dhparam",
        "ssl_password_file",
        "ssl_session_ticket_key",
        "ssl_stapling_file",
        "ssl_trusted_certificate",
    }
)
_FROM_PREFIX = frozenset({"load_module"})
_DEFINES_VARIABLE = {"map": 1, "geo": -1, "set": 0, "split_clients": 1, "perl_set": 0, "js_set": 0}

Token = tuple[str, int, bool]
Context = tuple[str, ...]


class Directive(Fact):
    """One directive where it is written.

    Attributes:
        file: as nginx names it: the path by which it was included, links not followed.
        block: what stands between its braces; None if it has none.
    """

    name: str
    args: tuple[str, ...] = ()
    file: str
    line: int
    block: tuple[Directive, ...] | None = None

    @property
    def text(self) -> str:
        """The directive on one line."""
        return " ".join((self.name, *self.args))

    @property
    def source(self) -> Source:
        """Where it stands and how to see it."""
        return source_of(self.file, self.line)

    def inside(self, name: str) -> Iterator[Directive]:
        """Yield the directives of that name directly in its block, in order."""
        return (inner for inner in self.block or () if inner.name == name)


class ConfigError(Fact):
    """Something nginx refuses, in nginx's words where they are known."""

    message: str
    file: str
    line: int


class NamedFile(Fact):
    """A file that a directive names."""

    path: str
    directive: str
    file: str
    line: int


class Unread(Fact):
    """An include that could not be read, and why."""

    path: str
    reason: str
    file: str
    line: int


def source_of(file: str, line: int) -> Source:
    """Return the source of a line of a file on the server."""
    return Source(where=f"{file}:{line}", again=f"on the server: sed -n {line}p {file}")


@dataclass
class Configuration:
    """What reading the configuration gave.

    Attributes:
        directives: the main context; includes are replaced by what they include.
        errors: what nginx would refuse.
        unrecognised: directives crossplane's table does not hold: of a module, of a newer nginx, or wrong.
        files: every file read, as nginx names it.
        directories: those whose entries decide what is included.
        wanted: includes that lead out of the tree, to be fetched.
        unread: includes that could not be read.
        named: files that directives name.
        variables: names the configuration defines itself, without `$`.
    """

    directives: tuple[Directive, ...] = ()
    errors: list[ConfigError] = field(default_factory=list)
    unrecognised: list[ConfigError] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    named: list[NamedFile] = field(default_factory=list)
    variables: set[str] = field(default_factory=set)


def read(tree: Tree, config: str, prefix: str) -> Configuration:
    """Read a configuration.

    Args:
        tree: the fetched files.
        config: absolute path of nginx.conf.
        prefix: the directory nginx was built with (`--prefix`), for paths relative to it.
    """
    reader = _Reader(tree, config, prefix)
    reader.found.directives = reader.file(config, (), config, 1)
    if reader.found.files and not any(one.name == "events" for one in reader.found.directives):
        reader.error('no "events" section in configuration', config, 1)
    return reader.found


class _Reader:
    def __init__(self, tree: Tree, config: str, prefix: str) -> None:
        self._tree = tree
        self._directory = posixpath.dirname(config)
        self._prefix = prefix
        self._depth = 0
        self.found = Configuration()

    def error(self, message: str, file: str, line: int) -> None:
        self.found.errors.append(ConfigError(message=message, file=file, line=line))

    def file(self, path: str, context: Context, by_file: str, by_line: int) -> tuple[Directive, ...]:
        """Read one file; `by_file` and `by_line` say what names it."""
        content = self._content(path, by_file, by_line)
        if content is None:
            return ()
        if self._depth >= _MAX_DEPTH:
            self.error(f'"{path}" includes itself', by_file, by_line)
            return ()
        if path not in self.found.files:
            self.found.files.append(path)
        self._depth += 1
        try:
            return self._block(_tokens(content), path, context)
        except NgxParserSyntaxError as error:
            self.error(str(error.strerror), path, error.lineno or 1)
            return ()
        finally:
            self._depth -= 1

    def _content(self, path: str, by_file: str, by_line: int) -> bytes | None:
        try:
            located = self._tree.locate(path)
        except MissingError:
            self.error(f'open() "{path}" failed (2: No such file or directory)', by_file, by_line)
            return None
        except OutsideError as outside:
            self._outside(path, str(outside), by_file, by_line)
            return None
        except UnavailableError as problem:
            self.found.unread.append(Unread(path=path, reason=problem.reason, file=by_file, line=by_line))
            return None
        if located.entry.kind == "directory":
            self.error(f'read() "{path}" failed (21: Is a directory)', by_file, by_line)
            return None
        return located.entry.content

    def _outside(self, path: str, leads_to: str, by_file: str, by_line: int) -> None:
        if self._tree.never_fetched(path) or self._tree.never_fetched(leads_to):
            reason = f"{leads_to} has the name of a key or password file, which is never fetched"
            self.found.unread.append(Unread(path=path, reason=reason, file=by_file, line=by_line))
        else:
            self.found.wanted.append(path)

    def _block(self, tokens: Iterator[Token], path: str, context: Context) -> tuple[Directive, ...]:
        directives: list[Directive] = []
        for token, line, quoted in tokens:
            if not quoted and token.startswith("#"):
                continue
            if not quoted and token == "}":
                break
            if not quoted and token in (";", "{"):
                raise NgxParserSyntaxError(f'unexpected "{token}"', path, line)
            args, end = _arguments(tokens, path, line)
            directive = Directive(name=token, args=args, file=path, line=line)
            self._analyse(directive, end, context)
            if end == "{":
                inner = enter_block_ctx({"directive": token}, context)
                directive = directive.model_copy(update={"block": self._block(tokens, path, inner)})
            directives += self._expanded(directive, context)
        self._refuse_duplicates(directives)
        return tuple(directives)

    def _expanded(self, directive: Directive, context: Context) -> tuple[Directive, ...]:
        """Return what an include stands for, and any other directive itself."""
        if directive.name == "include" and directive.block is None and len(directive.args) == 1:
            return self._include(directive, context)
        self._note(directive)
        return (directive,)

    def _analyse(self, directive: Directive, end: str, context: Context) -> None:
        name, file, line = directive.name, directive.file, directive.line
        if context in CONTEXTS and name not in DIRECTIVES:
            message = f'unknown directive "{name}"'
            self.found.unrecognised.append(ConfigError(message=message, file=file, line=line))
            return
        try:
            analyze(file, {"directive": name, "args": list(directive.args), "line": line}, end, context)
        except NgxParserDirectiveError as error:
            self.error(str(error.strerror), file, line)

    def _refuse_duplicates(self, directives: list[Directive]) -> None:
        seen: set[str] = set()
        for directive in directives:
            if directive.name in _ONCE and directive.name in seen:
                self.error(f'"{directive.name}" directive is duplicate', directive.file, directive.line)
            seen.add(directive.name)

    def _include(self, directive: Directive, context: Context) -> tuple[Directive, ...]:
        pattern = posixpath.join(self._directory, directive.args[0])
        paths: tuple[str, ...] = (pattern,)
        if is_pattern(pattern):
            self.found.directories.append(posixpath.dirname(pattern))
            try:
                paths = self._tree.glob(pattern)
            except OutsideError:
                self.found.wanted.append(pattern)
                return ()
            except UnavailableError as problem:
                self.found.unread.append(
                    Unread(path=pattern, reason=problem.reason, file=directive.file, line=directive.line)
                )
                return ()
        return tuple(
            inner for path in paths for inner in self.file(path, context, directive.file, directive.line)
        )

    def _note(self, directive: Directive) -> None:
        position = _DEFINES_VARIABLE.get(directive.name)
        if position is not None and directive.args:
            self.found.variables.add(directive.args[min(position, len(directive.args) - 1)].lstrip("$"))
        if directive.name in _FROM_CONFIG_DIRECTORY:
            self._name_file(directive, self._directory)
        elif directive.name in _FROM_PREFIX:
            self._name_file(directive, self._prefix)

    def _name_file(self, directive: Directive, directory: str) -> None:
        value = directive.args[0] if directive.args else ""
        if not value or "$" in value or value.startswith(("data:", "engine:", "store:")) or value == "off":
            return
        self.found.named.append(
            NamedFile(
                path=posixpath.join(directory, value),
                directive=directive.name,
                file=directive.file,
                line=directive.line,
            )
        )


def _arguments(tokens: Iterator[Token], path: str, line: int) -> tuple[tuple[str, ...], str]:
    """Read up to the end of a directive; the second value is `;` or `{`."""
    args: list[str] = []
    for token, at, quoted in tokens:
        if quoted:
            args.append(token)
        elif token == "}":
            raise NgxParserSyntaxError('unexpected "}"', path, at)
        elif token in (";", "{"):
            return tuple(args), token
        elif not token.startswith("#"):
            args.append(token)
    raise NgxParserSyntaxError('unexpected end of file, expecting ";" or "}"', path, line)


def _tokens(content: bytes) -> Iterator[Token]:
    with NamedTemporaryFile(suffix=".conf") as file:
        file.write(content.removeprefix(b"\xef\xbb\xbf") + b"\n")
        file.flush()
        yield from crossplane.lex(file.name)
