"""What a declared command takes: values of the target file, or free ones of a declared form."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from acceptance.target import NEEDED, Target


@dataclass(frozen=True)
class Parameter:
    """A positional parameter of a declared command.

    Attributes:
        what: what it is, for people.
        keys: dotted keys of the target; it must have the value of one of them. None if it is free.
        pattern: what a free one must match as a whole. Python and POSIX (extended) must read it alike.
        many: stands for any number of arguments, and is the last.
    """

    what: str
    keys: tuple[str, ...] = ()
    pattern: str = ""
    many: bool = False

    def allows(self, argument: str, target: Target) -> bool:
        """Tell whether an argument may stand here."""
        if self.keys:
            return argument in self.values(target)
        return re.fullmatch(self.pattern, argument) is not None

    def values(self, target: Target) -> tuple[str, ...]:
        """Return the values it may have on this target, if it is not free."""
        found = (look_up(target, key) for key in self.keys)
        return tuple(dict.fromkeys(value for value in found if value is not None))

    def shown(self, target: Target) -> str:
        """Return the value where the target tells it, else what it is in angle brackets."""
        if self.keys:
            return " or ".join(map(shlex.quote, self.values(target))) or f"<{self.what}>"
        return f"<{self.what}>…" if self.many else f"<{self.what}>"


def fixed(*keys: str) -> Parameter:
    """Return a parameter that has a value of the target file, that of one of these keys."""
    return Parameter(what=" or ".join(keys), keys=keys)


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
    first, *rest = key.split(".")
    if first in NEEDED and not target.has(first):
        return None
    value: object = getattr(target, first)
    for part in rest:
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
