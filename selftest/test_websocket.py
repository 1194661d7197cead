"""The websocket transport, on a TLS server that refuses in different ways."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from acceptance.guard import Approvals, Guard
from acceptance.ledger import Ledger
from acceptance.secrets import Redactor
from acceptance.sections.public import Public
from acceptance.transports.websocket import Handshake, Socket, WebSocket
from selftest.local_host import target_for
from selftest.test_tls_facts import ADDRESS, NAME, Authority

PATH = "/socket.io/?EIO=4&transport=websocket"


async def handshake_with(answer: bytes, directory: Path) -> tuple[Handshake, Socket | None, int]:
    """Ask a server that answers everything alike; the handshake, the socket, and how often it was asked."""
    authority = Authority(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue()[1])
    asked = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, ADDRESS, 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        public: dict[str, Any] = {
            "connect_https": {"address": ADDRESS, "port": port},
            "ca_file": str(authority.ca_file),
        }
        target = target_for(directory, public=public)
        ledger = Ledger(directory / "ledger.jsonl", Redactor())
        guard = Guard(ledger, Approvals(), target)
        transport = WebSocket(Public(name=NAME, **public), guard, ledger, "/")
        async with transport.open(PATH) as (handshake, socket):
            return handshake, socket, asked


@pytest.mark.parametrize(
    "where",
    ["/elsewhere/", f"https://{NAME}/login", "https://stranger.example.test/", "/login", "nonsense://"],
)
def test_a_redirect_is_a_refusal_and_is_not_followed(where: str, tmp_path: Path) -> None:
    answer = f"HTTP/1.1 302 Found\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode()
    handshake, socket, asked = asyncio.run(handshake_with(answer, tmp_path))
    assert (handshake.status, handshake.detail) == (302, f"redirects to {where}")
    assert socket is None
    assert asked == 1


def test_a_refusal_tells_its_status_and_body(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 10\r\n\r\nno\nbackend"
    handshake, socket, _ = asyncio.run(handshake_with(answer, tmp_path))
    assert (handshake.status, handshake.detail, socket) == (502, "no backend", None)
