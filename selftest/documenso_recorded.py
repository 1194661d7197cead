"""Recorded exchanges of real Documenso servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).resolve().parent / "recordings" / "documenso"


def recordings(version: str) -> list[str]:
    """Return the names of a version's recordings."""
    return sorted(path.stem for path in (RECORDINGS / version).glob("*.json"))


def recording(version: str, name: str) -> Any:  # noqa: ANN401 - JSON
    """Return a recording: request, response and a note."""
    return json.loads((RECORDINGS / version / f"{name}.json").read_text(encoding="utf-8"))
