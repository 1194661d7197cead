"""Which Documenso a rehearsal has beside the CRM, and which one belongs to a gate."""

from __future__ import annotations

from dataclasses import dataclass

from acceptance.sections.documenso import VERSIONS, Version

NONE = "none"


@dataclass(frozen=True)
class Instance:
    """One Documenso.

    Attributes:
        version: what it runs; its database was brought there from v1.13.1 step by step.
        clone: True for the plan's disposable clone on the operator's machine, False for production's.
    """

    version: Version
    clone: bool = False

    def __str__(self) -> str:
        return f"{self.version}{' clone' if self.clone else ''}"

    @classmethod
    def parse(cls, text: str) -> Instance | None:
        """Read what `str` wrote; None of `none`.

        Raises:
            ValueError: there is no such version.
        """
        if text == NONE:
            return None
        named, _, kind = text.partition(" ")
        if named not in VERSIONS:
            raise ValueError(f"there is no Documenso {named}; use one of {', '.join(VERSIONS)}")
        return cls(VERSIONS[VERSIONS.index(named)], kind == "clone")


OF_GATE = {
    "phase2_dryrun": Instance("v2.11.0", clone=True),
    "phase2_collation": Instance("v1.13.1"),
    "phase2_verify": Instance("v2.11.0"),
}
"""The Documenso that a gate's rehearsal has; the other gates do without."""
