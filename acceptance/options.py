"""What the operator asked for on the command line, apart from pytest's own options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from acceptance import waivers
from acceptance.errors import UsageError
from acceptance.evidence.bundle import REPORTS

REHEARSAL = "rehearsal"
"""The target that is used when none is named."""

REHEARSED_STAGE = 1
"""The cutover's stage of a rehearsal that is booted for a run, if none is named: nothing is flipped yet."""


@dataclass(frozen=True)
class Options:
    """One run's options.

    Attributes:
        gate: what is judged; a rehearsal that is booted for the run shows what belongs to it.
        target: name or file of the target; `REHEARSAL` boots one for the run.
        approve: the actions approved for this run.
        approved_by, ticket: who approved them and for what; a target that is no rehearsal needs who.
        no_approvals: approve nothing, not even on a rehearsal.
        reports: where the run's directory is made.
        waivers: the waivers file.
        replay: judge this bundle's facts again instead of looking.
        baseline: an earlier bundle that checks may compare with.
        fingerprint_key: reference to the key that makes equality classes comparable between runs; empty
            for a key that is made for the run and forgotten.
        stage: of the cutover; None for the one that the target declares.
        watch_s: how long to watch health and logs, in seconds; None for as long as the target says, and only
            if a check needs it.
    """

    gate: str = ""
    target: str = REHEARSAL
    approve: tuple[str, ...] = ()
    approved_by: str = ""
    ticket: str = ""
    no_approvals: bool = False
    reports: Path = REPORTS
    waivers: Path = waivers.DEFAULT
    replay: Path | None = None
    baseline: Path | None = None
    fingerprint_key: str = ""
    stage: int | None = None
    watch_s: float | None = None

    def __post_init__(self) -> None:
        if self.approve and self.no_approvals:
            raise UsageError("--approve and --no-approvals contradict each other; give one of them.")
        if self.watch_s and self.replay:
            raise UsageError("--watch and --replay contradict each other: a replay looks at nothing.")
