"""Every websocket message the suite may send. What is not declared here cannot be sent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """A declared Engine.IO text packet.

    Attributes:
        text: the packet; `{namespace}` stands for the namespace prefix (`/name,` or nothing for `/`).
    """

    name: str
    text: str
    purpose: str


CONNECT = Message("connect", "40{namespace}", "ask to join the Socket.IO namespace")
PROBE = Message("probe", "2probe", "ask whether the websocket may replace the polling session")
UPGRADE = Message("upgrade", "5", "replace the polling session by the websocket")
PONG = Message("pong", "3", "answer the server's heartbeat")
