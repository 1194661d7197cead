"""`acceptance replay`: judges a bundle's facts again, with no network at all."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acceptance.evidence.stored import StoredBundle

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Any]

REPOSITORY = Path(__file__).resolve().parent.parent


def register(commands: Commands) -> None:
    """Declare the subcommand."""
    replay = commands.add_parser(
        "replay", help="judge a bundle's facts again, offline; exit code as the gate's"
    )
    replay.add_argument("bundle", type=Path, metavar="BUNDLE", help="the directory of an earlier run")
    replay.set_defaults(run=_replay)


def _replay(options: argparse.Namespace) -> int:
    gate = StoredBundle(options.bundle).record.gate
    arguments = ["-m", gate, f"--replay={options.bundle.resolve()}"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], cwd=REPOSITORY, check=False
    ).returncode
