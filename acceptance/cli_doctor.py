"""`acceptance doctor`: which sources can be read from here, and what is missing for each gate."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from acceptance import checklist
from acceptance import target as targets
from acceptance.checklist import LAST_STAGE
from acceptance.doctor import Examination, Finding, Gate, examine
from acceptance.errors import UsageError
from acceptance.options import REHEARSAL
from acceptance.position import Position
from acceptance.probes import SECRET
from acceptance.target import Target

INCOMPLETE = 10
"""Exit code if something is missing, as a gate's HOLD."""

_WIDTH = 80
_MARKS = {"readable": "✓", "missing": "✗", "not tried": "–"}


def register(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the parser of `acceptance`."""
    parser = commands.add_parser(
        "doctor", help="tell which sources can be read and what is missing for each gate; judges nothing"
    )
    parser.add_argument("--target", metavar="NAME|FILE", help="whose sources")
    parser.add_argument(
        "--stage", type=int, metavar="N", help="where the cutover stands, 0 to 5 (default: the target's)"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.target is None:
        raise UsageError("doctor: give --target NAME|FILE; targets/ holds those that are known by name.")
    if options.target == REHEARSAL:
        raise UsageError(
            "doctor: a rehearsal is booted for each run, so there is none to look at now; keep one with "
            "`acceptance rehearse --keep --target-file FILE` and give its FILE."
        )
    target = targets.load(targets.path_of(options.target))
    stage = target.stage if options.stage is None else options.stage
    if stage is not None and not 0 <= stage <= LAST_STAGE:
        raise UsageError(f"doctor: --stage {stage}: the stages are 0 to {LAST_STAGE}; name one of them.")
    plan = checklist.load()
    found = examine(target, plan, Position(stage))
    told = json.dumps(document(target, found), indent=1) if options.json else text(target, found)
    print(told)  # noqa: T201
    return 0 if found.is_complete else INCOMPLETE


def document(target: Target, found: Examination) -> dict[str, Any]:
    """Return everything that was found; pure.

    Returns:
        `target`, `complete`; `sources`: list of `name`, `title`, `state` (readable, missing, not tried),
        `told`, `remedy`; `gates`: list of `gate`, `complete`, `missing` (names of sources) and `planned`
        (how many items have no check yet).
    """
    return {
        "target": target.name,
        "complete": found.is_complete,
        "sources": [
            {
                "name": name,
                "title": finding.source.title,
                "state": finding.state,
                "told": finding.told,
                "remedy": finding.remedy,
            }
            for name, finding in found.findings.items()
        ],
        "gates": [
            {
                "gate": gate.name,
                "complete": not found.missing(gate),
                "missing": [finding.source.name for finding in found.missing(gate)],
                "planned": gate.planned,
            }
            for gate in found.gates
        ],
    }


def text(target: Target, found: Examination) -> str:
    """Return the same for people, 80 columns wide; pure."""
    lines = [f"{target.name}: {', '.join(filter(None, (target.known_as, target.login)))}", "", "Sources"]
    lines += [line for finding in found.findings.values() for line in _source(finding)]
    lines += ["", "Gates"]
    lines += [line for gate in found.gates for line in _gate(gate, found)]
    count = Counter(finding.state for finding in found.findings.values())
    summary = f"{count['missing']} missing, {count['not tried']} not tried because of that."
    lines += ["", "Nothing is missing." if found.is_complete else summary]
    return "\n".join(lines)


def _source(finding: Finding) -> Iterator[str]:
    yield from _entry(_MARKS[finding.state], finding.source.title, finding.told)
    if finding.remedy:
        yield from _entry("", "", f"→ {finding.remedy}")


def _gate(gate: Gate, found: Examination) -> Iterator[str]:
    missing = found.missing(gate)
    lacking = _titles(finding for finding in missing if finding.state == "missing")
    behind = _titles(finding for finding in missing if finding.state == "not tried")
    if not gate.sources:
        yield from _entry("–", gate.name, "no check is written yet")
    elif not missing:
        yield from _entry("✓", gate.name, "all of its sources can be read")
    else:
        yield from _entry(
            "✗", gate.name, f"missing: {lacking}" + (f"; behind it: {behind}" if behind else "")
        )


def _titles(findings: Iterable[Finding]) -> str:
    """Name sources, the secrets at the end under one word."""
    titles = [finding.source.title for finding in findings]
    secrets = [title.removeprefix(SECRET) for title in titles if title.startswith(SECRET)]
    others = [title for title in titles if not title.startswith(SECRET)]
    word = SECRET if len(secrets) == 1 else "secrets "
    return ", ".join([*others, *([word + ", ".join(secrets)] if secrets else [])])


def _entry(mark: str, title: str, told: str) -> Iterator[str]:
    head = f"  {mark:<1} {title:<24} "
    if len(title) > 24:
        yield head.rstrip()
        head = " " * 29
    yield from textwrap.wrap(
        told,
        width=_WIDTH,
        initial_indent=head,
        subsequent_indent=" " * 29,
        break_long_words=True,
        break_on_hyphens=False,
    )
