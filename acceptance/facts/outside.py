"""What the operator's machine can reach of the server's own address."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from acceptance.errors import UnavailableError
from acceptance.facts.base import Fact, Noun, Source
from acceptance.guard.ports import CONTROL, NOBODYS, PRIVATE

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.transports.ports import Answer


class Knocked(Fact):
    """How one port of one address answered.

    Attributes:
        outcome: `filtered` for silence and for what a router or firewall answers; `failed` for what the
            operator's machine itself prevented.
        from_itself: True if the connection came from the very address that it went to.
    """

    address: str
    port: int
    outcome: Literal["open", "refused", "filtered", "failed"]
    detail: str
    from_itself: bool

    def __str__(self) -> str:
        why = f" ({self.detail})" if self.detail else ""
        return f"{self.address} port {self.port} {self.outcome}{why}"


class Outside(Fact):
    """Ports of the server's address, asked from the operator's machine in the same run.

    Attributes:
        control: the port that is known to be open, at each address that the server's name has.
        private: the ports that must be closed, likewise.
        nobodys: a port that nobody serves, asked only if one of those is open.
    """

    control: tuple[Knocked, ...]
    private: tuple[Knocked, ...]
    nobodys: tuple[Knocked, ...] = ()

    @property
    def answers(self) -> bool:
        """Whether the control port of the server is open."""
        return any(one.outcome == "open" for one in self.control)

    @property
    def source(self) -> Source:
        """Where it was seen."""
        places = dict.fromkeys(one.address for one in self.private)
        again = "; ".join(f"nc -vz -w 3 {one.address} {one.port}" for one in (*self.control, *self.private))
        return Source(where=f"{', '.join(places)} from here", again=again)

    @property
    def open(self) -> tuple[str, ...]:
        """Every private port that is open.

        Raises:
            UnavailableError: it cannot be told: the server asked itself, the control port of an address did
                not answer, this machine prevented a connection, or something on the way accepts them all.
        """
        asked = (*self.control, *self.private)
        if any(one.from_itself for one in asked):
            raise UnavailableError(
                "the server was asked from itself, which shows nothing of what strangers reach",
                "run the suite on another machine",
            )
        accepted = [one for one in self.nobodys if one.outcome == "open"]
        if accepted:
            raise UnavailableError(
                f"{accepted[0]} too, which nobody serves: something on the way accepts every connection",
                "run the suite from another network",
            )
        found = tuple(str(one) for one in self.private if one.outcome == "open")
        if not found:
            self._require_an_answer()
        return found

    def _require_an_answer(self) -> None:
        prevented = [one for one in self.private if one.outcome == "failed"]
        if prevented:
            raise UnavailableError(f"{prevented[0]}", "see what keeps this machine from connecting")
        silent = [one for one in self.control if one.outcome != "open"]
        if silent:
            raise UnavailableError(
                f"the control port does not answer ({silent[0]}), so closed ports mean nothing",
                "name a port that is known to be open: outside.control in the target file",
            )

    @property
    def seen(self) -> str:
        """How every private port answered."""
        control = ", ".join(f"{one.port} {one.outcome}" for one in self.control)
        return f"{'; '.join(map(str, self.private))}; control port {control}"


async def collect(access: Access) -> Outside:
    """Knock at the declared ports, all at once.

    Raises:
        UnavailableError: the server's name cannot be resolved.
    """
    control, private = await asyncio.gather(
        access.ports.knock(CONTROL.name), access.ports.knock(PRIVATE.name)
    )
    is_open = any(one.outcome == "open" for one in private)
    nobodys = await access.ports.knock(NOBODYS.name) if is_open else ()
    return Outside(
        control=tuple(map(_knocked, control)),
        private=tuple(map(_knocked, private)),
        nobodys=tuple(map(_knocked, nobodys)),
    )


def _knocked(answer: Answer) -> Knocked:
    return Knocked(
        address=answer.address,
        port=answer.port,
        outcome=answer.outcome,
        detail=answer.detail,
        from_itself=answer.own == answer.address,
    )


NOUN = Noun("outside", Outside, collect)
