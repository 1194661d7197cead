"""A TCP relay that adds a delay in each direction: a far server on the same machine.

    python -m benchmarks.relay --listen 127.0.0.1:2222 --to 127.64.1.20:22022 --delay-ms 20

adds a round trip of 40 ms. Throughput stays: what arrives together leaves together, later.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from types import TracebackType
from typing import Self

_CHUNK = 64 * 1024


class Relay:
    """A relay to one address while its block lasts.

    Args:
        to: the address and port to connect to.
        delay_s: seconds added to each direction.
        listen: the address and port to listen on; port 0 takes a free one.

    Attributes:
        connections: how many it has accepted.
    """

    def __init__(
        self, to: tuple[str, int], delay_s: float, listen: tuple[str, int] = ("127.0.0.1", 0)
    ) -> None:
        self.connections = 0
        self._to = to
        self._delay_s = delay_s
        self._listen = listen
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, *self._listen)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        await self.cut()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens.

        Raises:
            RuntimeError: it does not run.
        """
        if self._server is None:
            raise RuntimeError("the relay does not run")
        host, port = self._server.sockets[0].getsockname()[:2]
        return str(host), int(port)

    async def cut(self) -> None:
        """Break every connection that is open now."""
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._relay(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._to)
            writers.append(far_writer)
            await asyncio.gather(self._pass_on(reader, far_writer), self._pass_on(far_reader, writer))
        except OSError:
            pass  # the other side is gone: this one is closed below, which tells its peer
        finally:
            for open_writer in writers:
                open_writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def receive() -> None:
            chunk = b"?"
            while chunk:
                chunk = await reader.read(_CHUNK)
                waiting.put_nowait((loop.time() + self._delay_s, chunk))

        async def send() -> None:
            while True:
                due, chunk = await waiting.get()
                await asyncio.sleep(due - loop.time())
                if not chunk:
                    break
                writer.write(chunk)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

        await asyncio.gather(receive(), send())


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


async def _serve(to: tuple[str, int], delay_s: float, listen: tuple[str, int]) -> None:
    async with Relay(to, delay_s, listen) as relay:
        host, port = relay.address
        print(f"{host}:{port} -> {to[0]}:{to[1]}, {delay_s * 1000:g} ms each way", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Run a relay until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Relay TCP with a delay in each direction.")
    parser.add_argument("--to", type=_place, required=True, help="HOST:PORT to connect to")
    parser.add_argument(
        "--listen", type=_place, default=("127.0.0.1", 0), help="HOST:PORT (default: a free port)"
    )
    parser.add_argument("--delay-ms", type=float, default=20, help="added to each direction (default 20)")
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(given.to, given.delay_ms / 1000, given.listen))


if __name__ == "__main__":
    main()
