"""What goes wrong behind the health endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rehearsal.faults import tools
from rehearsal.faults.base import Course, fault
from rehearsal.site import APP, WORKER

if TYPE_CHECKING:
    from rehearsal.stack import Stack


@fault(
    "health-degraded",
    notice="the endpoint answers 200, and says that it is not well",
    reddens=("health.public", "cutover.1-ready"),
    touches=("health",),
)
def degraded(stack: Stack) -> Course:
    """Answer with another status."""
    with tools.knob(stack, APP, health="degraded"):
        yield


@fault(
    "health-html",
    notice="200, but a page instead of JSON: a framework's catch-all route answers",
    reddens=("health.public", "health.authenticated", "cutover.1-ready"),
    touches=("health",),
)
def html(stack: Stack) -> Course:
    """Answer with a page."""
    with tools.knob(stack, APP, health="html"):
        yield


@fault(
    "health-checks-leak",
    notice="nothing; strangers can read what is behind the app",
    reddens=("health.guarded",),
    touches=("health",),
)
def checks_leak(stack: Stack) -> Course:
    """Report the checks to everybody."""
    with tools.knob(stack, APP, health="checks-leak"):
        yield


@fault(
    "health-no-checks",
    notice="the monitoring's authenticated answer holds no checks",
    reddens=("health.authenticated",),
    touches=("health",),
)
def no_checks(stack: Stack) -> Course:
    """Do not know the secret."""
    with tools.knob(stack, APP, health="no-checks-auth"):
        yield


@fault(
    "health-slow",
    notice="pages load slowly",
    reddens=("health.latency",),
    touches=("health",),
)
def slow(stack: Stack) -> Course:
    """Take a second and a half for each answer."""
    with tools.knob(stack, APP, slow_ms=1000):
        yield


@fault(
    "redis-stopped",
    notice="sign-in works, realtime and jobs do not",
    reddens=("containers.running", "health.authenticated"),
    touches=("containers", "logs", "health", "queues"),
)
def redis_stopped(stack: Stack) -> Course:
    """Stop Redis."""
    stack.container("redis").stop()
    yield
    stack.container("redis").start()
    stack.container(WORKER).wait_ready()


@fault(
    "postgres-stopped",
    notice="error pages wherever data should be",
    reddens=(
        "containers.running",
        "health.authenticated",
        "api.berths",
        "pages.berths",
        "pages.deal",
        "cutover.1-ready",
    ),
    touches=("containers", "logs", "health", "api", "session", "pages", "database_settings", "storage"),
)
def postgres_stopped(stack: Stack) -> Course:
    """Stop PostgreSQL."""
    stack.container("postgres").stop()
    yield
    stack.container("postgres").start()
