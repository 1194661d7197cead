"""One question to the server and its answer, or why there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from acceptance.errors import UnavailableError
from acceptance.facts.base import Known, Unavailable

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.guard.commands import Call
    from acceptance.transports.host import Result

T = TypeVar("T")


async def answer(access: Access, call: Call) -> Result | UnavailableError:
    """Return what one command answered, or the error instead of raising it."""
    try:
        (result,) = await access.host.run(call)
    except UnavailableError as error:
        return error
    return result


def read_from(answered: Result | UnavailableError, read: Callable[[Result], T]) -> Known[T] | Unavailable:
    """Return what `read` makes of an answer; it may raise UnavailableError."""
    try:
        if isinstance(answered, UnavailableError):
            raise answered
        return Known(value=read(answered))
    except UnavailableError as error:
        return Unavailable.of(error)


async def ask(access: Access, call: Call, read: Callable[[Result], T]) -> Known[T] | Unavailable:
    """Run one command and return what `read` makes of its answer."""
    return read_from(await answer(access, call), read)
