"""Every HTTP request the suite may send to the public name. What is not declared here cannot be sent."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """A declared HTTP request.

    Attributes:
        path: regular expression that the whole path with its query must match.
        purpose: why the suite sends it, for the server's owner.
        footprint: what it leaves behind.
        action: name of the approval it needs; empty for a read.
    """

    name: str
    method: str
    path: str
    purpose: str
    footprint: str = "a line in nginx's access log"
    action: str = ""

    def allows(self, path: str) -> bool:
        """Tell whether this path, query included, is declared."""
        return re.fullmatch(self.path, path) is not None


HTTP_REDIRECT = Request("http-redirect", "GET", r"/[^\s]*", "see where plain HTTP is sent")
HTTPS_ROOT = Request("https-root", "GET", r"/", "read the response headers of the first page")
HEALTH_PUBLIC = Request("health-public", "GET", r"/[^\s?]*", "read the health endpoint")
HEALTH_AUTHENTICATED = Request(
    "health-authenticated", "GET", r"/[^\s?]*", "read the health endpoint with its secret"
)
HEALTH_WRONG_SECRET = Request(
    "health-wrong-secret", "GET", r"/[^\s?]*", "see that a wrong secret reveals nothing"
)
BERTHS = Request("berths", "GET", r"/[^\s?]*", "read the public list of berths")
INTAKE_WRONG_SECRET = Request(
    "intake-wrong-secret",
    "POST",
    r"/[^\s?]*",
    "see that intake refuses a wrong secret; the body is empty, so nothing could be stored",
    footprint="a line in nginx's access log; counts towards a rate limit of the route",
)
REALTIME_POLLING = Request(
    "realtime-polling",
    "GET",
    r"/[^\s?]*/\?EIO=4&transport=polling(&sid=[\w-]+)?",
    "open a polling session",
    footprint="a line in nginx's access log; a Socket.IO session that ends by itself",
)
REALTIME_POLLING_SEND = Request(
    "realtime-polling-send",
    "POST",
    r"/[^\s?]*/\?EIO=4&transport=polling&sid=[\w-]+",
    "ask to join the namespace in the polling session",
    footprint="a line in nginx's access log",
)
SIGN_IN_WRONG_PASSWORD = Request(
    "sign-in-wrong-password",
    "POST",
    r"/[^\s?]*",
    "see whether the sign-in accepts the public name's origin; the address is one that cannot exist",
    footprint="a line in nginx's access log; counts towards the sign-in rate limit; no row is written",
)
PAGE_GET = Request(
    "page-get",
    "GET",
    r"/[^\s]*",
    "render a page in a browser, with everything that it loads from the public name",
    footprint="a line in nginx's access log for each file of the page",
)
PAGE_HEAD = Request(
    "page-head", "HEAD", r"/[^\s]*", "let a rendered page ask for headers; any other method is held back"
)
PAGE_ELSEWHERE = Request(
    "page-elsewhere",
    "GET",
    r"/[^\s]*",
    "let a rendered page load from another host, if the target's pages.elsewhere names it",
    footprint="a line in the other host's access log",
)
SIGN_IN = Request(
    "sign-in",
    "POST",
    r"/[^\s?]*",
    "sign in once, for what only a signed-in user can see",
    footprint="a session row that expires by itself; counts towards the sign-in rate limit",
    action="sign-in",
)
