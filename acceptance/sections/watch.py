"""How the target is watched over time."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from acceptance import duration
from acceptance.sections.base import Section


def _length(value: str) -> str:
    duration.seconds(value)
    return value


Length = Annotated[str, AfterValidator(_length)]
"""A length of time: `90s`, `10m`, `1h`."""


class Watch(Section):
    """How health and logs are watched.

    Attributes:
        duration: how long, if the operator gives no --watch; unset to watch only if it is given.
        interval: from one sample to the next.
        burst: so many troubles (errors in a log, answers of an ill health endpoint) within a minute end
            the watch early.
    """

    duration: Length | None = None
    interval: Length = "5s"
    burst: int = Field(default=20, ge=1)

    @property
    def duration_s(self) -> float | None:
        """How long, in seconds."""
        return duration.seconds(self.duration) if self.duration else None

    @property
    def interval_s(self) -> float:
        """From one sample to the next, in seconds."""
        return duration.seconds(self.interval)
