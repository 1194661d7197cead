"""Socket.IO as it really is on the wire (Engine.IO 4), from raw handshakes through the reverse proxy.

Packet forms as seen on socket.io 4.8.4 / engine.io 6.6.12.
"""

from __future__ import annotations

import asyncio
import json
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from acceptance.check import Source
from acceptance.errors import UnavailableError
from acceptance.excerpt import cut
from acceptance.facts.base import Attempt, Fact, Known, Noun, Unavailable
from acceptance.guard import messages
from acceptance.guard.messages import Message
from acceptance.transports.websocket import CLOSED, Handshake, Socket

if TYPE_CHECKING:
    from acceptance.access import Access

ANSWER_S = 5.0
"""How long an answer to a packet may take, in seconds."""

PING = "2"
"""The server's heartbeat packet."""


class OpenPacket(BaseModel):
    """Engine.IO's first packet; times in milliseconds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sid: str = Field(min_length=1, exclude=True, repr=False)
    ping_interval: int = Field(alias="pingInterval", gt=0)
    ping_timeout: int = Field(alias="pingTimeout", gt=0)


class Opening(Fact):
    """How a websocket was opened.

    Attributes:
        http_status: 101 if the protocol was switched.
        ping_interval_ms: from a valid open packet; None if none came.
        detail: what came instead.
    """

    http_status: int
    ping_interval_ms: int | None
    detail: str

    @property
    def opened(self) -> bool:
        """True only with 101 and a valid open packet; 101 alone proves nothing."""
        return self.http_status == 101 and self.ping_interval_ms is not None

    @property
    def summary(self) -> str:
        """The opening in a few words."""
        packet = f"open packet, ping interval {self.ping_interval_ms} ms" if self.opened else self.detail
        return f"HTTP {self.http_status}, {packet or 'no open packet'}"


class Join(StrEnum):
    """What a request to join the namespace led to."""

    JOINED = "joined"
    REFUSED = "refused"
    SILENT = "no answer"
    CLOSED = "connection closed"
    MALFORMED = "malformed answer"


class Joining(Fact):
    """A request to join the namespace."""

    outcome: Join
    detail: str

    @property
    def summary(self) -> str:
        """The answer in a few words."""
        return f"{self.outcome.value} {self.detail}".strip()


class Heartbeat(Fact):
    """Whether the connection lived past the server's first ping.

    Attributes:
        pinged_after_s: seconds until the ping came; None if it did not.
        alive_after: True if the connection was still open after our answer.
    """

    pinged_after_s: float | None
    alive_after: bool
    detail: str


class Upgrading(Fact):
    """A polling session that asks to become a websocket.

    Attributes:
        polling_status: HTTP status of opening the polling session.
        probed: True if the websocket answered the probe.
    """

    polling_status: int
    probed: bool
    detail: str

    @property
    def summary(self) -> str:
        """The upgrade in a few words."""
        probe = "answered" if self.probed else "not answered"
        return f"polling HTTP {self.polling_status}, probe {probe} {self.detail}".strip()


class Realtime(Fact):
    """Realtime through the reverse proxy.

    Attributes:
        anonymous: joining without a session.
        with_session: joining after the approved sign-in.
    """

    opening: Opening
    anonymous: Attempt[Joining]
    with_session: Attempt[Joining]
    heartbeat: Attempt[Heartbeat]
    upgrading: Upgrading
    source: Source


def read_open(text: str) -> OpenPacket | None:
    """Parse an open packet (`0{…}`); None if it is not one."""
    if not text.startswith("0"):
        return None
    try:
        return OpenPacket.model_validate_json(text[1:])
    except ValidationError:
        return None


def read_join(text: str | None, namespace: str) -> Joining:
    """Classify the answer to a CONNECT packet."""
    prefix = "" if namespace == "/" else f"{namespace},"
    if text is None:
        return Joining(outcome=Join.SILENT, detail="")
    if text == CLOSED:
        return Joining(outcome=Join.CLOSED, detail="")
    document = _json(text[2 + len(prefix) :])
    if text.startswith(f"40{prefix}") and isinstance(document, dict) and document.get("sid"):
        return Joining(outcome=Join.JOINED, detail="")
    if text.startswith(f"44{prefix}") and isinstance(document, dict) and document.get("message"):
        return Joining(outcome=Join.REFUSED, detail=f"with the message {cut(str(document['message']), 80)}")
    return Joining(outcome=Join.MALFORMED, detail=cut(text, 80))


def _json(text: str) -> Any:  # noqa: ANN401 - JSON is any value
    try:
        return json.loads(text)
    except ValueError:
        return None


async def collect(access: Access) -> Realtime:
    """Open, join, wait for the heartbeat, and upgrade a polling session, concurrently.

    Raises:
        UnavailableError: the public name cannot be reached at all.
    """
    (opening, anonymous, heartbeat), upgrading, with_session = await asyncio.gather(
        _connection(access), _upgrade(access), _with_session(access)
    )
    url = f"wss://{access.target.public.name}{_path(access)}"
    return Realtime(
        opening=opening,
        anonymous=anonymous,
        with_session=with_session,
        heartbeat=heartbeat,
        upgrading=upgrading,
        source=Source(where=url, again=f"python -m websockets '{url}'"),
    )


def _path(access: Access, transport: str = "websocket", sid: str = "") -> str:
    suffix = f"&sid={sid}" if sid else ""
    return f"{access.target.realtime.path}?EIO=4&transport={transport}{suffix}"


class _Conversation:
    """Reads packets, answers pings as they come, and remembers when the first one came."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._opened = time.monotonic()
        self.pinged_after_s: float | None = None

    @property
    def elapsed_s(self) -> float:
        """Seconds since the connection was opened."""
        return round(time.monotonic() - self._opened, 2)

    async def ask(self, message: Message, timeout_s: float) -> str | None:
        """Send a message and return the next packet that is no ping, `CLOSED`, or None after the timeout."""
        await self._socket.send(message)
        deadline = self.elapsed_s + timeout_s
        while True:
            packet = await self._next(deadline - self.elapsed_s)
            if packet != PING:
                return packet

    async def first_ping(self, deadline_s: float) -> str | None:
        """Wait for the first ping, if it has not come yet; return `CLOSED` or None if it does not come."""
        packet: str | None = PING
        while self.pinged_after_s is None and packet not in (CLOSED, None):
            packet = await self._next(deadline_s - self.elapsed_s)
        return packet

    async def is_open(self) -> bool:
        """Tell whether the connection stays open for a moment."""
        return await self._next(0.3) != CLOSED

    async def _next(self, timeout_s: float) -> str | None:
        packet = await self._socket.receive(max(0.0, timeout_s))
        if packet == PING:
            self.pinged_after_s = self.pinged_after_s or self.elapsed_s
            await self._socket.send(messages.PONG)
        return packet


async def _connection(
    access: Access,
) -> tuple[Opening, Known[Joining] | Unavailable, Known[Heartbeat] | Unavailable]:
    async with access.websocket.open(_path(access)) as (handshake, socket):
        opening = await _opening(handshake, socket)
        if socket is None or not opening.opened:
            closed = Unavailable(reason=f"the websocket did not open ({opening.summary})")
            return opening, closed, closed
        conversation = _Conversation(socket)
        anonymous = await _join(access, conversation)
        return opening, Known(value=anonymous), await _heartbeat(access, conversation, opening)


async def _opening(handshake: Handshake, socket: Socket | None) -> Opening:
    if socket is None:
        return Opening(http_status=handshake.status, ping_interval_ms=None, detail=handshake.detail)
    text = await socket.receive(ANSWER_S)
    packet = read_open(text or "")
    detail = "" if packet else f"instead of an open packet: {cut(text or 'nothing', 80)}"
    return Opening(http_status=101, ping_interval_ms=packet.ping_interval if packet else None, detail=detail)


async def _join(access: Access, conversation: _Conversation) -> Joining:
    answer = await conversation.ask(messages.CONNECT, ANSWER_S)
    return read_join(answer, access.target.realtime.namespace)


async def _with_session(access: Access) -> Known[Joining] | Unavailable:
    if access.target.realtime.auth == "none":
        return Unavailable(reason="the target says that no session is needed")
    try:
        await access.fact("session")
        if not access.session_cookie:
            return Unavailable(reason="signing in brought no session cookie")
        headers = {"cookie": access.session_cookie}
        async with access.websocket.open(_path(access), headers) as (handshake, socket):
            opening = await _opening(handshake, socket)
            if socket is None or not opening.opened:
                return Unavailable(reason=f"the websocket did not open ({opening.summary})")
            return Known(value=await _join(access, _Conversation(socket)))
    except UnavailableError as error:
        return Unavailable.of(error)


async def _heartbeat(
    access: Access, conversation: _Conversation, opening: Opening
) -> Known[Heartbeat] | Unavailable:
    interval = (opening.ping_interval_ms or 0) / 1000
    longest = access.target.realtime.max_wait_s
    if interval > longest:
        return Unavailable(
            reason=f"the server pings every {interval:g} s, longer than the {longest:g} s worth waiting for",
            remedy="raise realtime.max_wait_s in the target file",
        )
    last = await conversation.first_ping(interval + ANSWER_S)
    if conversation.pinged_after_s is None:
        detail = "the connection was closed before a ping came" if last == CLOSED else "no ping came"
        return Known(value=Heartbeat(pinged_after_s=None, alive_after=False, detail=detail))
    alive = await conversation.is_open()
    detail = "" if alive else "the connection was closed after the ping was answered"
    return Known(
        value=Heartbeat(pinged_after_s=conversation.pinged_after_s, alive_after=alive, detail=detail)
    )


async def _upgrade(access: Access) -> Upgrading:
    polling = await access.http.send("realtime-polling", path=_path(access, "polling"))
    packet = read_open(polling.body.decode("utf-8", errors="replace"))
    if polling.status != 200 or packet is None:
        return Upgrading(polling_status=polling.status, probed=False, detail=polling.excerpt)
    async with access.websocket.open(_path(access, sid=packet.sid)) as (handshake, socket):
        if socket is None:
            detail = f"websocket HTTP {handshake.status} {handshake.detail}".strip()
            return Upgrading(polling_status=200, probed=False, detail=detail)
        await socket.send(messages.PROBE)
        answer = await socket.receive(ANSWER_S)
        if answer == "3probe":
            await socket.send(messages.UPGRADE)
        detail = "" if answer == "3probe" else f"instead: {cut(answer or 'nothing', 80)}"
        return Upgrading(polling_status=200, probed=answer == "3probe", detail=detail)


NOUN = Noun("realtime", Realtime, collect, needs=("session",))
