"""What a container's log is made of: lines on standard output and standard error, written at once."""

from __future__ import annotations

import sys


def log(text: str) -> None:
    """Write a line to standard output, as `console.log` does."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def error(text: str) -> None:
    """Write a line (or a whole multi-line error) to standard error, as `console.error` does."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
