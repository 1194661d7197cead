"""Measure the suite against plain testinfra on one rehearsal: `make bench`, `python -m benchmarks`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from acceptance.errors import UsageError
from benchmarks import measure, table


def main() -> None:
    """Measure and print; the exit code tells whether it could be measured, not how fast it was."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each side asks (default 3)")
    parser.add_argument("--delay-ms", type=float, default=40, help="the added round trip (default 40)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write the tables to FILE")
    given = parser.parse_args()
    if given.rounds < 1 or given.delay_ms < 0:
        parser.error("--rounds must be at least 1 and --delay-ms not negative")
    machine = table.machine()
    try:
        results = measure.run(
            given.delay_ms, given.rounds, lambda line: print(line, file=sys.stderr, flush=True)
        )
    except (UsageError, RuntimeError) as error:
        sys.exit(f"not measured: {error}")
    text = table.render(results, machine)
    print(f"\n{text}", end="")
    if given.output is not None:
        given.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
