"""Waivers: failures that somebody has answered for until a date. Nothing is hidden by them."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from acceptance.errors import UsageError

DEFAULT = Path(__file__).resolve().parent.parent / "waivers.toml"


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("must have a time zone, e.g. 2026-12-31T12:00:00Z")
    return moment.astimezone(UTC)


class Waiver(BaseModel):
    """One item of one target that may fail until a date.

    Attributes:
        expires: after this moment (UTC) the true outcome counts again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    item: str
    target: str
    reason: str = Field(min_length=1)
    ticket: str = Field(min_length=1)
    approver: str = Field(min_length=1)
    expires: Annotated[datetime, AfterValidator(_in_utc)]

    @property
    def summary(self) -> str:
        """Who answers for it, why and until when."""
        until = f"{self.expires:%Y-%m-%d %H:%M} UTC"
        return f"waived by {self.approver} until {until} ({self.ticket}): {self.reason}"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    waiver: tuple[Waiver, ...] = ()


def load(path: Path, known_items: Collection[str]) -> tuple[Waiver, ...]:
    """Read a waivers file; a missing one holds none.

    Raises:
        UsageError: it is malformed, names an unknown item, or waives one twice; every mistake is listed.
    """
    if not path.exists():
        return ()
    try:
        waivers = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).waiver
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); correct the file.") from error
    except ValidationError as error:
        mistakes = "; ".join(
            f"{'.'.join(map(str, detail['loc']))}: {detail['msg'].removeprefix('Value error, ')}"
            for detail in error.errors(include_input=False, include_url=False)
        )
        raise UsageError(f"{path}: {mistakes}; correct the file.") from error
    unknown = [waiver.item for waiver in waivers if waiver.item not in known_items]
    if unknown:
        raise UsageError(f"{path}: there is no item {', '.join(unknown)}; use ids of checklist/.")
    pairs = [(waiver.item, waiver.target) for waiver in waivers]
    twice = sorted({item for item, target in pairs if pairs.count((item, target)) > 1})
    if twice:
        raise UsageError(f"{path}: {', '.join(twice)} is waived twice for one target; keep one waiver.")
    return waivers
