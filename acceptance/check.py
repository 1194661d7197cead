"""What a check is written with: `verify` states a claim, and every claim leaves evidence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pydantic import BaseModel, ConfigDict

from acceptance.errors import NotApplicableError
from acceptance.facts.base import Source


class Evidence(BaseModel):
    """One claim as it was judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    holds: bool
    expected: str
    seen: str
    where: str
    again: str
    picture: str = ""


class CheckFailedError(AssertionError):
    """A claim that does not hold; carries its evidence."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(
            f"expected  {evidence.expected}\n"
            f"seen      {evidence.seen}\n"
            f"where     {evidence.where}\n"
            f"again     {evidence.again}"
        )
        self.evidence = evidence


_recorded: ContextVar[list[Evidence] | None] = ContextVar("_recorded", default=None)


@contextmanager
def recording() -> Iterator[list[Evidence]]:
    """Collect the evidence of every claim made inside the block, in order."""
    collected: list[Evidence] = []
    token = _recorded.set(collected)
    try:
        yield collected
    finally:
        _recorded.reset(token)


def verify(holds: bool, *, expected: str, seen: object, source: Source) -> None:
    """State a claim: record it as evidence, and fail the check if it does not hold.

    Args:
        holds: whether the fact is as claimed.
        expected: what should be seen, as the end of the sentence "expected …".
        seen: what was seen instead; shown as text.
        source: where it was seen and how to see it again.

    Raises:
        CheckFailedError: the claim does not hold.
    """
    evidence = Evidence(
        holds=holds,
        expected=expected,
        seen=str(seen),
        where=source.where,
        again=source.again,
        picture=source.picture,
    )
    collected = _recorded.get()
    if collected is not None:
        collected.append(evidence)
    if not holds:
        raise CheckFailedError(evidence)


def not_applicable(fact: str) -> None:
    """End the check: the named fact of the target makes its claim meaningless.

    Raises:
        NotApplicableError: always.
    """
    raise NotApplicableError(fact)
