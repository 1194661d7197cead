"""Every bare TCP connection the suite may try to the server's address; nothing is sent over one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Knock:
    """A declared attempt to connect."""

    name: str
    purpose: str
    footprint: str


CONTROL = Knock(
    "port-control",
    "see that the address answers at all, without which a silent port says nothing",
    "a connection that ends without a request; nginx logs it at level info only",
)
PRIVATE = Knock(
    "port-private",
    "see whether a stranger could reach the databases",
    "none where the port is closed; an open one sees a connection that ends without a byte",
)
NOBODYS = Knock(
    "port-nobodys",
    "see, if a database port is open, that a port which nobody serves is not: else something on the way "
    "accepts every connection",
    "none; the port is closed",
)
NOBODYS_PORT = 1
"""Of TCPMUX (RFC 1078), which is long gone."""
KNOCKS = {knock.name: knock for knock in (CONTROL, PRIVATE, NOBODYS)}
"""All of them, by name."""
