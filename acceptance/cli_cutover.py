"""`acceptance cutover plan`: the next flip, what must hold before it, what verifies it and how to undo it."""

from __future__ import annotations

import argparse
import json
import textwrap
from typing import Any

from acceptance import cutover
from acceptance import target as targets
from acceptance.checklist import LAST_STAGE
from acceptance.cutover import Stage, Step
from acceptance.errors import UsageError
from acceptance.target import Target

_PLACES = {"website": "on the website", "crm": "on the CRM"}
_WIDTH = 80
_INDENT = " " * 13
_COMMAND = "pytest "


def register(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the parser of `acceptance`."""
    parser = commands.add_parser("cutover", help="the website's move to the CRM")
    subcommands = parser.add_subparsers(required=True, metavar="COMMAND")
    plan = subcommands.add_parser("plan", help="print the next flip; nothing is contacted or judged")
    plan.add_argument("--target", required=True, metavar="NAME|FILE", help="for which target")
    plan.add_argument(
        "--stage", type=int, metavar="N", help="where the cutover stands, 0 to 5 (default: the target's)"
    )
    plan.add_argument("--json", action="store_true", help="as JSON")
    plan.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    target = targets.load(targets.path_of(options.target))
    stage = target.stage if options.stage is None else options.stage
    if stage is None:
        raise UsageError(
            f"cutover plan: the target {target.name} declares no stage; give --stage 0 to {LAST_STAGE}, "
            "or set `stage` in the target file."
        )
    if not 0 <= stage <= LAST_STAGE:
        raise UsageError(
            f"cutover plan: --stage {stage}: the stages are 0 to {LAST_STAGE}; name one of them."
        )
    plan = document(target, options.target, stage)
    print(json.dumps(plan, indent=1) if options.json else text(plan))  # noqa: T201
    return 0


def document(target: Target, named: str, stage: int) -> dict[str, Any]:
    """Return what is to be done next; pure.

    Args:
        target: whose cutover it is.
        named: the target as the operator names it, for the commands.
        stage: where it stands.

    Returns:
        `target`, `stage`, `title`, `verify` of the stage; `next` with the step to the next stage, None after
        the last; `rollback`. A step has `plan`, `before`, `set` (`name`, `where`, `value`), `do`, `verify`
        and `undo`.
    """
    whole = cutover.load()
    following = next((each for each in whole.stages if each.number == stage + 1), None)
    words = {"{crm}": target.public.name, "{target}": named}
    return {
        "target": target.name,
        "stage": stage,
        "title": whole.stages[stage].title,
        "verify": _filled(whole.stages[stage].verify, words),
        "next": _stage(whole, following, words) if following else None,
        "rollback": _step(whole.rollback, words),
    }


def _stage(whole: cutover.Cutover, stage: Stage, words: dict[str, str]) -> dict[str, Any]:
    previous = whole.stages[stage.number - 1]
    step = _step(stage, words)
    return {
        "stage": stage.number,
        "title": stage.title,
        **step,
        "before": [f"{_filled(previous.verify, words)} is GO", *step["before"]],
        "set": [
            {
                "name": switch.name,
                "where": _PLACES[switch.place],
                "value": _filled(switch.value, words),
            }
            for switch in whole.flipped_at(stage.number)
        ],
        "undo": [_filled(line, words) for line in stage.undo],
    }


def _step(step: Step, words: dict[str, str]) -> dict[str, Any]:
    return {
        "plan": step.plan,
        "before": [_filled(line, words) for line in step.before],
        "do": [_filled(line, words) for line in step.do],
        "verify": _filled(step.verify, words),
    }


def _filled(line: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        line = line.replace(word, value)
    return line


def text(plan: dict[str, Any]) -> str:
    """Return the plan for people, 80 columns wide but for commands; pure."""
    stage = plan["stage"]
    told = f"{plan['target']} is declared to be at stage {stage}: {plan['title']}."
    lines = [*textwrap.wrap(told, width=_WIDTH), ""]
    following = plan["next"]
    if following:
        lines += [f"Next, stage {following['stage']}: {following['title']}", f"  ({following['plan']})", ""]
        lines += _block("before it", following["before"])
        lines += _block(
            "set", [f"{each['where']}: {each['name']} = {each['value']}" for each in following["set"]]
        )
        lines += _block("do", following["do"])
        lines += _block("verify", [following["verify"]])
        lines += _block("undo", following["undo"])
    else:
        lines += ["There is no flip left.", "", *_block("verify", [plan["verify"]])]
    if not cutover.load().flipped_until(stage):
        return "\n".join(lines).rstrip()
    rollback = plan["rollback"]
    lines += [f"To go back from stage {stage}, or any other", f"  ({rollback['plan']})", ""]
    lines += _block("before it", rollback["before"])
    lines += _block("do", rollback["do"])
    lines += _block("verify", [rollback["verify"]])
    return "\n".join(lines).rstrip()


def _block(title: str, entries: list[str]) -> list[str]:
    dash = "- " if len(entries) > 1 else ""
    lines = [line for entry in entries for line in _wrapped(f"{dash}{entry}", dash)]
    return [f"  {title:<11}{lines[0].strip()}", *lines[1:], ""] if lines else []


def _wrapped(entry: str, dash: str) -> list[str]:
    """Return the lines of an entry; what begins with a command stays whole, so that it can be copied."""
    if entry.removeprefix(dash).startswith(_COMMAND):
        return [f"{_INDENT}{entry}"]
    return textwrap.wrap(
        entry,
        width=_WIDTH,
        initial_indent=_INDENT,
        subsequent_indent=_INDENT + " " * len(dash),
        break_long_words=False,
        break_on_hyphens=False,
    )
