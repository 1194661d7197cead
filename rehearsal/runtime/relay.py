"""Published ports: a TCP relay from the host's address to the container's, like docker-proxy."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future

from rehearsal.runtime.spec import Published

_CHUNK = 65536
_Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


class Relay:
    """Listens for one container; knows its open connections, to cut them when it stops."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, published: Sequence[Published]) -> None:
        """Listen on each port.

        Raises:
            OSError: one is taken; none is left open.
        """
        try:
            for port in published:
                server = await asyncio.start_server(
                    self._handler(port.container_port), port.bind or port.host_address, port.host_port
                )
                self._servers.append(server)
        except OSError:
            await self.close()
            raise

    def _handler(self, port: int) -> _Handler:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            # Only `close` cancels it; Python 3.11 would print the cancelled task's traceback.
            with contextlib.suppress(asyncio.CancelledError):
                await self._connect(reader, writer, port)
            self._tasks.discard(task)

        return handle

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(self._address, port)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        finally:
            writer.close()
            far_writer.close()

    async def close(self) -> None:
        """Stop listening and cut the open connections."""
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Relays:
    """All relays, on one event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="relays", daemon=True).start()

    def open(self, address: str, published: Sequence[Published]) -> Relay:
        """Start to relay to a container's address.

        Raises:
            OSError: a port is taken.
        """
        relay = Relay(address)
        future: Future[None] = asyncio.run_coroutine_threadsafe(relay.open(published), self._loop)
        future.result(timeout=10)
        return relay

    def close(self, relay: Relay) -> None:
        """Stop listening and cut the open connections."""
        asyncio.run_coroutine_threadsafe(relay.close(), self._loop).result(timeout=10)
