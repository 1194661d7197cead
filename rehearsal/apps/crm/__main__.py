"""Runs the CRM stand-in: `python -m rehearsal.apps.crm`, configured by environment variables."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import time

import uvicorn

from rehearsal.apps import console
from rehearsal.apps.settings import Settings

_VERSION = "16.4.6"
_KEEP_ALIVE_S = 5
_CLIENTS = ("aiohttp", "requests")
"""What python-socketio's clients load if it is there; without them the server starts in half the time."""


class _Server(uvicorn.Server):
    """Prints Next's banner once it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Bind, then print what `node server.js` of a Next.js standalone build prints."""
        begun = time.monotonic()
        await super().startup(sockets)
        address = f"http://{self.config.host}:{self.config.port}"
        if self.started:
            console.log(
                f"▲ Next.js {_VERSION}\n- Local:         {address}\n- Network:       {address}\n"
                f"✓ Ready in {(time.monotonic() - begun) * 1000:.0f}ms"
            )


def _worth_logging(record: logging.LogRecord) -> bool:
    """Node says nothing about a websocket it refused before the handshake."""
    return "without completing handshake" not in record.getMessage()


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    for name in _CLIENTS:
        sys.modules[name] = None  # type: ignore[assignment]  # as if it were not there
    from rehearsal.apps.crm.app import create  # noqa: PLC0415 - it loads python-socketio

    logging.getLogger("uvicorn.error").addFilter(_worth_logging)
    settings = Settings.from_environment(os.environ)
    config = uvicorn.Config(
        create(settings),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,
        ws="websockets-sansio",
        ws_ping_interval=None,
        ws_per_message_deflate=False,
    )
    asyncio.run(_Server(config).serve())


if __name__ == "__main__":
    main()
