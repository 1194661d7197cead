"""The program that holds the declared privileged reads for one target, and the sudoers file for it.

It is printed for the server's owner to install. It takes a command's name and arguments, runs that command's
script with them if both are declared, and refuses everything else. Arguments are compared, never made part of
a script.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator

from acceptance.guard import commands
from acceptance.guard.commands import Command
from acceptance.guard.parameters import Parameter
from acceptance.target import Target

DEFAULT = "/usr/local/sbin/pn-acceptance-read"
"""Where the helper is installed if the target file does not say."""

RAN = "pn-acceptance-read: ran"
"""Begins the last line of its standard error when it ran a command."""

_HEAD = """\
#!/bin/sh
# The privileged reads of the acceptance suite for the target {target}, and nothing else.
# Printed by `acceptance commands --target {target} --root-helper`; install it as {path}, root:root 0755.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C LANG=C
unset ENV BASH_ENV CDPATH IFS
umask 077
cd / || exit 126
refuse() {{ printf 'pn-acceptance-read: %s\\n' "$1" >&2; exit 126; }}
is() {{
  given=$1
  shift
  for allowed do [ "$given" = "$allowed" ] && return; done
  refuse "$name may not be asked about $given"
}}
like() {{
  case $1 in *'
'*) refuse "$name: an argument holds a line break" ;; esac
  printf '%s\\n' "$1" | grep -Eqx -- "$2" || refuse "$name may not be asked about $1"
}}
run() {{
  limit=$1
  shift
  timeout -k 2 "$limit" /bin/sh -c "$@" </dev/null
  code=$?
  printf '\\n{ran} %s\\n' "$name" >&2
  exit "$code"
}}
[ $# -ge 1 ] || refuse 'no command was named'
name=$1
shift
case $name in
"""
_FOOT = """\
*) refuse "$name is no declared read" ;;
esac
"""


def path(target: Target) -> str:
    """Return where the helper is to be installed."""
    return target.server.privilege.helper or DEFAULT


def reads(target: Target) -> tuple[Command, ...]:
    """Return the commands that the helper holds: the privileged ones that change nothing.

    What reads any file is not among them, such as testinfra's modules: without a root shell they see what
    the login sees. Nor is what reads a place that the target leaves out.
    """
    declared = (value for value in vars(commands).values() if isinstance(value, Command))
    return tuple(
        command
        for command in declared
        if command.privileged
        and not command.action
        and not command.any_file
        and all(one.values(target) for one in command.parameters if one.keys)
    )


def script(target: Target) -> str:
    """Return the helper for a target."""
    head = _HEAD.format(target=target.name, path=path(target), ran=RAN)
    return head + "".join(_branch(command, target) for command in reads(target)) + _FOOT


def sudoers(target: Target) -> str:
    """Return the sudoers file that lets the target's login run this very helper without a password.

    Its digest is part of the rule, so sudo runs no other program of that name.
    """
    digest = hashlib.sha256(script(target).encode()).hexdigest()
    helper = path(target)
    return (
        f"# What the acceptance suite needs on {target.server.address}: the reads that {helper} holds.\n"
        f"# Install as /etc/sudoers.d/pn-acceptance, root:root 0440, after `visudo -c -f FILE`.\n"
        f"Defaults!{helper} env_reset, !setenv\n"
        f"{target.server.user} ALL=(root) NOPASSWD: sha256:{digest} {helper}\n"
    )


def _branch(command: Command, target: Target) -> str:
    lines = "".join(f"  {line}\n" for line in _checks(command.parameters, target))
    words = f"{shlex.quote(command.script)} {command.name}"
    return f'{command.name})\n{lines}  run {command.timeout_s:g} {words} "$@"\n  ;;\n'


def _checks(parameters: tuple[Parameter, ...], target: Target) -> Iterator[str]:
    count = len(parameters)
    if count and parameters[-1].many:
        yield f'[ $# -ge {count - 1} ] || refuse "$name: too few arguments"'
    else:
        yield f'[ $# -eq {count} ] || refuse "$name takes {count} arguments"'
    for number, parameter in enumerate(parameters, start=1):
        if parameter.many:
            yield "number=0"
            yield "for argument do"
            yield "  number=$((number + 1))"
            yield f'  [ "$number" -lt {number} ] || like "$argument" {shlex.quote(parameter.pattern)}'
            yield "done"
        elif parameter.keys:
            yield f'is "${number}" {" ".join(map(shlex.quote, parameter.values(target)))}'
        else:
            yield f'like "${number}" {shlex.quote(parameter.pattern)}'
