"""What the server serves to a TLS client under the public name."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from acceptance.errors import UnavailableError
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable
from acceptance.facts.certificates import Certificate, read_certificate
from acceptance.transports.tls import PROTOCOLS, Offer, Protocol, Trust

if TYPE_CHECKING:
    from acceptance.access import Access

OLD: tuple[Protocol, ...] = ("TLS 1.0", "TLS 1.1")


class Tls(Fact):
    """The server's certificate and protocols.

    Attributes:
        name: the name asked for (SNI); `address` is where.
        looked_at: by the operator's clock, UTC.
        hsts: the value of Strict-Transport-Security of the first page; empty if it is not sent.
    """

    name: str
    address: str
    looked_at: datetime
    trust: Attempt[Trust]
    leaf: Certificate
    offers: tuple[Offer, ...]
    hsts: Attempt[str]

    @property
    def days_left(self) -> float:
        """How many days the served certificate still holds; negative if it has expired."""
        return (self.leaf.not_after - self.looked_at) / timedelta(days=1)

    @property
    def accepted(self) -> frozenset[Protocol]:
        """The versions the server accepts, as far as this machine can tell.

        Raises:
            UnavailableError: for one of them it cannot be told: this machine cannot speak it, or the
                server did not answer, or no version was accepted at all.
        """
        accepted = frozenset(offer.protocol for offer in self.offers if offer.outcome == "accepted")
        if accepted & frozenset(OLD):
            return accepted
        for offer in self.offers:
            if not offer.offerable:
                raise UnavailableError(
                    f"this machine's OpenSSL cannot offer {offer.protocol}",
                    "run from a machine whose OpenSSL can",
                )
            if offer.outcome == "inconclusive":
                raise UnavailableError(f"{offer.protocol}: {offer.detail}")
        if not accepted:
            raise UnavailableError(f"{self.address} accepts no version, so its refusals prove nothing")
        return accepted

    @property
    def offers_seen(self) -> str:
        """How each version was answered."""
        return "; ".join(f"{offer.protocol} {offer.outcome} ({offer.detail})" for offer in self.offers)

    def source(self, *options: str) -> Source:
        """Where it was seen, and the openssl command that shows it."""
        command = ("openssl s_client -connect", self.address, "-servername", self.name, *options)
        return Source(where=f"{self.address}, SNI {self.name}", again=" ".join(command) + " </dev/null")

    @property
    def hsts_source(self) -> Source:
        """What was asked for the header, and how to ask again."""
        return Source(where=f"https://{self.name}/", again=f"curl -sI https://{self.name}/")


def hsts_seconds(header: str) -> int:
    """Return the `max-age` of a Strict-Transport-Security header, 0 if it has none (RFC 6797)."""
    match = re.search(r'(?:^|;)\s*max-age\s*=\s*"?(\d+)', header, re.IGNORECASE)
    return int(match[1]) if match else 0


async def _trust(access: Access) -> Known[Trust] | Unavailable:
    try:
        return Known(value=await access.tls.trust())
    except UnavailableError as problem:
        return Unavailable.of(problem)


async def _hsts(access: Access) -> Known[str] | Unavailable:
    try:
        answer = await access.http.send("https-root", path="/")
    except UnavailableError as problem:
        return Unavailable.of(problem)
    return Known(value=answer.headers.get("strict-transport-security", ""))


async def collect(access: Access) -> Tls:
    """Shake hands in every way at once."""
    leaf, trust, hsts, offers = await asyncio.gather(
        access.tls.leaf(),
        _trust(access),
        _hsts(access),
        asyncio.gather(*(access.tls.offer(protocol) for protocol in PROTOCOLS)),
    )
    return Tls(
        name=access.target.public.name,
        address=access.tls.where,
        looked_at=datetime.now(UTC),
        trust=trust,
        leaf=read_certificate(leaf),
        offers=tuple(offers),
        hsts=hsts,
    )


NOUN = Noun(name="tls", model=Tls, collect=collect, sources=("crm",))
