"""The website's cutover as data: reads acceptance/cutover.toml, and derives the stage from what is set."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from acceptance.checklist import LAST_STAGE

PATH = Path(__file__).with_name("cutover.toml")

_Number = Annotated[int, Field(ge=0, le=LAST_STAGE)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Switch(_Entry):
    """Something that is flipped on the way.

    Attributes:
        name: of the website's variable, or of the CRM's setting.
        place: which of the two holds it.
        stage: from which on it is set.
        value: what it is set to, in words.
    """

    name: str
    place: Literal["website", "crm"]
    stage: _Number
    value: str


class Step(_Entry):
    """A way from one state to another.

    Attributes:
        plan: the section of the deployment plan that says so.
        do: what is done, besides the switches of the stage.
        before: what must hold before.
        verify: the command that tells whether it worked.
    """

    plan: str
    do: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    verify: str


class Stage(Step):
    """A stage, and the step that leads to it from the one before.

    Attributes:
        title: the state that the stage is.
        undo: how to go back to the one before.
    """

    number: _Number
    title: str
    undo: tuple[str, ...] = ()


class Seen(_Entry):
    """How a switch was found.

    Attributes:
        on: whether it does what it is for; a blank variable does nothing, like an unset one. None if what
            it is set to means neither.
        told: how it was found, in a few words: `set`, `not set`, `set but empty`.
    """

    on: bool | None
    told: str


class Kept(_Entry):
    """Something of the old way that the way back needs.

    Attributes:
        what: for people.
        names: the website's variables of it.
        marks: one of them is in the name of every variable of it, whatever the plan leaves open.
    """

    what: str
    names: tuple[str, ...] = Field(min_length=1)
    marks: tuple[str, ...] = Field(min_length=1)


class Rollback(Step):
    """The way back from any stage."""

    keeps: tuple[Kept, ...]


class Cutover(_Entry):
    """The whole way: its switches, its stages and the way back."""

    switches: tuple[Switch, ...] = Field(alias="switch")
    stages: tuple[Stage, ...] = Field(alias="stage")
    rollback: Rollback

    def flipped_at(self, stage: int) -> tuple[Switch, ...]:
        """Return the switches that are set with a stage."""
        return tuple(switch for switch in self.switches if switch.stage == stage)

    def flipped_until(self, stage: int) -> tuple[Switch, ...]:
        """Return the switches that are set at a stage."""
        return tuple(switch for switch in self.switches if switch.stage <= stage)

    def of_the(self, place: Literal["website", "crm"]) -> tuple[Switch, ...]:
        """Return the switches that one of the two instances holds."""
        return tuple(switch for switch in self.switches if switch.place == place)

    def differences(self, stage: int, seen: Mapping[str, Seen]) -> tuple[str, ...]:
        """Say of each switch that was seen how it contradicts a stage.

        Args:
            stage: the declared one.
            seen: how switches were found, by name; one that is left out contradicts nothing.
        """
        found = [(switch, seen[switch.name]) for switch in self.switches if switch.name in seen]
        early = [
            f"{switch.name} is {state.told}, which belongs to stage {switch.stage}"
            for switch, state in found
            if state.on is not False and switch.stage > stage
        ]
        late = [
            f"{switch.name} is {state.told}, and stage {switch.stage} sets it"
            for switch, state in found
            if state.on is not True and switch.stage <= stage
        ]
        return (*early, *late)

    def derive(self, seen: Mapping[str, Seen]) -> tuple[int, ...]:
        """Return the stages that what was seen agrees with; none if the flips are out of order.

        Several stages may have the same switches: 0 and 1 differ by the CRM's readiness, 4 and 5 by what
        the operator does.
        """
        return tuple(stage.number for stage in self.stages if not self.differences(stage.number, seen))


@cache
def load() -> Cutover:
    """Return the cutover as acceptance/cutover.toml declares it."""
    return Cutover.model_validate(tomllib.loads(PATH.read_text(encoding="utf-8")))


def listed(stages: tuple[int, ...]) -> str:
    """Return stages as people say them: `stage 2`, `stage 4 or 5`, `no stage`."""
    return f"stage {' or '.join(map(str, stages))}" if stages else "no stage"
