"""What the container registry holds under the declared references of the images that CI builds."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from acceptance.check import Source, not_applicable
from acceptance.errors import UnavailableError
from acceptance.facts.base import Attempt, Fact, Known, Noun, Unavailable, known

if TYPE_CHECKING:
    from acceptance.access import Access


class Reference(Fact):
    """An image reference taken apart.

    Attributes:
        host: the registry, with its port if one is given.
        repository: the image's name in the registry.
        tag: a tag or a digest; `latest` if the reference names none.
    """

    host: str
    repository: str
    tag: str


class Registry(Fact):
    """The registry's answers.

    Attributes:
        digests: per service with a built image the digest its reference points to; None if the registry
            does not know the reference.
    """

    references: dict[str, str]
    digests: dict[str, Attempt[str | None]]

    def digest(self, service: str) -> str:
        """Return the digest that the service's declared reference points to now, or `no such tag`.

        Raises:
            UnavailableError: the registry did not say.
            NotApplicableError: the service's image is not built by our CI.
        """
        if service not in self.digests:
            not_applicable(f"the image of {service} is not built by our CI")
        return known(self.digests[service]) or "no such tag"

    def source_of(self, service: str) -> Source:
        """Where the digest was seen."""
        reference = self.references[service]
        return Source(
            where=f"registry manifest {reference}",
            again=f"docker buildx imagetools inspect {reference}",
        )


def parse(reference: str) -> Reference:
    """Take an image reference apart as Docker does; pure.

    Raises:
        ValueError: it names no registry, so it would mean Docker Hub.
    """
    host, slash, rest = reference.partition("/")
    if not slash or not (host == "localhost" or "." in host or ":" in host):
        raise ValueError(f"{reference} names no registry")
    name, _, digest = rest.partition("@")
    match = re.fullmatch(r"(?P<repository>[^:]+)(?::(?P<tag>[\w.-]+))?", name)
    if match is None:
        raise ValueError(f"{reference} is not an image reference")
    return Reference(host=host, repository=match["repository"], tag=digest or match["tag"] or "latest")


async def collect(access: Access) -> Registry:
    """Ask for the digest of each built image's declared reference, all at once."""
    references = {service.name: service.image for service in access.target.compose.services if service.built}
    answers = await asyncio.gather(*(_digest(access, reference) for reference in references.values()))
    return Registry(references=references, digests=dict(zip(references, answers, strict=True)))


async def _digest(access: Access, reference: str) -> Known[str | None] | Unavailable:
    try:
        wanted = parse(reference)
        return Known(value=await access.registry.manifest_digest(wanted.host, wanted.repository, wanted.tag))
    except UnavailableError as error:
        return Unavailable.of(error)
    except ValueError as error:
        return Unavailable(reason=str(error), remedy="give the full reference in compose.services")


NOUN = Noun("registry", Registry, collect)
