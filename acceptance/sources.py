"""The names of the sources that facts come from, and which of them a set of facts needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from acceptance.facts.base import Noun

Name = Literal[
    "server",
    "root",
    "engine",
    "crm",
    "website",
    "gitea",
    "registry",
    "postgres",
    "redis",
    "storage",
    "dns",
    "browser",
    "manifest",
    "website-file",
    "documents",
    "secret.health",
    "secret.sign_in",
]
"""What a noun may name. `secret.SECTION` are the secrets of a section that its collector presents itself.
Those of a transport belong to the source behind it."""

SERVER: Final = "server"
ROOT: Final = "root"
ENGINE: Final = "engine"
CRM: Final = "crm"
WEBSITE: Final = "website"
GITEA: Final = "gitea"
REGISTRY: Final = "registry"
POSTGRES: Final = "postgres"
REDIS: Final = "redis"
STORAGE: Final = "storage"
DNS: Final = "dns"
BROWSER: Final = "browser"
MANIFEST: Final = "manifest"
WEBSITE_FILE: Final = "website-file"
DOCUMENTS: Final = "documents"


def of(names: Iterable[str], nouns: Mapping[str, Noun]) -> frozenset[Name]:
    """Return the sources of these facts and of the facts that they are made from.

    Args:
        names: of nouns.
        nouns: all of them, by name.
    """
    seen: set[str] = set()
    ahead = list(names)
    while ahead:
        name = ahead.pop()
        if name not in seen:
            seen.add(name)
            ahead += nouns[name].needs
    return frozenset(source for name in seen for source in nouns[name].sources)
