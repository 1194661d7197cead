"""Which variables the commit to deploy knows, by its Zod schema and its example."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from acceptance import contract
from acceptance.errors import UnavailableError
from acceptance.facts import gitea, zod
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known
from acceptance.facts.builds import Builds, Commit
from acceptance.guard.requests import GITEA_ENV_EXAMPLE, GITEA_ENV_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable

    from acceptance.access import Access

_EXAMPLE = re.compile(
    r"^[ \t]*(?:#[ \t]*(?=[A-Z][A-Z0-9_]*=))?(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=", re.MULTILINE
)


class SourceFile(Fact):
    """One file of the commit.

    Attributes:
        keys: the names of the variables in it.
    """

    path: str
    url: str
    keys: tuple[str, ...]

    @property
    def source(self) -> Source:
        """Where the names were seen."""
        return Source(where=self.url, again=f"curl -H 'Authorization: token …' '{self.url}'")


class SourceKeys(Fact):
    """The variables of the commit to deploy, and those of the contract at that time."""

    commit: Attempt[Commit]
    contract: tuple[str, ...]
    schema_file: Attempt[SourceFile]
    example_file: Attempt[SourceFile]

    def new_in(self, file: SourceFile) -> tuple[str, ...]:
        """Return the names in a file that the contract does not hold, sorted."""
        return tuple(sorted(set(file.keys) - set(self.contract)))


def example_keys(text: str) -> tuple[str, ...]:
    """Return the names in an example of a .env file, commented ones included, each once; pure."""
    return tuple(dict.fromkeys(_EXAMPLE.findall(text)))


async def _read(
    access: Access, request: str, path: str, commit: Commit, keys: Callable[[str], tuple[str, ...]]
) -> Known[SourceFile] | Unavailable:
    settings = gitea.settings(access)
    name = path.removeprefix(f"{settings.api}/raw/")
    address = f"{path}?ref={commit.id}"
    try:
        answer = await gitea.get(access, request, address)
    except UnavailableError as error:
        return Unavailable.of(error)
    found = keys(answer.body.decode("utf-8", errors="replace"))
    if not found:
        return Unavailable(reason=f"{name} of {commit} names no variable in a form that is known here")
    return Known(value=SourceFile(path=name, url=answer.url, keys=found))


async def collect(access: Access) -> SourceKeys:
    """Read both files at the commit to deploy.

    Raises:
        UnavailableError: the target has no [gitea].
        UsageError: the contract cannot be read.
    """
    settings = gitea.settings(access)
    builds: Builds = await access.fact("builds")  # type: ignore[assignment]
    names = contract.of("crm").names
    if isinstance(builds.commit, Unavailable):
        return SourceKeys(
            commit=builds.commit, contract=names, schema_file=builds.commit, example_file=builds.commit
        )
    commit = known(builds.commit)
    schema, example = await asyncio.gather(
        _read(access, GITEA_ENV_SCHEMA.name, settings.env_schema_path, commit, zod.keys),
        _read(access, GITEA_ENV_EXAMPLE.name, settings.env_example_path, commit, example_keys),
    )
    return SourceKeys(commit=builds.commit, contract=names, schema_file=schema, example_file=example)


NOUN = Noun("source_keys", SourceKeys, collect, sources=("gitea",), needs=("builds",))
