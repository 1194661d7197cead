"""What a declared command takes: values of the target file, or free ones of a declared form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from acceptance.target import Target


@dataclass(frozen=True)
class Parameter:
    """A positional parameter of a declared command.

    Attributes:
        what: what it is, for people.
        key: dotted key of the target whose value it must have; empty if it is free.
        pattern: what a free one must match as a whole. Python and POSIX (extended) must read it alike.
        many: stands for any number of arguments, and is the last.
    """

    what: str
    key: str = ""
    pattern: str = ""
    many: bool = False

    def allows(self, argument: str, target: Target) -> bool:
        """Tell whether an argument may stand here."""
        if self.key:
            return argument == look_up(target, self.key)
        return re.fullmatch(self.pattern, argument) is not None

    def shown(self, target: Target) -> str:
        """Return the value where the target tells it, else what it is in angle brackets."""
        if self.key:
            return look_up(target, self.key) or f"<{self.key}>"
        return f"<{self.what}>…" if self.many else f"<{self.what}>"


def fixed(key: str) -> Parameter:
    """Return a parameter that has a value of the target file."""
    return Parameter(what=key, key=key)


def free(what: str, pattern: str) -> Parameter:
    """Return a parameter whose value is learned on the way."""
    return Parameter(what=what, pattern=pattern)


def many(what: str, pattern: str) -> Parameter:
    """Return any number of such parameters."""
    return Parameter(what=what, pattern=pattern, many=True)


def look_up(target: Target, key: str) -> str | None:
    """Return the value of a dotted key of the target, or None if the target leaves it out.

    Raises:
        AttributeError: a target has no such key.
    """
    value: object = target
    for part in key.split("."):
        if value is None:
            return None
        value = getattr(value, part)
    return None if value is None else str(value)


def fit(parameters: Sequence[Parameter], arguments: Sequence[str], target: Target) -> bool:
    """Tell whether these arguments are the declared ones."""
    last = parameters[-1] if parameters else None
    if last is not None and last.many:
        repeated = max(len(arguments) - len(parameters) + 1, 0)
        parameters = (*parameters[:-1], *(last for _ in range(repeated)))
    return len(parameters) == len(arguments) and all(
        parameter.allows(argument, target) for parameter, argument in zip(parameters, arguments, strict=True)
    )
