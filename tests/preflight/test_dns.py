"""Do the public names lead to the server?"""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.dns import IPV4, IPV6, Dns, expected, listed
from acceptance.target import Target


@pytest.mark.item("dns.crm")
def test_crm(dns: Dns, target: Target) -> None:
    """The CRM's name leads to the server. Elsewhere certbot's challenge fails, and so does every visitor."""
    name, place = dns.the("crm"), expected(target, "crm")
    verify(
        name.leads_to(place, IPV4),
        expected=listed(place, IPV4),
        seen=name.of(IPV4),
        source=name.source(IPV4),
    )


@pytest.mark.item("dns.crm")
def test_crm_ipv6(dns: Dns, target: Target) -> None:
    """It leads nowhere else by IPv6. Let's Encrypt and most browsers prefer IPv6 where there is a record."""
    name, place = dns.the("crm"), expected(target, "crm")
    verify(
        name.leads_to(place, IPV6),
        expected=listed(place, IPV6),
        seen=name.of(IPV6),
        source=name.source(IPV6),
    )


@pytest.mark.item("dns.documenso")
def test_documenso(dns: Dns, target: Target) -> None:
    """Documenso's name leads to the server. The CRM and every signer's link go by it."""
    name, place = dns.the("documenso"), expected(target, "documenso")
    verify(
        name.leads_to(place, IPV4),
        expected=listed(place, IPV4),
        seen=name.of(IPV4),
        source=name.source(IPV4),
    )


@pytest.mark.item("dns.documenso")
def test_documenso_ipv6(dns: Dns, target: Target) -> None:
    """It leads nowhere else by IPv6. A signer's link would open somewhere else, for some signers only."""
    name, place = dns.the("documenso"), expected(target, "documenso")
    verify(
        name.leads_to(place, IPV6),
        expected=listed(place, IPV6),
        seen=name.of(IPV6),
        source=name.source(IPV6),
    )


@pytest.mark.item("dns.storage")
def test_storage(dns: Dns, target: Target) -> None:
    """The storage's name leads to the server. Browsers and both applications fetch files by it."""
    name, place = dns.the("storage"), expected(target, "storage")
    verify(
        name.leads_to(place, IPV4),
        expected=listed(place, IPV4),
        seen=name.of(IPV4),
        source=name.source(IPV4),
    )


@pytest.mark.item("dns.storage")
def test_storage_ipv6(dns: Dns, target: Target) -> None:
    """It leads nowhere else by IPv6. Signed addresses of files would be sent to a stranger."""
    name, place = dns.the("storage"), expected(target, "storage")
    verify(
        name.leads_to(place, IPV6),
        expected=listed(place, IPV6),
        seen=name.of(IPV6),
        source=name.source(IPV6),
    )
