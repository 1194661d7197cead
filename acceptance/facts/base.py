"""What a fact is: a frozen model, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from acceptance import sources
from acceptance.errors import UnavailableError

if TYPE_CHECKING:
    from acceptance.access import Access


class Source(BaseModel):
    """Where a fact was seen and how to see it again.

    Attributes:
        where: file and line, container, URL or query, without a secret.
        again: a command that shows it again.
        picture: name of the screenshot that shows it; empty if there is none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    where: str
    again: str
    picture: str = ""


class LookRecord(BaseModel):
    """One look at the target: which fact, when (seconds since the start of the run), and how it went."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fact: str
    started_s: float
    seconds: float
    state: Literal["known", "unavailable"]
    reason: str = ""
    remedy: str = ""


class Fact(BaseModel):
    """Base of every fact model. Frozen; holds no secret value; serialises to JSON and back."""

    model_config = ConfigDict(frozen=True, extra="forbid")


T = TypeVar("T")


class Known(BaseModel, Generic[T]):
    """An attempt to look that gave an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Literal["known"] = "known"
    value: T

    def get(self) -> T:
        """Return the answer."""
        return self.value


class Unavailable(BaseModel):
    """An attempt to look that gave none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Literal["unavailable"] = "unavailable"
    reason: str
    remedy: str = ""

    def get(self) -> object:
        """Refuse to answer.

        Raises:
            UnavailableError: always, with the reason; the check becomes UNKNOWN.
        """
        raise UnavailableError(self.reason, self.remedy)

    @classmethod
    def of(cls, error: UnavailableError) -> Unavailable:
        """Return the model of an error that a transport raised."""
        return cls(reason=error.reason, remedy=error.remedy)


if TYPE_CHECKING:
    Attempt = Known[T] | Unavailable
else:

    class Attempt:
        """A part of a fact that may be out of reach while the rest is known: `Attempt[int]`."""

        def __class_getitem__(cls, item: object) -> object:
            """Return the type that pydantic sees; an alias of a generic model loses its parameter."""
            return Annotated[Known[item] | Unavailable, Field(discriminator="state")]


def known(attempt: Known[T] | Unavailable) -> T:
    """Return the answer of an attempt.

    Raises:
        UnavailableError: there is none; the check that asked becomes UNKNOWN.
    """
    if isinstance(attempt, Unavailable):
        raise UnavailableError(attempt.reason, attempt.remedy)
    return attempt.value


@dataclass(frozen=True)
class Noun:
    """A kind of fact: its name (also the name of the checks' fixture), its model and its collector.

    Attributes:
        collect: looks through the transports and returns the model; raises UnavailableError if it
            cannot look at all.
        host: True if it awaits nothing but `access.host.run`, so that its commands share the
            round trips of the other host nouns.
        sources: what it looks at, for `acceptance doctor`; the way to a source need not be named: `engine`
            includes the login and the root privilege, `postgres` the engine.
        needs: nouns it asks for by `access.fact`, so that they are collected from the start.
        actions: what it does beyond reading if that is approved.
        last: True for what is looked for once everything else was, and for as long as it takes: watching.
        teaches: True if it may come across secrets that the suite does not know yet (`Access.learn`). While
            such a look is under way no fact is written: it could hold one of them.
    """

    name: str
    model: type[Fact]
    collect: Callable[[Access], Awaitable[Fact]]
    host: bool = False
    sources: tuple[sources.Name, ...] = ()
    needs: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    last: bool = False
    teaches: bool = False

    def __post_init__(self) -> None:
        """Refuse what would put a secret that becomes known late into facts that are written already.

        Raises:
            ValueError: the `last` look cannot teach.
        """
        if self.last and self.teaches:
            raise ValueError(f"{self.name}: a look that is the last cannot teach")
