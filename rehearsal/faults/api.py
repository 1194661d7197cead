"""What goes wrong with the public routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rehearsal.faults import tools
from rehearsal.faults.base import Course, fault
from rehearsal.site import APP

if TYPE_CHECKING:
    from rehearsal.stack import Stack


@fault(
    "api-berths-error",
    notice="the website's map is empty",
    reddens=("api.berths", "cutover.1-ready"),
    touches=("api",),
)
def berths_error(stack: Stack) -> Course:
    """Answer 500."""
    with tools.knob(stack, APP, berths="error"):
        yield


@fault(
    "api-berths-no-list",
    notice="the website's map is empty",
    reddens=("api.berths", "cutover.1-ready"),
    touches=("api",),
)
def berths_no_list(stack: Stack) -> Course:
    """Answer 200 with something else than a list."""
    with tools.knob(stack, APP, berths="not-a-list"):
        yield


@fault(
    "api-intake-open",
    notice="nothing; strangers can store inquiries",
    reddens=("api.intake-guarded",),
    touches=("api",),
)
def intake_open(stack: Stack) -> Course:
    """Accept any secret."""
    with tools.knob(stack, APP, intake="accept-any"):
        yield


@fault(
    "api-intake-secret-unset",
    notice="the website's inquiries are refused with 503",
    reddens=(
        "api.intake-guarded",
        "containers.env-current",
        "cutover.1-ready",
        "env.crm.required",
        "health.authenticated",
    ),
    touches=("api", "containers", "environments", "logs", "health", "env_file"),
)
def intake_secret_unset(stack: Stack) -> Course:
    """Run the app without WEBSITE_INTAKE_SECRET."""
    container = stack.container(APP)
    before = dict(container.spec.env)
    container.recreate(env={name: value for name, value in before.items() if name != "WEBSITE_INTAKE_SECRET"})
    yield
    container.recreate(env=before)
