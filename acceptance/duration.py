"""Lengths of time as people write them: `90s`, `10m`, `1h`."""

from __future__ import annotations

import re

UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
LONGEST_S = 24 * 3600.0
"""Nothing here is meant to last longer than a day."""


def seconds(text: str) -> float:
    """Return a length of time in seconds.

    Raises:
        ValueError: it is none, it is nothing, or it is longer than a day.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([hms])", text.strip())
    length = float(match[1]) * UNITS[match[2]] if match else 0.0
    if not 0 < length <= LONGEST_S:
        raise ValueError("must be a length of time up to a day, such as 90s, 10m or 1h")
    return length


def told(length_s: float) -> str:
    """Return a length of time for people: `45 s`, `2 min 30 s`, `1 h 5 min`."""
    if length_s < UNITS["m"]:
        return f"{length_s:.1f}".removesuffix(".0") + " s"
    minutes, rest = divmod(round(length_s), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (0 if hours else rest, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)
