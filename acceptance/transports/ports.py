"""Bare TCP connections to the declared ports of the server's address: made, and ended at once."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from typing import Literal

from pydantic import BaseModel, ConfigDict

from acceptance.errors import RefusedError, UnavailableError
from acceptance.guard.ports import CONTROL, KNOCKS, NOBODYS, NOBODYS_PORT, PRIVATE
from acceptance.ledger import Ledger
from acceptance.target import Target

Outcome = Literal["open", "refused", "filtered", "failed"]

_OUTCOMES: dict[int, Outcome] = {
    errno.ECONNREFUSED: "refused",
    errno.ETIMEDOUT: "filtered",
    errno.EHOSTUNREACH: "filtered",
    errno.ENETUNREACH: "filtered",
}


class Answer(BaseModel):
    """How one port of one address answered.

    Attributes:
        outcome: `filtered` for silence and for what a router or firewall answers; `failed` for what this
            machine itself prevented.
        own: the address of ours that an open connection came from; empty if there was none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str
    port: int
    outcome: Outcome
    detail: str = ""
    own: str = ""


class Ports:
    """Knocks at the ports that the target file names, at one that nobody serves, and at no others."""

    def __init__(self, target: Target, ledger: Ledger) -> None:
        outside = target.outside
        self._ports = {
            CONTROL.name: (outside.control,),
            PRIVATE.name: outside.private,
            NOBODYS.name: (NOBODYS_PORT,),
        }
        self._timeout_s = outside.timeout_s
        self._address = target.server.endpoint.address
        self._ledger = ledger

    async def knock(self, name: str) -> tuple[Answer, ...]:
        """Knock at the ports of a declared attempt, at every address that the server's name has.

        Raises:
            RefusedError: it is not declared.
            UnavailableError: the name cannot be resolved.
        """
        if name not in KNOCKS:
            self._ledger.record("ports", name, kind="refused", result="not declared in acceptance/guard")
            raise RefusedError(f"ports: {name} is not declared in acceptance/guard; nothing was sent")
        addresses = await _addresses(self._address)
        return tuple(
            await asyncio.gather(
                *(self._one(name, address, port) for address in addresses for port in self._ports[name])
            )
        )

    async def _one(self, name: str, address: str, port: int) -> Answer:
        begun = time.monotonic()
        outcome: Outcome = "failed"
        try:
            answer = await self._connect(address, port)
            outcome = answer.outcome
        finally:
            self._ledger.record(
                "ports",
                name,
                detail=f"{address} port {port}",
                seconds=time.monotonic() - begun,
                result=outcome,
            )
        return answer

    async def _connect(self, address: str, port: int) -> Answer:
        try:
            async with asyncio.timeout(self._timeout_s):
                _, writer = await asyncio.open_connection(address, port)
        except TimeoutError:
            silence = f"no answer within {self._timeout_s:g} s"
            return Answer(address=address, port=port, outcome="filtered", detail=silence)
        except OSError as error:
            number = error.errno or 0
            outcome = _OUTCOMES.get(number, "failed")
            return Answer(address=address, port=port, outcome=outcome, detail=os.strerror(number))
        own = str(writer.get_extra_info("sockname")[0])
        writer.transport.abort()
        return Answer(address=address, port=port, outcome="open", own=own)


async def _addresses(name: str) -> tuple[str, ...]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UnavailableError(
            f"the name {name} cannot be resolved ({error.strerror})", "check the name and the resolver"
        ) from error
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
