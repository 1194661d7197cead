"""What the container registry holds under the declared references of the images that CI builds."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from pydantic import Field

from acceptance.errors import NotApplicableError, UnavailableError
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.sections.compose import Service


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
        of_commit: likewise for the tag that is named after the declared commit; empty if none is declared.
    """

    references: dict[str, str]
    digests: dict[str, Attempt[str | None]]
    of_commit: dict[str, Attempt[str | None]] = Field(default_factory=dict)

    def digest(self, service: Service) -> str:
        """Return the digest that the service's declared reference points to now, or `no such tag`.

        Raises:
            UnavailableError: the registry was not asked, or did not say.
            NotApplicableError: the service's image is not built by our CI.
        """
        if not service.built:
            raise NotApplicableError(f"the image of {service.name} is not built by our CI")
        if service.name not in self.digests:
            raise UnavailableError(f"the registry was not asked for the image of {service.name}")
        return known(self.digests[service.name]) or "no such tag"

    def tagged(self, commit: str | None) -> dict[str, str]:
        """Return the commit by each digest that the registry is known to have under its tag."""
        answers = [answer.value for answer in self.of_commit.values() if isinstance(answer, Known)]
        return {digest: commit for digest in answers if digest and commit}

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


def located(image: str) -> Reference:
    """Take the declared reference of a built image apart; pure.

    Raises:
        UnavailableError: it names no registry.
    """
    try:
        return parse(image)
    except ValueError as error:
        raise UnavailableError(str(error), "give the full reference in compose.services") from error


async def collect(access: Access) -> Registry:
    """Ask for the digests of each built image's declared reference and of the declared commit's."""
    compose = access.target.compose
    references = {service.name: service.image for service in compose.services if service.built}
    tagged = tuple(references) if compose.commit else ()
    answers = await asyncio.gather(
        *(_digest(access, reference) for reference in references.values()),
        *(_digest(access, references[service], compose.commit) for service in tagged),
    )
    return Registry(
        references=references,
        digests=dict(zip(references, answers, strict=False)),
        of_commit=dict(zip(tagged, answers[len(references) :], strict=True)),
    )


async def _digest(access: Access, reference: str, tag: str | None = None) -> Known[str | None] | Unavailable:
    try:
        wanted = located(reference)
        digest = await access.registry.manifest_digest(wanted.host, wanted.repository, tag or wanted.tag)
        return Known(value=digest)
    except UnavailableError as error:
        return Unavailable.of(error)


NOUN = Noun("registry", Registry, collect, sources=("registry",))
