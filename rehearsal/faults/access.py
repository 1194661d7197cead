"""What goes wrong with the way onto the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rehearsal.faults import tools
from rehearsal.faults.base import Course, fault
from rehearsal.faults.sources import HOST
from rehearsal.namespace import DOCKER_GROUP
from rehearsal.services import sshd

if TYPE_CHECKING:
    from rehearsal.stack import Stack


@fault(
    "access-host-key-changed",
    notice="ssh says: REMOTE HOST IDENTIFICATION HAS CHANGED",
    reddens=("access.host-key",),
    touches=HOST,
    blinds=True,
)
def host_key_changed(stack: Stack) -> Course:
    """Give the server another host key, as a reinstallation or somebody in between does."""
    with sshd.another_host_key(stack.site):
        stack.program("sshd").restart()
        yield
    stack.program("sshd").restart()


@fault(
    "access-key-removed",
    notice="ssh says: Permission denied (publickey)",
    reddens=("access.login",),
    touches=HOST,
    blinds=True,
)
def key_removed(stack: Stack) -> Course:
    """Take the operator's key out of authorized_keys."""
    with tools.replaced(sshd.authorized_keys(stack.site), ""):
        yield


@fault(
    "access-user-in-docker",
    notice="nothing: docker works without su, for whoever gets hold of that key too",
    reddens=("access.unprivileged",),
    touches=("ssh_login",),
    root_only=True,
)
def user_in_docker(stack: Stack) -> Course:
    """Add the login to the group docker."""
    site = stack.site
    line = f"docker:x:{DOCKER_GROUP}:"
    with tools.edited(site.state / "etc" / "group", line, f"{line}{site.account('login').name}"):
        yield


@fault(
    "access-clock-skewed",
    notice="sign-in codes are refused, and the log's times do not fit anybody's memory",
    reddens=("access.clock",),
    touches=("ssh_login",),
)
def clock_skewed(stack: Stack) -> Course:
    """Let the server's `date` be half a minute fast where the suite compares the clocks."""
    with tools.program(stack, "date", 'case $* in "-u +%s.%N") set -- "$@" --date="30 seconds" ;; esac'):
        yield
