"""Every HTTP request the suite may send to a public name. What is not declared here cannot be sent."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """A declared HTTP request.

    Attributes:
        path: regular expression that the path with its query must match, behind the `base`.
        purpose: why the suite sends it, for the server's owner.
        footprint: what it leaves behind.
        action: name of the approval it needs; empty for a read.
        base: dotted key of the target whose value the path begins with; empty for none.
        content: regular expression that the body must match; empty for no body.
        credential: what it is sent with, by the target's key; empty for nothing secret.
        scheme: `http` for port 80.
        on: which of the target's `sites` it is sent to.
    """

    name: str
    method: str
    path: str
    purpose: str
    footprint: str = "a line in nginx's access log"
    action: str = ""
    base: str = ""
    content: str = ""
    credential: str = ""
    scheme: str = "https"
    on: str = "crm"

    def allows(self, path: str, base: str = "") -> bool:
        """Tell whether this path, query included, is declared, given the base's value."""
        return re.fullmatch(re.escape(base) + self.path, path) is not None

    def allows_content(self, content: bytes) -> bool:
        """Tell whether this body is declared."""
        return re.fullmatch(self.content.encode(), content, re.DOTALL) is not None


HTTP_REDIRECT = Request("http-redirect", "GET", r"/[^\s]*", "see where plain HTTP is sent", scheme="http")
HTTPS_ROOT = Request("https-root", "GET", r"/", "read the response headers of the first page")
HEALTH_PUBLIC = Request("health-public", "GET", "", "read the health endpoint", base="health.path")
HEALTH_AUTHENTICATED = Request(
    "health-authenticated",
    "GET",
    "",
    "read the health endpoint with its secret",
    base="health.path",
    credential="health.secret",
)
HEALTH_WRONG_SECRET = Request(
    "health-wrong-secret", "GET", "", "see that a wrong secret reveals nothing", base="health.path"
)
BERTHS = Request("berths", "GET", "", "read the public list of berths", base="api.berths")
INTAKE_WRONG_SECRET = Request(
    "intake-wrong-secret",
    "POST",
    "",
    "see that intake refuses a wrong secret; the inquiry is empty, so nothing could be stored",
    footprint="a line in nginx's access log; counts towards a rate limit of the route",
    base="api.intake",
    content=r"\{\}",
)
REALTIME_POLLING = Request(
    "realtime-polling",
    "GET",
    r"\?EIO=4&transport=polling",
    "open a polling session; with the session cookie where strangers are refused one",
    footprint="a line in nginx's access log; a Socket.IO session that ends by itself",
    base="realtime.path",
)
SIGN_IN_WRONG_PASSWORD = Request(
    "sign-in-wrong-password",
    "POST",
    "",
    "see whether the sign-in accepts the public name's origin; the address is one that cannot exist",
    footprint="a line in nginx's access log; counts towards the sign-in rate limit; no row is written",
    base="sign_in.path",
    content=r'\{"email": "[^"@]+@[^"@]+\.invalid", "password": "[\w-]+"\}',
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
BROWSER = (PAGE_GET, PAGE_HEAD, PAGE_ELSEWHERE)
"""What the browser's pages may ask for; the others are sent without one."""

GUARDED_PAYLOAD = Request(
    "guarded-payload",
    "GET",
    r"(\?[^\s]*)?",
    "see that a guarded page and its payload hold no data without a session",
    base="pages.guarded",
)
SIGN_IN = Request(
    "sign-in",
    "POST",
    "",
    "sign in once, for what only a signed-in user can see",
    footprint="a session row that expires by itself; counts towards the sign-in rate limit",
    action="sign-in",
    base="sign_in.path",
    content=r'\{"email": ".+", "password": ".*"\}',
    credential="sign_in",
)

# The repository and its builds, as Gitea's REST API tells them

_IN_GITEA = "a line in Gitea's access log; the token's time of last use"
_PAGE = r"\?page=[0-9]{1,2}&limit=50"

GITEA_VERSION = Request(
    "gitea-version",
    "GET",
    r"/api/v1/version",
    "learn Gitea's version",
    footprint=_IN_GITEA,
    credential="gitea.token",
    on="gitea",
)
GITEA_BRANCH = Request(
    "gitea-branch",
    "GET",
    "",
    "learn the branch's newest commit",
    footprint=_IN_GITEA,
    base="gitea.branch_path",
    credential="gitea.token",
    on="gitea",
)
GITEA_STATUS = Request(
    "gitea-status",
    "GET",
    r"/commits/[\w.-]+/status" + _PAGE,
    "read whether the jobs of the commit succeeded",
    footprint=_IN_GITEA,
    base="gitea.api",
    credential="gitea.token",
    on="gitea",
)
GITEA_TASKS = Request(
    "gitea-tasks",
    "GET",
    r"/actions/tasks" + _PAGE,
    "compare the commit's statuses with what the runners were given",
    footprint=_IN_GITEA,
    base="gitea.api",
    credential="gitea.token",
    on="gitea",
)
GITEA_ENV_SCHEMA = Request(
    "gitea-env-schema",
    "GET",
    r"\?ref=[\w.-]+",
    "read which variables the commit knows",
    footprint=_IN_GITEA,
    base="gitea.env_schema_path",
    credential="gitea.token",
    on="gitea",
)
GITEA_ENV_EXAMPLE = Request(
    "gitea-env-example",
    "GET",
    r"\?ref=[\w.-]+",
    "read which variables the commit's example names; its values are not kept",
    footprint=_IN_GITEA,
    base="gitea.env_example_path",
    credential="gitea.token",
    on="gitea",
)
WEBSITE_PAGE = Request(
    "website-page", "GET", "", "see that the website serves its visitors", base="website.page", on="website"
)
WEBSITE_BERTHS = Request(
    "website-berths",
    "GET",
    "",
    "read the website's public list of berths",
    footprint="a line in nginx's access log; the website may read its source of berths anew",
    base="website.berths",
    on="website",
)
TEST_INQUIRY = Request(
    "test-inquiry",
    "POST",
    "",
    "send one marked inquiry as a visitor would, and see whether it arrives in the CRM",
    footprint=(
        "a row in NocoDB and one in website_submissions, which stay; a confirmation to the inquiry's address "
        "and an alert to the staff's recipients, sent by the website before stage 3 and by the CRM from then "
        "on; a count towards the form's rate limit; a line in both access logs"
    ),
    action="test-inquiry",
    base="website.inquiry.path",
    content=r"(?=.*\bacceptance-[0-9a-f]{16}\b)\{.*\}",
    credential="website.inquiry.token",
    on="website",
)
