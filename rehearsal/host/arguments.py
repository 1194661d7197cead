"""Docker's command line, as far as the stand-in understands it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class Refused(Exception):  # noqa: N818
    """The command ends here, with an exit code and what it prints on standard error."""

    def __init__(self, code: int, stderr: str) -> None:
        super().__init__(stderr)
        self.code = code
        self.stderr = stderr


@dataclass(frozen=True)
class Syntax:
    """A subcommand's options.

    Attributes:
        flags: options without a value: every spelling -> name.
        values: options with a value, likewise.
        least: how many names it needs.
    """

    flags: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    least: int = 0


@dataclass(frozen=True)
class Arguments:
    """A parsed command line."""

    command: str
    names: tuple[str, ...]
    flags: frozenset[str]
    values: Mapping[str, tuple[str, ...]]

    def last(self, option: str) -> str | None:
        """Return the last value given for an option."""
        return self.values[option][-1] if option in self.values else None


_FORMAT = {"--format": "format", "-f": "format"}

SYNTAX: dict[str, Syntax] = {
    "ps": Syntax(
        {"-a": "all", "--all": "all", "-q": "quiet", "--quiet": "quiet", "--no-trunc": "no-trunc"},
        {"--filter": "filter", "-f": "filter", "--format": "format"},
    ),
    "inspect": Syntax({"-s": "size", "--size": "size"}, {**_FORMAT, "--type": "type"}, least=1),
    "container inspect": Syntax({"-s": "size", "--size": "size"}, _FORMAT, least=1),
    "logs": Syntax(
        {"--timestamps": "timestamps", "-t": "timestamps", "--details": "details"},
        {"--since": "since", "--until": "until", "--tail": "tail", "-n": "tail"},
        least=1,
    ),
    "images": Syntax(
        {"-a": "all", "--all": "all", "-q": "quiet", "--quiet": "quiet", "--no-trunc": "no-trunc"},
        {"--format": "format"},
    ),
    "image inspect": Syntax({}, _FORMAT, least=1),
    "volume inspect": Syntax({}, _FORMAT, least=1),
    "network inspect": Syntax({}, _FORMAT, least=1),
    "port": Syntax({}, {}, least=1),
    "version": Syntax({}, _FORMAT),
    "info": Syntax({}, _FORMAT),
    "compose version": Syntax({"--short": "short"}, _FORMAT),
}

_ALIASES = {
    "container ls": "ps",
    "container ps": "ps",
    "container list": "ps",
    "container logs": "logs",
    "container port": "port",
    "image ls": "images",
    "image list": "images",
}


def parse(argv: Sequence[str]) -> Arguments:
    """Read a command line without the program's name.

    Raises:
        Refused: no such command or option, or too few names; codes as Docker's.
    """
    command, rest = _command(list(argv))
    syntax = SYNTAX[command]
    names: list[str] = []
    flags: set[str] = set()
    values: dict[str, tuple[str, ...]] = {}
    while rest:
        word = rest.pop(0)
        option, separator, value = word.partition("=")
        if word == "--":
            names += rest
            break
        if not word.startswith("-"):
            names.append(word)
        elif word in syntax.flags:
            flags.add(syntax.flags[word])
        elif option in syntax.values:
            name = syntax.values[option]
            values[name] = (*values.get(name, ()), value if separator else _value(command, option, rest))
        elif _is_cluster(word, syntax):
            rest[:0] = [f"-{letter}" for letter in word[1:]]
        else:
            raise _unknown(command, word)
    if len(names) < syntax.least:
        raise Refused(
            1,
            f'"docker {command}" requires at least {syntax.least} argument.\n'
            f"See 'docker {command} --help'.\n",
        )
    return Arguments(command, tuple(names), frozenset(flags), values)


def _command(words: list[str]) -> tuple[str, list[str]]:
    pair = " ".join(words[:2])
    if pair in SYNTAX or pair in _ALIASES:
        return _ALIASES.get(pair, pair), words[2:]
    if words and words[0] in SYNTAX:
        return words[0], words[1:]
    raise Refused(1, f"docker: '{words[0] if words else ''}' is not a docker command.\nSee 'docker --help'\n")


def _is_cluster(word: str, syntax: Syntax) -> bool:
    letters = [f"-{letter}" for letter in word[1:]]
    return len(letters) > 1 and word[1] != "-" and all(letter in syntax.flags for letter in letters)


def _value(command: str, option: str, rest: list[str]) -> str:
    if not rest:
        raise Refused(125, f"flag needs an argument: {option}\nSee 'docker {command} --help'.\n")
    return rest.pop(0)


def _unknown(command: str, word: str) -> Refused:
    kind = f"flag: {word}" if word.startswith("--") else f"shorthand flag: '{word[1]}' in {word}"
    return Refused(125, f"unknown {kind}\nSee 'docker {command} --help'.\n")
