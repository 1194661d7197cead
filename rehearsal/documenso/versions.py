"""Documenso's releases on the way of the plan, and the migrations that each of them brings along."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Version = Literal["v1.13.1", "v2.0.0", "v2.11.0"]
VERSIONS: tuple[Version, ...] = get_args(Version)
"""The steps of the upgrade, in order."""

RECORDED = Path(__file__).with_name("recorded")
"""Migrations and columns of real databases, brought to each version by Documenso's own migrations."""


@dataclass(frozen=True)
class Migration:
    """A migration as its image ships it.

    Attributes:
        checksum: the SHA-256 of its file, in hexadecimal.
    """

    name: str
    checksum: str


@functools.cache
def migrations(version: Version) -> tuple[Migration, ...]:
    """Return what the image of a version ships, by name; each version adds to the one before."""
    recorded = json.loads((RECORDED / f"migrations-{version}.json").read_text(encoding="utf-8"))
    return tuple(Migration(entry["name"], entry["checksum"]) for entry in recorded)
