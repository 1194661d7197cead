"""Where the public names lead, by the name system."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from acceptance.errors import UnavailableError
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known
from acceptance.guard.dns import Kind
from acceptance.sections.dns import Network, Which

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.target import Target

IPV4: Kind = "A"
IPV6: Kind = "AAAA"

_VERSION = {IPV4: 4, IPV6: 6}


class Records(Fact):
    """A name's records of one type, as a resolver gives them.

    Attributes:
        exists: False if there is no such name (NXDOMAIN).
        addresses: at the end of the chain of aliases, sorted.
        aliases: where CNAME records led on the way, in their order.
    """

    exists: bool
    addresses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    def __str__(self) -> str:
        found = ", ".join(self.addresses) if self.exists else "no such name (NXDOMAIN)"
        return "".join(f"{alias} → " for alias in self.aliases) + (found or "no record")


class Name(Fact):
    """One public name.

    Attributes:
        resolver: who was asked. again: a command that asks it again.
    """

    name: str
    resolver: str
    again: str
    records: dict[Kind, Attempt[Records]]

    def of(self, kind: Kind) -> Records:
        """Return its records of one type.

        Raises:
            UnavailableError: the resolver gave no answer.
        """
        return known(self.records[kind])

    def leads_to(self, networks: Sequence[Network], kind: Kind) -> bool:
        """Tell whether every address of that type is in one of the networks.

        There must be an IPv4 address if one is expected, and an IPv6 address if nothing else is.

        Raises:
            UnavailableError: the resolver gave no answer.
        """
        records, wanted = self.of(kind), _of_kind(networks, kind)
        inside = all(any(ip_address(each) in network for network in wanted) for each in records.addresses)
        needed = kind == (IPV4 if _of_kind(networks, IPV4) else IPV6)
        return inside and (bool(records.addresses) or not needed)

    def source(self, kind: Kind) -> Source:
        """Where its records were seen."""
        return Source(where=f"{kind} records of {self.name}, {self.resolver}", again=f"{self.again} {kind}")


class Dns(Fact):
    """The public names that the target declares, by what they stand for."""

    names: dict[Which, Name]

    def the(self, which: Which) -> Name:
        """Return the name of the CRM, of Documenso or of the storage.

        Raises:
            UnavailableError: the target declares none.
        """
        if which not in self.names:
            key = {"documenso": "dns.documenso", "storage": "storage.endpoint"}.get(which, "public.name")
            raise UnavailableError(f"the target file declares no public name for {which}", f"set {key} there")
        return self.names[which]


def expected(target: Target, which: Which) -> tuple[Network, ...]:
    """Return where a name must lead: to the proxy if the target names one for it, else to the server; pure.

    Raises:
        UnavailableError: the target names the server, and does not say which address that is.
    """
    declared = target.dns.proxies.get(which) or target.dns.addresses
    if declared:
        return declared
    try:
        return (ip_network(target.server.address),)
    except ValueError as error:
        raise UnavailableError(
            f"the target file does not say which address {target.server.address} has",
            "set dns.addresses there",
        ) from error


def listed(networks: Iterable[Network], kind: Kind) -> str:
    """Return those networks whose addresses stand in records of that type, for people; pure."""
    told = (
        network.network_address if network.num_addresses == 1 else network
        for network in _of_kind(networks, kind)
    )
    return " or ".join(map(str, told)) or "no record, as the target file names no such address"


def _of_kind(networks: Iterable[Network], kind: Kind) -> tuple[Network, ...]:
    return tuple(network for network in networks if network.version == _VERSION[kind])


async def _records(access: Access, name: str, kind: Kind) -> Known[Records] | Unavailable:
    try:
        answer = await access.dns.ask(name, kind)
    except UnavailableError as error:
        return Unavailable.of(error)
    return Known(value=Records(exists=answer.exists, addresses=answer.addresses, aliases=answer.aliases))


async def _name(access: Access, name: str) -> Name:
    ipv4, ipv6 = await asyncio.gather(_records(access, name, IPV4), _records(access, name, IPV6))
    endpoint = access.target.dns.resolver
    asked = f"@{endpoint.address} -p {endpoint.port} " if endpoint else ""
    return Name(
        name=name,
        resolver=access.dns.where,
        again=f"dig {asked}{name}",
        records={IPV4: ipv4, IPV6: ipv6},
    )


async def collect(access: Access) -> Dns:
    """Ask for the A and AAAA records of each public name."""
    names = access.target.public_names
    found = await asyncio.gather(*(_name(access, name) for name in names.values()))
    return Dns(names=dict(zip(names, found, strict=True)))


NOUN = Noun("dns", Dns, collect, sources=("dns",))
