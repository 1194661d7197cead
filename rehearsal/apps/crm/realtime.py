"""Socket.IO: python-socketio, with the wire behaviour of socket.io 4.8 where the two differ.

What still differs is listed in docs/rehearsal-deviations.md.
"""

from __future__ import annotations

import asyncio
import json
import logging
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

import socketio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rehearsal.apps import console
from rehearsal.apps.crm.auth import Auth
from rehearsal.apps.database import QueryFailedError
from rehearsal.apps.knobs import Knobs
from rehearsal.apps.settings import Settings

PATH = "/socket.io/"
_PING_TIMEOUT_S = 20
_MAX_PAYLOAD = 1_000_000
_NEVER_S = 86400
_IOREDIS_FRAME = "at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1611:16)"

_TRANSPORT_UNKNOWN = (0, "Transport unknown")
_SESSION_UNKNOWN = (1, "Session ID unknown")
_BAD_METHOD = (2, "Bad handshake method")
_BAD_REQUEST = (3, "Bad request")
_FORBIDDEN = (4, "Forbidden")
_BAD_VERSION = (5, "Unsupported protocol version")
_Refusal = tuple[int, str]


class _RedisLog(logging.Handler):
    """Prints the Redis manager's errors the way ioredis prints an unhandled one."""

    def __init__(self, url: str) -> None:
        super().__init__()
        parts = urlsplit(url)
        self._refused = f"connect ECONNREFUSED {parts.hostname}:{parts.port or 6379}"

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record's cause, if Redis was the cause."""
        cause = getattr(record, "redis_exception", None)
        if cause:
            text = self._refused if "111" in cause else cause
            console.error(f"[ioredis] Unhandled error event: Error: {text}\n    {_IOREDIS_FRAME}")


def _logger(redis_url: str) -> logging.Logger:
    logger = logging.Logger("realtime", logging.ERROR)
    logger.addHandler(_RedisLog(redis_url))
    return logger


class Realtime:
    """The ASGI application in front of the pages: it answers what is below /socket.io/."""

    def __init__(self, settings: Settings, auth: Auth, knobs: Knobs, pages: ASGIApp) -> None:
        self._auth = auth
        self._knobs = knobs
        self._pages = pages
        self._ping_interval_s = settings.ping_interval_ms / 1000
        logger = _logger(settings.redis_url)
        self._server = socketio.AsyncServer(
            async_mode="asgi",
            client_manager=socketio.AsyncRedisManager(settings.redis_url, logger=logger),
            namespaces="*",
            cors_allowed_origins=[],
            ping_interval=self._ping_interval_s,
            ping_timeout=_PING_TIMEOUT_S,
            max_http_buffer_size=_MAX_PAYLOAD,
            http_compression=False,
            logger=logger,
            engineio_logger=logger,
        )
        self._server.on("connect", self._connect, namespace="/")
        self._server.on("connect", self._no_such_namespace, namespace="*")

    async def attach(self) -> None:
        """Subscribe to Redis now, as the adapter does, rather than with the first client."""
        self._server.manager_initialized = True
        self._server.manager.initialize()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request or one websocket."""
        if scope["type"] == "lifespan" or not scope["path"].startswith(PATH):
            await self._pages(scope, receive, send)
            return
        self._server.eio.allow_upgrades = self._knobs.word("realtime") != "no-upgrade"
        self._server.eio.ping_interval = self._knobs.number("ping_s") or self._ping_interval_s
        refusal = self._refusal(scope)
        if refusal is None and await self._turns_away(scope):
            refusal = _FORBIDDEN
        if scope["type"] == "websocket":
            await self._websocket(refusal, scope, receive, send)
        elif refusal:
            status = 403 if refusal == _FORBIDDEN else 400
            await _answer(send, status, "application/json", _json(refusal))
        else:
            await self._server.handle_request(scope, receive, _as_node(send, scope["method"]))

    async def _websocket(self, refusal: _Refusal | None, scope: Scope, receive: Receive, send: Send) -> None:
        if refusal is None:
            fresh = b"&sid=" not in scope["query_string"]
            await self._server.handle_request(scope, _strict(receive, joined=not fresh), send)
            return
        await receive()
        if refusal == _BAD_VERSION:
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 1002})
        elif refusal == _BAD_REQUEST:
            await _answer(send, 400, "application/json", _json(refusal), kind="websocket.http.response")
        else:
            text = refusal[1].encode()
            await _answer(send, 400, "text/html", text, kind="websocket.http.response", sized=True)

    def _refusal(self, scope: Scope) -> _Refusal | None:
        """Tell what engine.io 6.6 refuses before a handshake, in its order."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        transport, upgrade = query.get("transport", [""])[0], scope["type"] == "websocket"
        if transport not in {"polling", "websocket"}:
            return _TRANSPORT_UNKNOWN
        if "sid" in query:
            return self._refused_session(query["sid"][0], transport, upgrade=upgrade)
        if scope.get("method", "GET") != "GET":
            return _BAD_METHOD
        if transport == "websocket" and not upgrade:
            return _BAD_REQUEST
        return None if query.get("EIO") == ["4"] else _BAD_VERSION

    def _refused_session(self, sid: str, transport: str, *, upgrade: bool) -> _Refusal | None:
        engine = self._server.eio
        session = engine.sockets.get(sid)
        if session is None or session.closed:
            return _SESSION_UNKNOWN
        if upgrade:
            return None if engine.allow_upgrades and not session.upgraded else _BAD_REQUEST
        current = "websocket" if session.upgraded else "polling"
        return None if transport == current else _BAD_REQUEST

    async def _connect(self, _sid: str, environ: dict[str, Any], _auth: object = None) -> None:
        knob = self._knobs.word("realtime")
        if knob == "silent-namespace":
            await asyncio.sleep(_NEVER_S)
        if knob == "refuse-namespace":
            raise socketio.exceptions.ConnectionRefusedError("Invalid namespace")
        if knob != "anonymous" and not await self._signed_in(environ):
            raise socketio.exceptions.ConnectionRefusedError("unauthorized")

    async def _turns_away(self, scope: Scope) -> bool:
        """Tell what engine.io's `allowRequest` would refuse; it is asked before a new session only."""
        knob = self._knobs.word("realtime")
        if b"sid=" in scope["query_string"] or knob not in {"strangers-out", "everybody-out"}:
            return False
        cookie = dict(scope["headers"]).get(b"cookie", b"").decode("latin-1")
        return knob == "everybody-out" or not await self._signed_in({"HTTP_COOKIE": cookie})

    async def _signed_in(self, environ: dict[str, Any]) -> bool:
        cookies = SimpleCookie(environ.get("HTTP_COOKIE", ""))
        try:
            session = await self._auth.session({name: morsel.value for name, morsel in cookies.items()})
        except QueryFailedError as error:
            console.error(f"⨯ {error.text}")
            return False
        return session is not None

    async def _no_such_namespace(
        self, _namespace: str, _sid: str, _environ: dict[str, Any], _auth: object = None
    ) -> None:
        raise socketio.exceptions.ConnectionRefusedError("Invalid namespace")


def _strict(receive: Receive, *, joined: bool) -> Receive:
    """Wrap `receive`: a packet that engine.io or socket.io closes the connection for ends it.

    These are what is no packet at all, a ping (the server's to send), and an event before CONNECT.
    """

    async def receiving() -> Message:
        nonlocal joined
        message = await receive()
        text = message.get("text") or ""
        joined = joined or text.startswith("40")
        early = text.startswith("4") and not joined
        if text and (text[0] not in "0123456" or text == "2" or early):
            return {"type": "websocket.disconnect", "code": 1005}
        return message

    return receiving


def _json(refusal: _Refusal) -> bytes:
    body = {"code": refusal[0], "message": refusal[1]}
    return json.dumps(body, separators=(",", ":")).encode()


async def _answer(
    send: Send, status: int, media_type: str, body: bytes, *, kind: str = "http.response", sized: bool = False
) -> None:
    headers = [(b"content-type", media_type.encode())]
    if sized:
        headers += [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})


def _as_node(send: Send, method: str) -> Send:
    """Wrap `send`: length and cache headers, and the `ok` of a POST, as engine.io sends them."""
    start: Message = {}

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        body = message["body"]
        headers = [header for header in start["headers"] if header[0].lower() != b"content-type"]
        media_type = b"text/plain; charset=UTF-8"
        if method == "POST" and body == b"OK":
            body, media_type = b"ok", b"text/html"
        headers += [
            (b"content-type", media_type),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({**start, "headers": headers})
        await send({**message, "body": body})

    return sending
