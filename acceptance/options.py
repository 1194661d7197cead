"""What the operator asked for on the command line, apart from pytest's own options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from acceptance import waivers
from acceptance.evidence.bundle import REPORTS

REHEARSAL = "rehearsal"
"""The target that is used when none is named."""


@dataclass(frozen=True)
class Options:
    """One run's options.

    Attributes:
        target: name or file of the target; `REHEARSAL` boots one for the run.
        approve: the actions approved for this run.
        no_approvals: approve nothing, not even on a rehearsal.
        reports: where the run's directory is made.
        waivers: the waivers file.
        replay: judge this bundle's facts again instead of looking.
        baseline: an earlier bundle that checks may compare with.
    """

    target: str = REHEARSAL
    approve: tuple[str, ...] = ()
    no_approvals: bool = False
    reports: Path = REPORTS
    waivers: Path = waivers.DEFAULT
    replay: Path | None = None
    baseline: Path | None = None
