"""Raw websockets to the public name. No Socket.IO client: one would fall back to polling and hide a fault."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import websockets.exceptions
from pydantic import BaseModel, ConfigDict
from websockets.asyncio.client import ClientConnection, connect
from websockets.http11 import Response

from acceptance.errors import UnavailableError
from acceptance.excerpt import beginning, cut
from acceptance.guard import Guard
from acceptance.guard.messages import UPGRADE_REQUEST, Message
from acceptance.ledger import Ledger
from acceptance.sections.public import Public
from acceptance.transports.http import trust

CLOSED = "closed"
"""What `receive` tells when the other side closed instead of answering."""


class _Connect(connect):
    """Takes a redirect for a refusal: where it leads is not declared."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow none."""
        return exc


class Handshake(BaseModel):
    """How the server answered the upgrade request.

    Attributes:
        status: 101 if it switched protocols.
        detail: where a redirect leads, the refusal's body, or why the upgraded stream was not a websocket.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int
    detail: str = ""


class Socket:
    """An upgraded connection. Sends declared messages only."""

    def __init__(self, connection: ClientConnection, guard: Guard, ledger: Ledger, namespace: str) -> None:
        self._connection = connection
        self._guard = guard
        self._ledger = ledger
        self._namespace = "" if namespace == "/" else f"{namespace},"

    async def send(self, message: Message) -> None:
        """Send a declared message; a connection that is closed by then is noticed by the next receive.

        Raises:
            RefusedError: it is not declared.
        """
        self._guard.message(message)
        try:
            await self._connection.send(message.text.replace("{namespace}", self._namespace))
            result = "sent"
        except websockets.exceptions.ConnectionClosed:
            result = CLOSED
        self._ledger.record("websocket", message.name, result=result)

    async def receive(self, timeout_s: float) -> str | None:
        """Return the next text packet, `CLOSED`, or None if none came in time."""
        try:
            async with asyncio.timeout(timeout_s):
                packet = await self._connection.recv()
        except TimeoutError:
            return None
        except websockets.exceptions.ConnectionClosed:
            return CLOSED
        return packet if isinstance(packet, str) else packet.decode("utf-8", errors="replace")


class WebSocket:
    """Opens websockets to the public name."""

    def __init__(self, public: Public, guard: Guard, ledger: Ledger, namespace: str) -> None:
        self._public = public
        self._guard = guard
        self._ledger = ledger
        self._namespace = namespace

    @asynccontextmanager
    async def open(
        self, path: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[tuple[Handshake, Socket | None]]:
        """Open a websocket; yields the handshake's outcome and, if it was upgraded, the socket.

        Args:
            path: path and query.
            headers: may hold a session cookie; they are neither logged nor returned.

        Raises:
            RefusedError: the path is not declared.
            UnavailableError: no connection, no trusted TLS, or no HTTP answer in time.
        """
        self._guard.upgrade(path)
        started = time.perf_counter()
        connection: ClientConnection | None = None
        try:
            connection = await _Connect(
                f"wss://{self._public.name}{path}",
                host=self._public.https.address,
                port=self._public.https.port,
                ssl=trust(self._public.ca_file),
                server_hostname=self._public.name,
                additional_headers=dict(headers or {}),
                open_timeout=self._public.timeout_s,
                close_timeout=1,
                ping_interval=None,
                compression=None,
                proxy=None,
            )
            handshake = Handshake(status=101)
        except websockets.exceptions.InvalidStatus as refused:
            handshake = _refused(refused.response)
        except websockets.exceptions.InvalidHandshake as error:
            handshake = Handshake(status=0, detail=str(error))
        except (OSError, EOFError, TimeoutError) as error:
            raise UnavailableError(
                f"wss://{self._public.name}{path}: {str(error) or 'no answer within the time limit'}"
            ) from error
        finally:
            self._ledger.record(
                "websocket",
                UPGRADE_REQUEST.name,
                detail=f"GET wss://{self._public.name}{path}",
                seconds=time.perf_counter() - started,
                result=str(handshake.status) if "handshake" in locals() else "no answer",
            )
        if connection is None:
            yield handshake, None
            return
        try:
            yield handshake, Socket(connection, self._guard, self._ledger, self._namespace)
        finally:
            await connection.close()


def _refused(response: Response) -> Handshake:
    where = response.headers.get_all("Location")
    detail = f"redirects to {cut(where[0], 160)}" if where else beginning(response.body or b"", 160)
    return Handshake(status=response.status_code, detail=detail)
