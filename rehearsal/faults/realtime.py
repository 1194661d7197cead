"""What goes wrong with realtime in the app itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rehearsal.faults import tools
from rehearsal.faults.base import Course, fault
from rehearsal.site import APP

if TYPE_CHECKING:
    from rehearsal.stack import Stack

_TOUCHED = ("realtime",)


@fault(
    "realtime-refuses",
    notice="updates never appear, not even for signed-in users",
    reddens=("realtime.namespace",),
    touches=_TOUCHED,
)
def refuses(stack: Stack) -> Course:
    """Refuse everybody."""
    with tools.knob(stack, APP, realtime="refuse-namespace"):
        yield


@fault(
    "realtime-turns-away",
    notice="updates never appear; the app refuses every handshake",
    reddens=("realtime.upgrade", "realtime.probe"),
    touches=_TOUCHED,
)
def turns_away(stack: Stack) -> Course:
    """Refuse everybody before the upgrade, as engine.io's `allowRequest` does."""
    with tools.knob(stack, APP, realtime="everybody-out"):
        yield


@fault(
    "realtime-silent",
    notice="updates never appear and nothing says why",
    reddens=("realtime.namespace",),
    touches=_TOUCHED,
)
def silent(stack: Stack) -> Course:
    """Never answer a request to join."""
    with tools.knob(stack, APP, realtime="silent-namespace"):
        yield


@fault(
    "realtime-anonymous",
    notice="nothing; strangers receive every update",
    reddens=("realtime.namespace",),
    touches=_TOUCHED,
)
def anonymous(stack: Stack) -> Course:
    """Let everybody join."""
    with tools.knob(stack, APP, realtime="anonymous"):
        yield


@fault(
    "realtime-no-upgrade",
    notice="clients stay with polling",
    reddens=("realtime.probe",),
    touches=_TOUCHED,
)
def no_upgrade(stack: Stack) -> Course:
    """Do not let a polling session become a websocket."""
    with tools.knob(stack, APP, realtime="no-upgrade"):
        yield
