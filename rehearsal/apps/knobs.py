"""Switches by which a fault changes a stand-in while it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Knobs:
    """The JSON object in a stand-in's knobs file, read again whenever the file changed.

    An absent file, an absent name and no path at all mean healthy. A file that is being written
    (not valid JSON yet) leaves the last good values in force until it is complete.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._values: dict[str, Any] = {}

    def word(self, name: str) -> str:
        """Return the knob's text, `""` if it is absent or not text."""
        value = self._current().get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> float:
        """Return the knob's number, 0 if it is absent or not a number."""
        value = self._current().get(name)
        return float(value) if isinstance(value, int | float) else 0.0

    def flag(self, name: str) -> bool:
        """Tell whether the knob is `true`."""
        return self._current().get(name) is True

    def _current(self) -> dict[str, Any]:
        if self._path is None:
            return {}
        try:
            state = self._path.stat()
        except FileNotFoundError:
            self._seen, self._values = None, {}
            return self._values
        seen = (state.st_mtime_ns, state.st_size, state.st_ino)
        if seen != self._seen:
            self._read(self._path, seen)
        return self._values

    def _read(self, path: Path, seen: tuple[int, int, int]) -> None:
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return
        self._values = values if isinstance(values, dict) else {}
        self._seen = seen
