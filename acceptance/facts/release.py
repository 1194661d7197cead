"""The images of the commit to deploy, in the registry: what the server is going to pull."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from acceptance.errors import NotApplicableError, UnavailableError
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known
from acceptance.facts.builds import Builds, Commit
from acceptance.facts.registry import Registry, located

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.sections.compose import Service


class Image(Fact):
    """A built image.

    Attributes:
        reference: the declared one, which the server pulls.
        current: the digest that it points to now; None if the registry does not know it.
        of_commit: likewise for the tag that is named after the commit.
    """

    reference: str
    current: Attempt[str | None]
    of_commit: Attempt[str | None]

    @property
    def exists(self) -> bool:
        """Whether there is anything to pull.

        Raises:
            UnavailableError: the registry did not say.
        """
        return known(self.current) is not None

    @property
    def digest(self) -> str:
        """What the server would get, or that it would get nothing.

        Raises:
            UnavailableError: the registry did not say.
        """
        return known(self.current) or "no such tag"

    @property
    def digest_of_commit(self) -> str:
        """What the commit's build pushed, or that it pushed nothing.

        Raises:
            UnavailableError: the commit is unknown, or the registry did not say.
        """
        return known(self.of_commit) or "no such tag"


class Release(Fact):
    """The commit to deploy and the images that the server is going to pull, by service."""

    commit: Attempt[Commit]
    images: dict[str, Image]

    def image(self, service: Service) -> Image:
        """Return a service's image.

        Raises:
            NotApplicableError: it is not built by our CI.
        """
        if service.name not in self.images:
            raise NotApplicableError(f"the image of {service.name} is not built by our CI")
        return self.images[service.name]

    def source_of(self, service: Service) -> Source:
        """Where the digests were seen."""
        return Source(
            where=f"registry manifest {service.image} and the commit's tag",
            again=f"docker buildx imagetools inspect {service.image}",
        )


async def _tagged(
    access: Access, image: str, commit: Known[Commit] | Unavailable
) -> Known[str | None] | Unavailable:
    if isinstance(commit, Unavailable):
        return commit
    try:
        wanted = located(image)
        digest = await access.registry.manifest_digest(wanted.host, wanted.repository, commit.value.id)
    except UnavailableError as error:
        return Unavailable.of(error)
    return Known(value=digest)


async def collect(access: Access) -> Release:
    """Ask for the digest under the commit's tag of each built image; the others are the registry's fact."""
    registry, commit = await asyncio.gather(_registry(access), _commit(access))
    names = {service.name: service.image for service in access.target.compose.services if service.built}
    tagged = await asyncio.gather(*(_tagged(access, image, commit) for image in names.values()))
    return Release(
        commit=commit,
        images={
            name: Image(reference=image, current=registry.digests[name], of_commit=of_commit)
            for (name, image), of_commit in zip(names.items(), tagged, strict=True)
        },
    )


async def _registry(access: Access) -> Registry:
    return await access.fact("registry")  # type: ignore[return-value]


async def _commit(access: Access) -> Known[Commit] | Unavailable:
    builds: Builds = await access.fact("builds")  # type: ignore[assignment]
    return builds.commit


NOUN = Noun("release", Release, collect, sources=("registry",), needs=("builds", "registry"))
