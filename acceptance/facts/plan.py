"""Which versions of the plan and the runbooks a run went by: their digests, whatever the checks judge."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from acceptance.facts.base import Attempt, Fact, Known, Noun, Unavailable

if TYPE_CHECKING:
    from acceptance.access import Access


class Version(Fact):
    """One document as it was.

    Attributes:
        sha256: of its bytes, hexadecimal.
    """

    sha256: str


class Plan(Fact):
    """The documents that the target names, by file name: where they lie is the operator's own business."""

    all: dict[str, Attempt[Version]]


def names(paths: Sequence[str]) -> Iterator[str]:
    """Yield a name for each file, none twice: its own, with its position before it where others share it."""
    own = [Path(path).name for path in paths]
    count = Counter(own)
    yield from (name if count[name] == 1 else f"{place}/{name}" for place, name in enumerate(own, start=1))


def version(path: Path, name: str) -> Known[Version] | Unavailable:
    """Return the version of a document of this machine, told of by name."""
    try:
        with path.expanduser().open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return Unavailable(reason=f"{name} cannot be read ({error.strerror})", remedy="correct `documents`")
    return Known(value=Version(sha256=digest))


async def collect(access: Access) -> Plan:
    """Read every document once."""
    paths = access.target.documents
    found = {
        name: await asyncio.to_thread(version, Path(path), name)
        for path, name in zip(paths, names(paths), strict=True)
    }
    return Plan(all=found)


NOUN = Noun("plan", Plan, collect, sources=("documents",))
