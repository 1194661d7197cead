"""What plain HTTP on port 80 answers."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from acceptance.errors import UnavailableError
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known
from acceptance.facts.certificates import Certificates

if TYPE_CHECKING:
    from acceptance.access import Access

_REDIRECTS = (301, 302, 303, 307, 308)
_SERVED = (200, 404)


class PlainAnswer(Fact):
    """One answer of port 80.

    Attributes:
        path: path and query asked for.
        location: where it sends the client; empty if it does not.
    """

    url: str
    path: str
    status: int
    location: str

    @property
    def seen(self) -> str:
        """The answer in a few words."""
        return f"{self.status}, Location: {self.location or 'none'}"

    @property
    def redirects(self) -> bool:
        """Whether the client is sent elsewhere."""
        return self.status in _REDIRECTS and bool(self.location)

    @property
    def source(self) -> Source:
        """What was asked and how to ask again."""
        return Source(where=self.url, again=f"curl -si '{self.url}'")


class Redirect(Fact):
    """What port 80 does with requests.

    Attributes:
        root, deep: for `/`, and for a path with a query.
        acme: for a file of the certificate authority's challenge that does not exist.
        authenticators: of the renewal settings for the name.
    """

    name: str
    root: PlainAnswer
    deep: PlainAnswer
    acme: PlainAnswer
    authenticators: Attempt[tuple[str, ...]]

    def secure(self, answer: PlainAnswer) -> str:
        """Return where that request must be sent."""
        return f"https://{self.name}{answer.path}"

    def sends_to_https(self, answer: PlainAnswer) -> bool:
        """Tell whether the request is sent to the same path and query over https on the same host."""
        return answer.redirects and answer.location == self.secure(answer)

    @property
    def challenge_can_be_answered(self) -> bool:
        """Whether a renewal can prove control of the name through port 80.

        The location is served, or redirected like everything else while certbot's nginx plugin renews: it
        rewrites the vhost for the moment of the challenge (seen on certbot 2.1.0).

        Raises:
            UnavailableError: it is redirected, and the renewal's settings are out of reach or missing.
        """
        if self.acme.status in _SERVED:
            return True
        if not self.sends_to_https(self.acme):
            return False
        authenticators = known(self.authenticators)
        if not authenticators:
            raise UnavailableError("no renewal settings say who renews the certificate, see tls.renewal")
        return "nginx" in authenticators

    @property
    def challenge_seen(self) -> str:
        """What the challenge's location answered and who renews."""
        if isinstance(self.authenticators, Unavailable):
            return self.acme.seen
        return f"{self.acme.seen}; authenticator {', '.join(self.authenticators.value) or 'none'}"


async def _ask(access: Access, path: str) -> PlainAnswer:
    answer = await access.http.send("http-redirect", path=path, secure=False)
    return PlainAnswer(
        url=answer.url, path=path, status=answer.status, location=answer.headers.get("location", "")
    )


async def _authenticators(access: Access) -> Known[tuple[str, ...]] | Unavailable:
    try:
        certificates = await access.fact("certificates")
    except UnavailableError as problem:
        return Unavailable.of(problem)
    if not isinstance(certificates, Certificates):
        raise TypeError("the noun certificates gave something else")
    renewals = certificates.renewals(access.target.public.name)
    return Known(value=tuple(renewal.authenticator for renewal in renewals))


async def collect(access: Access) -> Redirect:
    """Ask port 80 for three paths at once."""
    probe = f"acceptance-{secrets.token_hex(8)}"
    root, deep, acme, authenticators = await asyncio.gather(
        _ask(access, "/"),
        _ask(access, f"/{probe}/page?first=1&second=two%20words"),
        _ask(access, f"/.well-known/acme-challenge/{probe}"),
        _authenticators(access),
    )
    return Redirect(
        name=access.target.public.name, root=root, deep=deep, acme=acme, authenticators=authenticators
    )


NOUN = Noun(name="redirect", model=Redirect, collect=collect, sources=("crm",), needs=("certificates",))
