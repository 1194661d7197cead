"""What the server must bring along before anything is deployed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from acceptance.sections.base import Section

Version = Annotated[str, Field(pattern=r"^\d+(\.\d+)*$")]


class Versions(Section):
    """Versions of a program that are allowed.

    Attributes:
        at_least: the first one.
        below: the first one that is not allowed any more; unset if every later one is.
    """

    at_least: Version
    below: Version | None = None


class Capacity(Section):
    """What must be left, on each file system that the deployment fills, and of memory."""

    disk_free_mb: int = Field(default=10_240, ge=0)
    inodes_free: int = Field(default=100_000, ge=0)
    memory_available_mb: int = Field(default=1_024, ge=0)


class Host(Section):
    """What the server must bring along."""

    engine: Versions = Versions(at_least="20.10")
    compose: Versions = Versions(at_least="2.0")
    capacity: Capacity = Capacity()
