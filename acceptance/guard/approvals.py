"""What somebody allowed for one target and one run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Approvals:
    """Approved actions.

    Attributes:
        actions: their names.
        by: who approved them; "by default" on a rehearsal.
        ticket: what they were approved for.
    """

    actions: tuple[str, ...] = ()
    by: str = ""
    ticket: str = ""

    @property
    def told(self) -> str:
        """Who approved and for what, in one line."""
        return "; ".join(filter(None, (self.by, self.ticket and f"ticket {self.ticket}")))


BY_DEFAULT = "by default"
"""Who approves everything on a rehearsal."""

AT_THE_TERMINAL = "the operator at the terminal"
"""Who approves by typing an action's name."""


def asked(actions: Iterable[tuple[str, str]], target: str, ask: Callable[[str], str]) -> tuple[str, ...]:
    """Ask for each action and return those that were approved by typing their names.

    Args:
        actions: name and purpose of each.
        target: the target's name, for the question.
        ask: shows a question and returns the answer.
    """
    return tuple(
        name
        for name, purpose in actions
        if ask(
            f"{name}: {purpose}\nType {name} to approve it for {target} and this run, or only Enter: "
        ).strip()
        == name
    )
