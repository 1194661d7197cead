"""`acceptance commands`: what the suite may ever do to a target. Nothing is contacted for it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from acceptance import target as targets
from acceptance.guard import Declaration, declarations, declared_actions, root_helper, sql_role
from acceptance.guard.listing import root_by
from acceptance.target import Target

_TITLES = {
    "ssh": "The server, over SSH",
    "testinfra": "The server, as pytest-testinfra's modules ask (over the same login)",
    "http": "HTTP requests to the public name",
    "browser": "What the browser asks for",
    "websocket": "Websockets to the public name",
    "tls": "TLS handshakes with the public name",
    "registry": "Requests to the container registry",
    "ports": "Bare connections to the server's address",
    "dns": "Questions to the name system",
    "postgres": "SQL, through a tunnel to the PostgreSQL container",
    "redis": "Redis commands, through a tunnel to the Redis container",
    "s3": "S3 operations",
}

_HEAD = ("name", "read or action", "privilege", "purpose", "leaves behind")


def register(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the parser of `acceptance`."""
    parser = commands.add_parser("commands", help="print everything the suite may do to a target")
    parser.add_argument("--target", required=True, metavar="NAME|FILE", help="for which target")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="as Markdown")
    form.add_argument("--sudoers", action="store_true", help="print a sudoers file for the target's login")
    form.add_argument("--root-helper", action="store_true", help="print the program that file allows")
    form.add_argument(
        "--sql-role",
        nargs="?",
        const=sql_role.DEFAULT,
        metavar="NAME",
        help=f"print the SQL of a role that cannot write (default: {sql_role.DEFAULT})",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    target = targets.load(targets.path_of(options.target))
    if options.sudoers:
        text = root_helper.sudoers(target)
    elif options.root_helper:
        text = root_helper.script(target)
    elif options.sql_role is not None:
        text = sql_role.sql(target, options.sql_role)
    else:
        text = markdown(target) if options.markdown else plain(target)
    print(text, end="")  # noqa: T201
    return 0


def plain(target: Target) -> str:
    """Return the whole list as text."""
    lines = list(_preface(target))
    for transport, listed in _by_transport(declarations(target)):
        lines += ["", _TITLES[transport], "=" * len(_TITLES[transport])]
        for each in listed:
            lines += [
                "",
                f"{each.name}  [{each.kind}]",
                f"  to {each.purpose}",
                f"  needs: {each.privilege}; leaves behind: {each.footprint}",
                *(f"    {line}".rstrip() for line in each.sends.splitlines()),
            ]
    return "\n".join(lines) + "\n"


def markdown(target: Target) -> str:
    """Return the whole list as Markdown: a table for each transport, and below it what exactly is sent."""
    lines = [f"# What the suite may do to {target.name}", "", *_preface(target)]
    for transport, listed in _by_transport(declarations(target)):
        lines += ["", f"## {_TITLES[transport]}", ""]
        lines += [_row(_HEAD), _row(["---"] * len(_HEAD))]
        lines += [
            _row([f"`{each.name}`", each.kind, each.privilege, each.purpose, each.footprint])
            for each in listed
        ]
        for each in listed:
            fence = "````" if "```" in each.sends else "```"
            lines += ["", f"`{each.name}` sends", "", fence, *each.sends.splitlines(), fence]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _by_transport(listed: Iterable[Declaration]) -> Iterator[tuple[str, list[Declaration]]]:
    order = list(_TITLES)
    ordered = sorted(listed, key=lambda each: order.index(each.transport))
    for transport, group in groupby(ordered, key=lambda each: each.transport):
        yield transport, list(group)


def _preface(target: Target) -> Iterator[str]:
    yield f"Everything the acceptance suite may do to the target {target.name}; nothing else is sent."
    yield "Each entry is a read, or an action that is refused without an approval for the target and the run."
    if target.login:
        yield f"The login is {target.login}; privileged commands run as {root_by(target)}."
    yield "A `<…>` is learned on the way and passed as an argument, never as part of a script."
    yield ""
    yield "Actions that need approval:"
    yield ""
    for action in declared_actions().values():
        times = "once" if action.uses == 1 else f"at most {action.uses} times"
        yield f"- `--approve {action.name}`: {action.purpose}; {times} for each approval"
