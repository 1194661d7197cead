"""What goes wrong with the public names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rehearsal.faults.base import Course, fault
from rehearsal.services.resolver import SERVER_NAME, Records
from rehearsal.site import DOCUMENSO_NAME, HOSTNAME, STORAGE_NAME

if TYPE_CHECKING:
    from rehearsal.stack import Stack

_TOUCHED = ("dns",)
_ELSEWHERE = "192.0.2.80"
"""Of the addresses for documentation (RFC 5737), and likewise for IPv6 (RFC 3849)."""
_ELSEWHERE_IPV6 = "2001:db8::80"


@contextmanager
def _records(stack: Stack, name: str, records: Records | None) -> Iterator[None]:
    assert stack.resolver is not None
    with stack.resolver.changed(name, records):
        yield


@fault(
    "dns-crm-elsewhere",
    notice="the CRM's name shows somebody else's page",
    reddens=("dns.crm",),
    touches=_TOUCHED,
)
def crm_elsewhere(stack: Stack) -> Course:
    """Let the A record lead to another server."""
    with _records(stack, HOSTNAME, Records(ipv4=(_ELSEWHERE,))):
        yield


@fault(
    "dns-crm-second-address",
    notice="every other visitor reaches the old server",
    reddens=("dns.crm",),
    touches=_TOUCHED,
)
def crm_second_address(stack: Stack) -> Course:
    """Leave a second A record from before."""
    server = stack.site.address("public")
    with _records(stack, HOSTNAME, Records(ipv4=(server, _ELSEWHERE))):
        yield


@fault(
    "dns-crm-ipv6",
    notice="certbot's challenge fails, and visitors with IPv6 reach nothing",
    reddens=("dns.crm",),
    touches=_TOUCHED,
)
def crm_ipv6(stack: Stack) -> Course:
    """Add a AAAA record that nobody declared."""
    server = stack.site.address("public")
    with _records(stack, HOSTNAME, Records(ipv4=(server,), ipv6=(_ELSEWHERE_IPV6,))):
        yield


@fault(
    "dns-crm-unknown",
    notice="the browser says that the address could not be found",
    reddens=("dns.crm",),
    touches=_TOUCHED,
)
def crm_unknown(stack: Stack) -> Course:
    """Take the name away."""
    with _records(stack, HOSTNAME, None):
        yield


@fault(
    "dns-documenso-elsewhere",
    notice="links in signers' e-mails lead to the old server",
    reddens=("dns.documenso",),
    touches=_TOUCHED,
)
def documenso_elsewhere(stack: Stack) -> Course:
    """Let the A record lead to another server."""
    with _records(stack, DOCUMENSO_NAME, Records(ipv4=(_ELSEWHERE,))):
        yield


@fault(
    "dns-storage-alias-elsewhere",
    notice="no document opens",
    reddens=("dns.storage",),
    touches=_TOUCHED,
)
def storage_alias_elsewhere(stack: Stack) -> Course:
    """Let the alias lead to a name with another address."""
    other = "old.portnimara.test"
    with (
        _records(stack, other, Records(ipv4=(_ELSEWHERE,))),
        _records(stack, STORAGE_NAME, Records(alias=other)),
    ):
        yield


@fault(
    "source-dns-broken",
    notice="the resolver answers SERVFAIL; the names may be right",
    touches=_TOUCHED,
    blinds=True,
)
def broken(stack: Stack) -> Course:
    """Let the resolver fail for the names."""
    failing = Records(failure="SERVFAIL")
    with _records(stack, HOSTNAME, failing), _records(stack, SERVER_NAME, failing):
        yield


@fault(
    "source-dns-private",
    notice="the operator's machine is in a network whose resolver denies every public name",
    touches=_TOUCHED,
    blinds=True,
)
def private(stack: Stack) -> Course:
    """Let the resolver say of every name, and of its top-level domain, that there is none."""
    assert stack.resolver is not None
    with stack.resolver.ignorant():
        yield
