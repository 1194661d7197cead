"""Privileged commands through a root helper instead of a root shell: sudo may run that one program only.

The helper knows the scripts; it gets a command's name and arguments. As the last line of standard error it
says that it ran the command: sudo's own refusals exit 1 like a command that fails.
"""

from __future__ import annotations

import shlex
from dataclasses import replace

from acceptance.errors import UnavailableError
from acceptance.guard.commands import Call
from acceptance.guard.root_helper import RAN
from acceptance.transports.host import Result
from acceptance.transports.ssh_client import PrivilegeError, last_line, says_no


def through(sudo: str, helper: str, call: Call) -> Call:
    """Return the call that has the helper run a privileged command of the same name."""
    script = f'exec {shlex.quote(sudo)} -n -- {shlex.quote(helper)} "$0" "$@"'
    return replace(call, command=replace(call.command, script=script))


def answered(call: Call, result: Result) -> Result | UnavailableError:
    """Return the helper's answer as the answer to the command itself, or why there is none."""
    said, ran, _ = result.stderr.rpartition(f"\n{RAN} {call.command.name}\n")
    if ran:
        return replace(result, call=call, stderr=said)
    if not result.timed_out:
        why = last_line(result.stderr)
        return PrivilegeError(
            f"no root privilege for {call.command.name}: {why or 'no message'}",
            "install what `acceptance commands` prints with --root-helper and --sudoers",
            says_no(why),
        )
    return replace(result, call=call)
