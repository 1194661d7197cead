"""Whether the app takes its own public address for its own, asked without a login."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from acceptance.errors import UnavailableError
from acceptance.facts.base import Fact, Noun, Source

if TYPE_CHECKING:
    from acceptance.access import Access

NOBODY = "nobody@acceptance.invalid"
"""An address that cannot exist: .invalid is reserved for that (RFC 2606)."""


class Origin(Fact):
    """How the sign-in answers a wrong password that comes from the public name's own pages.

    Attributes:
        origin: what was sent as Origin.
        code: the answer's error code, empty if it has none.
    """

    origin: str
    http_status: int
    code: str
    excerpt: str
    source: Source

    @property
    def summary(self) -> str:
        """The answer in a few words."""
        return f"HTTP {self.http_status} {self.code or self.excerpt}".strip()

    def trusted(self) -> bool:
        """Tell whether the origin is one of the app's own.

        better-auth looks at the origin first: 403 if it is not trusted, 401 for a wrong password if it is
        (seen on better-auth 1.7.25). The trusted ones come from the app's base URL.

        Raises:
            UnavailableError: neither of the two came.
        """
        if self.http_status not in (401, 403):
            raise UnavailableError(
                f"the sign-in did not say whether it trusts {self.origin} ({self.summary})",
                "wait ten seconds and run again" if self.http_status == 429 else "",
            )
        return self.http_status == 401


async def collect(access: Access) -> Origin:
    """Send a wrong password of nobody, with the Origin that a browser would send.

    Raises:
        UnavailableError: the target names no sign-in, or nothing answered.
    """
    account = access.target.sign_in
    if account is None:
        raise UnavailableError("the target names no sign-in", "fill [sign_in] in the target file")
    origin = access.http.url("")
    login = {"email": NOBODY, "password": secrets.token_urlsafe(24)}
    answer = await access.http.send(
        "sign-in-wrong-password",
        path=account.path,
        method="POST",
        headers={"content-type": "application/json", "origin": origin},
        content=json.dumps(login).encode(),
    )
    document = answer.json_body()
    code = document.get("code") if isinstance(document, dict) else None
    again = (
        f"curl -sS -i -X POST -H 'Origin: {origin}' -H 'Content-Type: application/json' "
        f'-d \'{{"email":"{NOBODY}","password":"wrong"}}\' {answer.url}'
    )
    return Origin(
        origin=origin,
        http_status=answer.status,
        code=code if isinstance(code, str) else "",
        excerpt=answer.excerpt,
        source=Source(where=f"POST {answer.url} with Origin: {origin}", again=again),
    )


NOUN = Noun("origin", Origin, collect, sources=("crm",))
