"""Where the public names must lead."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from pydantic import Field

from acceptance.sections.base import Endpoint, Section

Network = IPv4Network | IPv6Network
Which = Literal["crm", "documenso", "storage"]


class Dns(Section):
    """The public names' addresses.

    The CRM's name is `public.name`, the storage's stands in `storage.endpoint`.

    Attributes:
        resolver: asked instead of the system's own.
        addresses: the server's own, as the world sees them; `server.address` if none is given. An IPv6
            address is expected only if it stands here.
        proxies: addresses or ranges of a proxy, by the name that leads to it instead of to the server.
        documenso: Documenso's public name.
        timeout_s: for one question, whatever number of nameservers is asked.
    """

    resolver: Endpoint | None = None
    addresses: tuple[Network, ...] = ()
    proxies: dict[Which, tuple[Network, ...]] = Field(default_factory=dict)
    documenso: str | None = None
    timeout_s: float = Field(default=5, gt=0)
