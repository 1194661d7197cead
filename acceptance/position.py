"""Where in the plan a run stands, and which items of the checklist are judged there."""

from __future__ import annotations

from dataclasses import dataclass

from acceptance.checklist import Item
from acceptance.errors import UnavailableError


@dataclass(frozen=True)
class Position:
    """How far the plan has been carried out, as the operator declares it.

    Attributes:
        stage: of the website's cutover, 0 to 5; None if it is not declared.
    """

    stage: int | None = None

    @property
    def declared(self) -> int:
        """The declared stage.

        Raises:
            UnavailableError: none is.
        """
        if self.stage is None:
            raise UnavailableError("no stage of the cutover is declared", "give --stage")
        return self.stage

    def excuse(self, item: Item) -> str:
        """Return why an item is not judged here; empty if it is."""
        if not item.stages or self.stage is None or self.stage in item.stages:
            return ""
        stages = f"stage {item.stages[0]}" if len(item.stages) == 1 else f"stages {_listed(item.stages)}"
        return f"cutover stage {self.stage} is declared; this is judged at {stages}"


def _listed(stages: tuple[int, ...]) -> str:
    """Return `2 to 5` or `1, 3 and 4`."""
    if stages == tuple(range(stages[0], stages[-1] + 1)):
        return f"{stages[0]} to {stages[-1]}"
    return f"{', '.join(map(str, stages[:-1]))} and {stages[-1]}"
