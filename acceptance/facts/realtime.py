"""Socket.IO as it really is on the wire (Engine.IO 4), from raw handshakes through the reverse proxy.

Packet forms as seen on socket.io 4.8.4 / engine.io 6.6.12.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from acceptance.errors import UnavailableError
from acceptance.excerpt import cut
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known
from acceptance.guard import messages
from acceptance.guard.messages import Message
from acceptance.transports.websocket import CLOSED, Handshake, Socket

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.target import Realtime as Settings

ANSWER_S = 5.0
"""How long an answer to a packet may take, in seconds."""

PING = "2"
"""The server's heartbeat packet."""

_PROTOCOL_ERRORS = (
    *("Transport unknown", "Session ID unknown", "Bad handshake method", "Bad request"),
    "Unsupported protocol version",
)
"""What engine.io 6.6 says in a 400 that has nothing to do with who asks."""


def turned_away(status: int, detail: str) -> bool:
    """Tell whether an answer to a handshake refuses the client, and not the form of its request; pure.

    `allowRequest` refuses a websocket with 400 and its bare message, polling with 403 (engine.io 6.6.12).
    """
    told = any(error in detail for error in _PROTOCOL_ERRORS) or "<" in detail
    return status in (401, 403) or (status == 400 and not told)


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
    def turned_away(self) -> bool:
        """True if the client was refused before the upgrade."""
        return turned_away(self.http_status, self.detail)

    @property
    def summary(self) -> str:
        """The opening in a few words."""
        packet = f"open packet, ping interval {self.ping_interval_ms} ms" if self.opened else self.detail
        return f"HTTP {self.http_status}, {packet or 'no open packet'}"


class Join(StrEnum):
    """What a request to join the namespace led to."""

    JOINED = "joined"
    REFUSED = "refused"
    NO_NAMESPACE = "no such namespace"
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
    def turned_away(self) -> bool:
        """True if the client was refused before it had a polling session."""
        return turned_away(self.polling_status, self.detail)

    @property
    def summary(self) -> str:
        """The upgrade in a few words."""
        probe = "answered" if self.probed else "not answered"
        return f"polling HTTP {self.polling_status}, probe {probe} {self.detail}".strip()


class Realtime(Fact):
    """Realtime through the reverse proxy.

    Attributes:
        opening: without a session, as all others that do not say otherwise.
        opening_with_session: after the approved sign-in.
        anonymous: joining without a session.
        with_session: joining after the approved sign-in.
        heartbeat: with a session where strangers are refused before the upgrade.
        upgrading_with_session: tried only there.
    """

    opening: Opening
    opening_with_session: Attempt[Opening]
    anonymous: Attempt[Joining]
    with_session: Attempt[Joining]
    heartbeat: Attempt[Heartbeat]
    upgrading: Upgrading
    upgrading_with_session: Attempt[Upgrading]
    source: Source

    def opened(self, settings: Settings, *, path_assumed: bool) -> Opening:
        """Return the opening that counts: a signed-in user's where strangers are refused before the upgrade.

        Raises:
            UnavailableError: that user did not sign in, or only the assumed path is not there.
        """
        self._at_place(assumed=path_assumed)
        needs_session = settings.auth == "session" and self.opening.turned_away
        return known(self.opening_with_session) if needs_session else self.opening

    def upgraded(self, settings: Settings, *, path_assumed: bool) -> Upgrading:
        """Return the upgrade of a polling session that counts, likewise.

        Raises:
            UnavailableError: see `opened`.
        """
        self._at_place(assumed=path_assumed)
        needs_session = settings.auth == "session" and self.upgrading.turned_away
        return known(self.upgrading_with_session) if needs_session else self.upgrading

    def joined(self, *, signed_in: bool, namespace_assumed: bool) -> Joining:
        """Return what joining led to.

        Raises:
            UnavailableError: it could not be tried, or only the assumed namespace is not there.
        """
        joining = known(self.with_session if signed_in else self.anonymous)
        if joining.outcome is Join.NO_NAMESPACE and namespace_assumed:
            raise UnavailableError(
                "assumed name not found: the server knows no such Socket.IO namespace",
                "set realtime.namespace in the target file",
            )
        return joining

    def _at_place(self, *, assumed: bool) -> None:
        """Polling tells it too: a server that knows no such path may answer a websocket with anything."""
        if assumed and 404 in (self.opening.http_status, self.upgrading.polling_status):
            raise UnavailableError(
                f"assumed name not found: {self.source.where} answers 404",
                "set realtime.path in the target file",
            )


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
        if document["message"] == "Invalid namespace":
            return Joining(outcome=Join.NO_NAMESPACE, detail="")
        return Joining(outcome=Join.REFUSED, detail=f"with the message {cut(str(document['message']), 80)}")
    return Joining(outcome=Join.MALFORMED, detail=cut(text, 80))


def _json(text: str) -> Any:  # noqa: ANN401 - JSON is any value
    try:
        return json.loads(text)
    except ValueError:
        return None


async def collect(access: Access) -> Realtime:
    """Open, join, wait for the heartbeat, and upgrade a polling session, as a stranger and signed in.

    Raises:
        UnavailableError: the public name cannot be reached at all.
    """
    stranger, upgrading = await asyncio.gather(_visit(access, {}, waits=True), _upgrade(access, {}))
    refused = access.target.realtime.auth == "session" and stranger.opening.turned_away
    signed_in = await _with_session(access, waits=refused, upgrades=upgrading.turned_away)
    url = f"wss://{access.target.public.name}{_path(access)}"
    turned_away = Joining(outcome=Join.REFUSED, detail=f"before the upgrade, {stranger.opening.summary}")
    return Realtime(
        opening=stranger.opening,
        opening_with_session=signed_in.opening,
        anonymous=Known(value=turned_away) if refused else stranger.joining,
        with_session=signed_in.joining,
        heartbeat=signed_in.heartbeat if refused else stranger.heartbeat,
        upgrading=upgrading,
        upgrading_with_session=signed_in.upgrading,
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


@dataclass(frozen=True)
class _Visit:
    """One websocket from its opening to its heartbeat."""

    opening: Opening
    joining: Known[Joining] | Unavailable
    heartbeat: Known[Heartbeat] | Unavailable


async def _visit(access: Access, headers: Mapping[str, str], *, waits: bool) -> _Visit:
    async with access.websocket.open(_path(access), headers) as (handshake, socket):
        opening = await _opening(handshake, socket)
        if socket is None or not opening.opened:
            closed = Unavailable(reason=f"the websocket did not open ({opening.summary})")
            return _Visit(opening, closed, closed)
        conversation = _Conversation(socket)
        joining = Known[Joining](value=await _join(access, conversation))
        if not waits:
            return _Visit(opening, joining, Unavailable(reason="the heartbeat was watched without a session"))
        return _Visit(opening, joining, await _heartbeat(access, conversation, opening))


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


@dataclass(frozen=True)
class _SignedIn:
    """What a signed-in user sees."""

    opening: Known[Opening] | Unavailable
    joining: Known[Joining] | Unavailable
    heartbeat: Known[Heartbeat] | Unavailable
    upgrading: Known[Upgrading] | Unavailable


async def _with_session(access: Access, *, waits: bool, upgrades: bool) -> _SignedIn:
    try:
        headers = await _session(access)
        visit = await _visit(access, headers, waits=waits)
        upgrading = Known[Upgrading](value=await _upgrade(access, headers)) if upgrades else None
    except UnavailableError as error:
        reason = Unavailable.of(error)
        return _SignedIn(reason, reason, reason, reason)
    untried = Unavailable(reason="the upgrade was tried without a session")
    return _SignedIn(Known(value=visit.opening), visit.joining, visit.heartbeat, upgrading or untried)


async def _session(access: Access) -> Mapping[str, str]:
    if access.target.realtime.auth == "none":
        raise UnavailableError("the target says that no session is needed")
    await access.fact("session")
    if not access.session_cookie:
        raise UnavailableError("signing in brought no session cookie")
    return {"cookie": access.session_cookie}


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


async def _upgrade(access: Access, headers: Mapping[str, str]) -> Upgrading:
    polling = await access.http.send("realtime-polling", path=_path(access, "polling"), headers=headers)
    packet = read_open(polling.body.decode("utf-8", errors="replace"))
    if polling.status != 200 or packet is None:
        return Upgrading(polling_status=polling.status, probed=False, detail=polling.excerpt)
    async with access.websocket.open(_path(access, sid=packet.sid), headers) as (handshake, socket):
        if socket is None:
            detail = f"websocket HTTP {handshake.status} {handshake.detail}".strip()
            return Upgrading(polling_status=200, probed=False, detail=detail)
        await socket.send(messages.PROBE)
        answer = await socket.receive(ANSWER_S)
        if answer == "3probe":
            await socket.send(messages.UPGRADE)
        detail = "" if answer == "3probe" else f"instead: {cut(answer or 'nothing', 80)}"
        return Upgrading(polling_status=200, probed=answer == "3probe", detail=detail)


NOUN = Noun("realtime", Realtime, collect, sources=("crm",), needs=("session",))
