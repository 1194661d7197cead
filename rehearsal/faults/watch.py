"""What shows only to who watches for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rehearsal.faults import tools
from rehearsal.faults.base import Course, fault
from rehearsal.site import APP, WEBSITE

if TYPE_CHECKING:
    from rehearsal.stack import Stack


@fault(
    "watch-crm-errors",
    notice="pages load, but after the last flip the CRM logs one error after another",
    reddens=("cutover.5-quiet",),
    touches=("watch",),
    stage=5,
)
def crm_errors(stack: Stack) -> Course:
    """Log an error again and again."""
    with tools.knob(stack, APP, error_burst=True):
        yield


@fault(
    "watch-website-stopped",
    notice="502 Bad Gateway on the website; its log is quiet",
    reddens=("cutover.2-arrives", "cutover.4-berth-feed", "cutover.5-quiet"),
    touches=("environments", "visits", "inquiry", "deliveries", "berth_feed", "watch"),
    stage=5,
)
def website_stopped(stack: Stack) -> Course:
    """Stop the website; nobody starts it again."""
    stack.container(WEBSITE).stop()
    yield
    stack.container(WEBSITE).start()
