"""`acceptance annotate`: tells a CI runner how a run ended."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acceptance.errors import UsageError
from acceptance.evidence.bundle import VERDICT
from acceptance.report import runner

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Any]

SUMMARY = "GITHUB_STEP_SUMMARY"
"""Environment variable in which GitHub's and Gitea's runners name the file of a step's summary."""


def register(commands: Commands) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "annotate", help="print the verdict as annotations of a CI runner, and write its step summary"
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the directory of a run")
    parser.set_defaults(run=_annotate)


def _annotate(options: argparse.Namespace) -> int:
    path = options.bundle / VERDICT
    try:
        verdict = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); give the directory of a run.") from error
    for line in runner.log_commands(verdict):
        sys.stdout.write(f"{line}\n")
    if place := os.environ.get(SUMMARY):
        with Path(place).open("a", encoding="utf-8") as summary:
            summary.write(runner.summary(verdict))
    return 0
