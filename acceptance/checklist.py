"""The plan as data: reads checklist/*.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from acceptance.errors import UsageError
from acceptance.outcome import Severity

LAST_STAGE = 5
"""The cutover ends with it."""

DIRECTORY = Path(__file__).resolve().parent.parent / "checklist"


class Item(BaseModel):
    """One claim that the plan wants verified.

    Attributes:
        id: stable and never reused, `section.name`.
        gates: the pytest markers under which it is judged; the first is its home.
        claim: what must be so, in one sentence.
        plan: the section of the deployment plan it comes from, or "added" with the reason.
        remedy: what to do when it is not so.
        approval: name of the action that must be approved before it can be judged; empty for a read.
        stages: the stages of the cutover at which it is judged, ascending; empty if it is at all of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")
    severity: Severity
    claim: str
    plan: str
    remedy: str = ""
    approval: str = ""
    stages: tuple[Annotated[int, Field(ge=0, le=LAST_STAGE)], ...] = ()
    gates: tuple[str, ...] = ()

    @property
    def section(self) -> str:
        """The part of the id before the first dot; reports group by it."""
        return self.id.split(".", 1)[0]


class _Phase(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    gate: str
    also: tuple[str, ...] = ()
    title: str
    item: tuple[Item, ...] = ()


class Checklist:
    """Every item of every gate."""

    def __init__(self, items: Iterable[Item], titles: dict[str, str]) -> None:
        self.items = {item.id: item for item in items}
        self.titles = titles

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates' names, in the order of the plan."""
        return tuple(self.titles)

    def of_gate(self, gate: str) -> tuple[Item, ...]:
        """Return the items of a gate, in the order of the checklist.

        Raises:
            UsageError: there is no such gate.
        """
        if gate not in self.titles:
            raise UsageError(f"-m {gate}: there is no such gate; use one of {', '.join(self.gates)}.")
        return tuple(item for item in self.items.values() if gate in item.gates)


def load(directory: Path = DIRECTORY) -> Checklist:
    """Read the checklist files in the order of their names.

    Raises:
        UsageError: a file is malformed or an id occurs twice; all mistakes of a file are listed.
    """
    items: dict[str, Item] = {}
    titles: dict[str, str] = {}
    for path in sorted(directory.glob("*.toml")):
        try:
            phase = _Phase.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{path}: not valid TOML ({error}); correct the file.") from error
        except ValidationError as error:
            lines = "; ".join(
                f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}"
                for detail in error.errors()
            )
            raise UsageError(f"{path}: {lines}; correct the file.") from error
        titles[phase.gate] = phase.title
        for entry in phase.item:
            if entry.gates:
                raise UsageError(
                    f"{path}: {entry.id} has `gates`; they come from the file's `gate` and `also`."
                )
            if entry.id in items:
                raise UsageError(f"{path}: the id {entry.id} occurs twice; ids are never reused.")
            items[entry.id] = entry.model_copy(update={"gates": (phase.gate, *phase.also)})
    return Checklist(items.values(), titles)
