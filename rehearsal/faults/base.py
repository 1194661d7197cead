"""What a fault is: something that goes wrong in production, what an operator would notice, what turns red."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acceptance.options import REHEARSED_STAGE

if TYPE_CHECKING:
    from rehearsal.stack import Stack

Course = Generator[None, None, None]
"""What a fault does: everything before its `yield` injects it, everything after reverts it."""


@dataclass(frozen=True)
class Fault:
    """Something that can go wrong.

    Attributes:
        notice: what an operator would notice, or not notice.
        reddens: the items that must turn red, and the only ones that may.
        touches: the nouns that must be read again to see it.
        blinds: True if it takes a source away, so that items become UNKNOWN besides those that turn red.
        root_only: True if it needs accounts of its own, so that an ordinary user cannot rehearse it.
        stage: of the website's cutover, at which it can happen.
    """

    name: str
    notice: str
    reddens: tuple[str, ...]
    touches: tuple[str, ...]
    course: Callable[[Stack], Course]
    blinds: bool = False
    root_only: bool = False
    stage: int = REHEARSED_STAGE


def fault(
    name: str,
    *,
    notice: str,
    reddens: tuple[str, ...] = (),
    touches: tuple[str, ...],
    blinds: bool = False,
    root_only: bool = False,
    stage: int = REHEARSED_STAGE,
) -> Callable[[Callable[[Stack], Course]], Fault]:
    """Turn a generator function into a fault; see `Fault` for the arguments."""

    def make(course: Callable[[Stack], Course]) -> Fault:
        return Fault(name, notice, reddens, touches, course, blinds, root_only, stage)

    return make
