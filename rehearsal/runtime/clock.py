"""Times as Docker writes them: RFC 3339 with nanoseconds, in UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime

NEVER = "0001-01-01T00:00:00Z"


def now() -> int:
    """Return nanoseconds since the epoch."""
    return time.time_ns()


def fixed(nanoseconds: int) -> str:
    """Return the time with all nine digits, as `docker logs --timestamps` prints it."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def short(nanoseconds: int) -> str:
    """Return the time without trailing zeros, as `docker inspect` prints it; 0 is Docker's zero time."""
    if not nanoseconds:
        return NEVER
    return fixed(nanoseconds)[:-1].rstrip("0").rstrip(".") + "Z"


def parse(text: str, reference: int) -> int:
    """Read what `--since` and `--until` accept: RFC 3339, seconds since the epoch, or an age like `10m`.

    Args:
        text: the option's value.
        reference: now, for an age.

    Raises:
        ValueError: it is none of these.
    """
    units = {"s": 1, "m": 60, "h": 3600}
    if text and text[-1] in units:
        return reference - int(float(text[:-1]) * units[text[-1]] * 1_000_000_000)
    if text.replace(".", "", 1).isdigit():
        seconds, _, fraction = text.partition(".")
        return int(seconds) * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))
    return _parse_rfc3339(text)


def _parse_rfc3339(text: str) -> int:
    day_and_time, _, rest = text.partition(".")
    if not rest:
        moment = datetime.fromisoformat(text)
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * 1_000_000_000
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    moment = datetime.fromisoformat(day_and_time + (rest[len(digits) :] or "+00:00"))
    return int(moment.timestamp()) * 1_000_000_000 + int(digits[:9].ljust(9, "0"))
