"""What a server can lack before anything is deployed."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rehearsal.faults import tools
from rehearsal.faults.base import Course, fault
from rehearsal.services import nginx

if TYPE_CHECKING:
    from rehearsal.stack import Stack

_COLUMNS = """\
case $* in *--output=avail,itotal,iavail,target*) ;; *) exec df "$@" ;; esac
set -- "$(df "$@")" || exit 1
printf '%s\\n' "$1" | while read -r avail itotal iavail mount; do echo "{columns} $mount"; done
exit 0"""


def _df(columns: str) -> str:
    """Return a `df` that tells something else in the columns that the suite asks for."""
    return _COLUMNS.format(columns=columns)


@contextlib.contextmanager
def _listening(address: str, port: int) -> Iterator[None]:
    with socket.create_server((address, port)):
        yield


@fault(
    "host-disk-full",
    notice="nothing, until `docker compose pull` says: no space left on device",
    reddens=("host.capacity",),
    touches=("machine",),
)
def disk_full(stack: Stack) -> Course:
    """Leave one megabyte on every file system."""
    with tools.program(stack, "df", _df("1048576 $itotal $iavail")):
        yield


@fault(
    "host-inodes-used-up",
    notice="`docker compose pull` says: no space left on device, while df shows plenty",
    reddens=("host.capacity",),
    touches=("machine",),
)
def inodes_used_up(stack: Stack) -> Course:
    """Leave a dozen inodes on every file system."""
    with tools.program(stack, "df", _df("$avail 655360 12")):
        yield


@fault(
    "host-compose-missing",
    notice="docker says: 'compose' is not a docker command",
    reddens=("host.engine",),
    touches=("engine",),
)
def compose_missing(stack: Stack) -> Course:
    """Take the compose plugin away, as Debian's docker.io comes."""
    assert stack.tools is not None
    with stack.tools.without_compose():
        yield


@fault(
    "host-port-taken",
    notice="nothing, until `docker compose up` says: address already in use",
    reddens=("host.port-free",),
    touches=("host_port",),
)
def port_taken(stack: Stack) -> Course:
    """Let another process listen on the CRM's port, at another address of the server."""
    with _listening(stack.site.address("public"), nginx.APP_PORT):
        yield


@fault(
    "host-template-missing",
    notice="the vhost that the CRM's is to be modelled on was tidied away",
    reddens=("host.nginx-ready",),
    touches=("nginx",),
)
def template_missing(stack: Stack) -> Course:
    """Remove the template and its link, and reload nginx."""
    link = stack.site.nginx / "sites-enabled" / nginx.TEMPLATE
    with tools.moved_away(link), tools.moved_away(nginx.vhost(stack.site, nginx.TEMPLATE)):
        tools.reload_nginx(stack)
        yield
    tools.reload_nginx(stack)


@fault(
    "host-certbot-missing",
    notice="certbot: command not found",
    reddens=("host.certbot-ready",),
    touches=("certbot",),
)
def certbot_missing(stack: Stack) -> Course:
    """Remove certbot; its timer stays behind."""
    with tools.moved_away(stack.site.host / "usr" / "bin" / "certbot"):
        yield


@fault(
    "host-certbot-timer-off",
    notice="nothing, for as long as the certificate lasts",
    reddens=("host.certbot-ready",),
    touches=("certbot",),
)
def certbot_timer_off(stack: Stack) -> Course:
    """Stop the timer."""
    timer = stack.unit("certbot.timer")
    timer.active = False
    yield
    timer.active = True


@fault(
    "host-certbot-timer-disabled",
    notice="nothing, until the server is started anew and then for as long as the certificate lasts",
    reddens=("host.certbot-ready",),
    touches=("certbot",),
)
def certbot_timer_disabled(stack: Stack) -> Course:
    """Let the timer run, but not after the next boot."""
    timer = stack.unit("certbot.timer")
    timer.enabled = False
    yield
    timer.enabled = True


@fault(
    "host-database-open",
    notice="nothing; Redis without a password would be somebody else's within the hour",
    reddens=("host.databases-private",),
    touches=("outside",),
)
def database_open(stack: Stack) -> Course:
    """Listen on Redis' port at the server's own address."""
    with _listening(stack.site.address("server"), 6379):
        yield
