"""Every websocket the suite may open and every message it may send there. Nothing else can be sent."""

from __future__ import annotations

from dataclasses import dataclass

from acceptance.guard.requests import Request


@dataclass(frozen=True)
class Message:
    """A declared Engine.IO text packet.

    Attributes:
        text: the packet; `{namespace}` stands for the namespace prefix (`/name,` or nothing for `/`).
    """

    name: str
    text: str
    purpose: str
    footprint: str = "none"


UPGRADE_REQUEST = Request(
    "upgrade-request",
    "GET",
    r"\?EIO=4&transport=websocket(&sid=[\w-]+)?",
    "open a websocket",
    footprint="a line in nginx's access log; a Socket.IO session that ends with the connection",
    base="realtime.path",
)
CONNECT = Message("connect", "40{namespace}", "ask to join the Socket.IO namespace")
PROBE = Message("probe", "2probe", "ask whether the websocket may replace the polling session")
UPGRADE = Message("upgrade", "5", "replace the polling session by the websocket")
PONG = Message("pong", "3", "answer the server's heartbeat")
