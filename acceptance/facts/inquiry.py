"""The one approved test inquiry of a run: sent as a visitor of the website, and looked for in the CRM."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode

from acceptance.errors import UnavailableError
from acceptance.facts.base import Fact, Noun, Source
from acceptance.facts.tables import identifiers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acceptance.access import Access
    from acceptance.sections.website import Inquiry as Form
    from acceptance.transports.http import HttpAnswer
    from acceptance.transports.postgres import Identifiers

ACTION: Final = "test-inquiry"

UTM: Final = {"utm_source": "acceptance", "utm_medium": "test", "utm_campaign": "cutover"}
"""What stands in the landing page's address."""

_POLL_S = 0.2


class Inquiry(Fact):
    """How the test inquiry went.

    Attributes:
        marker: what tells it from others; made for this run.
        arrived: True if its row stood in the CRM's table in time.
        waited_s: how long it was waited for at most.
        sent_utm, arrived_utm: the utm values that it was sent with, and those of its row.
        utm_assumed: True if the plan does not say how the website takes them.
        is_page: True if the answer was a page, which answers no form.
        path_assumed: True if the plan does not say where the form is posted to.
    """

    marker: str
    http_status: int
    excerpt: str
    arrived: bool
    waited_s: float
    sent_utm: dict[str, str]
    arrived_utm: dict[str, str]
    utm_assumed: bool
    is_page: bool
    path_assumed: bool
    url: str
    table: str

    @property
    def source(self) -> Source:
        """Where it was sent to and where its row was looked for."""
        return Source(
            where=f"POST {self.url}, then {self.table}",
            again=f"psql -c 'table {self.table}' | grep {self.marker}",
        )

    def landed(self) -> bool:
        """Tell whether its row is in the CRM's table; a website that breaks down over it lost it.

        Raises:
            UnavailableError: the website took no inquiry of ours, so nothing is known of anybody else's.
        """
        if not self.arrived and self.is_page and self.path_assumed:
            raise UnavailableError(
                f"assumed name not found: {self.url} answers a form with a page",
                "look where the website's page sends its form, and correct website.inquiry.path",
            )
        if 300 <= self.http_status < 500:
            raise UnavailableError(
                f"the website did not take the test inquiry ({self.answer})",
                "correct [website.inquiry] in the target file; 400 may be the reCAPTCHA token",
            )
        return self.arrived

    def came_with_utm(self) -> bool:
        """Tell whether its row has the utm values that it was sent with, whatever else it has.

        Raises:
            UnavailableError: there is no row, or none has arrived at all and how they are sent is assumed.
        """
        if not self.landed():
            raise UnavailableError(f"the test inquiry did not arrive within {self.waited_s:g} s")
        if not self.arrived_utm and self.utm_assumed:
            raise UnavailableError(
                "assumed name not found: no utm value arrived, and how the website takes them is assumed",
                "look at what its page sends as x-utm, and correct website.inquiry.utm in the target file",
            )
        return self.sent_utm.items() <= self.arrived_utm.items()

    @property
    def answer(self) -> str:
        """The website's answer in a few words."""
        return f"HTTP {self.http_status} {self.excerpt}".strip()

    @property
    def summary(self) -> str:
        """How it went in a few words."""
        row = "its row arrived" if self.arrived else f"no row within {self.waited_s:g} s"
        return f"{self.answer}; {row}"

    @property
    def utm(self) -> str:
        """The utm values that arrived."""
        return _listed(self.arrived_utm)

    @property
    def expected_utm(self) -> str:
        """The utm values that were sent."""
        return _listed(self.sent_utm)


def _listed(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(values.items())) or "none"


async def collect(access: Access) -> Inquiry:
    """Send the inquiry and look for its row until it is there or the time is up.

    That its row can be looked for is seen first: nothing is sent in vain.

    Raises:
        UnavailableError: not approved, no website in the target, no such table, or no answer.
    """
    website = access.target.website
    if website is None:
        raise UnavailableError("the target file has no [website]", "describe it there: [website]")
    if not access.approved(ACTION):
        raise UnavailableError(f"needs approval: {ACTION}", f"run again with --approve {ACTION}")
    submissions = website.submissions
    names = await identifiers(
        access,
        submissions.table,
        {name: getattr(submissions, name) for name in ("payload", "utm", "created_at")},
        "website.submissions",
    )
    marker = f"acceptance-{secrets.token_hex(8)}"
    answer = await _send(access, website.inquiry, marker)
    row = await _row(access, names, marker, website.inquiry.wait_s) if answer.status < 300 else None
    return Inquiry(
        marker=marker,
        http_status=answer.status,
        excerpt="" if answer.status < 300 else answer.excerpt,
        arrived=row is not None,
        waited_s=website.inquiry.wait_s,
        sent_utm=UTM,
        arrived_utm=read_utm(row["utm"]) if row else {},
        utm_assumed=access.target.is_assumed("website.inquiry.utm"),
        is_page=answer.status < 300 and answer.headers.get("content-type", "").startswith("text/html"),
        path_assumed=access.target.is_assumed("website.inquiry.path"),
        url=answer.url,
        table=submissions.table,
    )


async def _send(access: Access, form: Form, marker: str) -> HttpAnswer:
    values = {
        "{marker}": marker,
        "{email}": form.email,
        "{token}": access.secret(form.token) if form.token else "",
    }
    site = access.site("website")
    return await site.send(
        ACTION,
        path=form.path,
        method="POST",
        headers={
            "content-type": "application/json",
            "origin": site.url(""),
            "referer": f"{site.url('/')}?{urlencode(UTM)}",
            "x-utm": json.dumps(UTM) if form.utm == "json" else urlencode(UTM),
        },
        content=json.dumps({name: _filled(value, values) for name, value in form.body.items()}).encode(),
    )


def _filled(text: str, values: Mapping[str, str]) -> str:
    for word, value in values.items():
        text = text.replace(word, value)
    return text


async def _row(access: Access, names: Identifiers, marker: str, timeout_s: float) -> dict[str, object] | None:
    deadline = time.monotonic() + timeout_s
    while True:
        rows = await access.postgres.query("inquiry_arrived", names, marker=marker)
        if rows or time.monotonic() > deadline:
            return rows[0] if rows else None
        await asyncio.sleep(_POLL_S)


def read_utm(column: object) -> dict[str, str]:
    """Return the utm values of a row's column, which may be JSON, a query string or null; pure.

    What is null or empty there is no value.
    """
    text = str(column or "")
    try:
        document = json.loads(text)
    except ValueError:
        document = dict(parse_qsl(text.lstrip("?")))
    if not isinstance(document, dict):
        return {}
    values = {name: value for name, value in sorted(document.items()) if name.startswith("utm_")}
    return {name: str(value) for name, value in values.items() if value not in (None, "")}


NOUN = Noun(
    "inquiry", Inquiry, collect, sources=("website", "postgres"), needs=("containers",), actions=(ACTION,)
)
