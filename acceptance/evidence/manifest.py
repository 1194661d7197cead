"""The list of a directory's files with their digests. It is written last: what a killed run left has none."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

NAME = "manifest.json"
SIGNATURE = "manifest.json.sig"
"""The manifest's detached signature: beside the manifest, and not listed in it."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ManifestError(ValueError):
    """A manifest that was not written by this suite or was changed since."""


class Chain(BaseModel):
    """The bundle that a decision belongs to.

    Attributes:
        bundle: name of its directory, which stands beside the decision's.
        manifest: SHA-256 of its manifest, hexadecimal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: Annotated[str, Field(pattern=r"^[^/\x00]+$")]
    manifest: Sha256


class Manifest(BaseModel):
    """What a sealed directory holds.

    Attributes:
        chained_to: the bundle that a decision belongs to; None in a bundle itself.
        files: SHA-256 of every file by relative path, but of the manifest and its signature.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = Field(default=1, alias="schema")
    chained_to: Chain | None = None
    files: dict[str, Sha256]

    def text(self) -> str:
        """Return the one form in which a manifest with this content is written."""
        document = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        document["files"] = dict(sorted(self.files.items()))
        return json.dumps(document, indent=1) + "\n"


def parse(text: str) -> Manifest:
    """Read a manifest, in its one form only: what may vary in JSON without changing its meaning may not here.

    Raises:
        ManifestError: it is malformed, or any byte of it is not as it would be written.
    """
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise ManifestError("it is not a manifest of schema 1") from error
    if manifest.text() != text:
        raise ManifestError("it is not in the form in which it is written")
    return manifest
