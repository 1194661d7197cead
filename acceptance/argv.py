"""Lets `--target FILE` name a file outside the repository; loaded by pytest as an installed plugin.

pytest 9 looks for its configuration file before it knows any plugin's options, so it takes the FILE of
`--target FILE` for a test path, and looks for pytest.ini beside that file instead of here. `--target=FILE`
has no such trouble: a command line that needs it is run again in that form, before pytest has begun.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

WITH_PATH = ("--target", "--reports", "--waivers", "--replay", "--baseline")
"""Our options whose value may be a path."""


def joined(arguments: Sequence[str]) -> list[str]:
    """Return the command line with each of those options and its value in one word; pure."""
    words: list[str] = []
    for word in arguments:
        if words and words[-1] in WITH_PATH:
            words[-1] = f"{words[-1]}={word}"
        else:
            words.append(word)
    return words


def pytest_addoption(parser: pytest.Parser) -> None:  # noqa: ARG001 - the first hook pytest calls
    """Run pytest again with joined words, if it was run by hand in this repository and has separate ones."""
    here = Path.cwd() == Path(__file__).resolve().parent.parent
    by_hand = Path(sys.argv[0]).name in ("pytest", "py.test", "__main__.py")
    words = joined(sys.argv[1:])
    if here and by_hand and words != sys.argv[1:]:
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *words])  # noqa: S606 - our own command line
