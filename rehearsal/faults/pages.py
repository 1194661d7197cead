"""What goes wrong with the pages: the login, the brand, the guard, the session, the lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rehearsal.faults import tools
from rehearsal.faults.base import Course, fault
from rehearsal.site import APP

if TYPE_CHECKING:
    from rehearsal.stack import Stack

_SIGN_IN = ("origin", "session")
"""Both count towards the sign-in rate limit of three in ten seconds."""


def _signing_in_anew(stack: Stack, **knobs: object) -> Course:
    """Turn knobs, before and afterwards with an app that has counted no sign-in yet."""
    with tools.knob(stack, APP, **knobs):
        stack.container(APP).recreate()
        yield
    stack.container(APP).recreate()


@fault(
    "pages-login-error",
    notice="the login page says: Internal Server Error",
    reddens=("pages.login", "pages.branding"),
    touches=("pages",),
)
def login_error(stack: Stack) -> Course:
    """Answer the login page with 500."""
    with tools.knob(stack, APP, login="500"):
        yield


@fault(
    "pages-login-script-error",
    notice="the login page looks right, and its button does nothing",
    reddens=("pages.login",),
    touches=("pages",),
)
def login_script_error(stack: Stack) -> Course:
    """Let a script of the login page fail on a page that answers 200."""
    with tools.knob(stack, APP, login="script-error"):
        yield


@fault(
    "pages-logo-missing",
    notice="a gap where the logo should be",
    reddens=("pages.login", "pages.branding"),
    touches=("pages",),
)
def logo_missing(stack: Stack) -> Course:
    """Answer the logo with 404; that is a failed request of the login page, too."""
    with tools.knob(stack, APP, logo="404"):
        yield


@fault(
    "pages-logo-placeholder",
    notice="a coloured box where the logo should be; the browser reports nothing",
    reddens=("pages.branding",),
    touches=("pages",),
)
def logo_placeholder(stack: Stack) -> Course:
    """Answer the logo with a picture of one pixel, stretched to the logo's size by the page."""
    with tools.knob(stack, APP, logo="pixel"):
        yield


@fault(
    "pages-guard-open",
    notice="nothing; anybody can read the pages without signing in",
    reddens=("pages.guarded",),
    touches=("pages",),
)
def guard_open(stack: Stack) -> Course:
    """Show the pages with their data to strangers."""
    with tools.knob(stack, APP, guard="open"):
        yield


@fault(
    "pages-cookie-not-secure",
    notice="nothing; the session cookie is sent over plain http, too",
    reddens=("pages.cookies",),
    touches=_SIGN_IN,
)
def cookie_not_secure(stack: Stack) -> Course:
    """Configure the app with an http base URL behind TLS, its public origin being trusted otherwise."""
    yield from _signing_in_anew(stack, auth="http-base-url")


@fault(
    "pages-origin-not-trusted",
    notice="nobody can sign in from the login page; a script that sends no Origin can",
    reddens=("pages.cookies",),
    touches=_SIGN_IN,
)
def origin_not_trusted(stack: Stack) -> Course:
    """Configure the app with an http base URL only, so that its public origin is a stranger's."""
    yield from _signing_in_anew(stack, auth="untrusted-origin")


@fault(
    "pages-berths-empty",
    notice="the berth list is empty, and the website's map with it",
    reddens=("pages.berths", "cutover.1-ready"),
    touches=("pages", "api"),
)
def berths_empty(stack: Stack) -> Course:
    """Show no berth, as before the data was migrated."""
    with tools.knob(stack, APP, berths="empty"):
        yield


@fault(
    "pages-berths-error",
    notice="the berth list says that something went wrong; the website's map is drawn",
    reddens=("pages.berths",),
    touches=("pages",),
)
def berths_error(stack: Stack) -> Course:
    """Let the berth list fail."""
    with tools.knob(stack, APP, berths="page-error"):
        yield


@fault(
    "pages-deal-error",
    notice="opening a deal says that something went wrong",
    reddens=("pages.deal",),
    touches=("pages",),
)
def deal_error(stack: Stack) -> Course:
    """Let a deal fail."""
    with tools.knob(stack, APP, deal="error"):
        yield
