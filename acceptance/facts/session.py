"""The one approved sign-in of a run, and the cookie it brought."""

from __future__ import annotations

import json
import re
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from acceptance.errors import UnavailableError
from acceptance.facts.base import Fact, Noun, Source

if TYPE_CHECKING:
    from acceptance.access import Access

_SESSION_COOKIE = re.compile(r"(__Secure-|__Host-)?[^=]*session_token")
"""better-auth's session cookie; prefix and name are configurable (seen on better-auth 1.7.25)."""


class Session(Fact):
    """How signing in went. Holds no cookie value.

    Attributes:
        cookie: the session cookie's name, empty if none was set.
    """

    http_status: int
    excerpt: str
    cookie: str
    secure: bool
    http_only: bool
    same_site: str
    source: Source

    @property
    def signed_in(self) -> bool:
        """True if the server accepted the login and set a session cookie."""
        return self.http_status == 200 and bool(self.cookie)

    def protected(self) -> bool:
        """Tell whether scripts, plain connections and other sites are kept from the session.

        Raises:
            UnavailableError: signing in brought no cookie.
        """
        if not self.signed_in:
            raise UnavailableError(*self.refusal)
        return self.secure and self.http_only and self.same_site.lower() in ("lax", "strict")

    @property
    def attributes(self) -> str:
        """The cookie's name and what protects it."""
        set_ = [word for word, is_set in (("Secure", self.secure), ("HttpOnly", self.http_only)) if is_set]
        same_site = f"SameSite={self.same_site}" if self.same_site else "no SameSite"
        return ", ".join([self.cookie, *set_, same_site])

    @property
    def refusal(self) -> tuple[str, str]:
        """Why there is no session, and what to do."""
        told = f"signing in answered HTTP {self.http_status} {self.excerpt}".strip()
        if self.http_status == 429:
            return told, "wait ten seconds and run again"
        if self.http_status == 200:
            return f"{told}, and set no session cookie", "look at the answer's Set-Cookie by hand"
        return told, "check the account under [sign_in] in the target file"


async def collect(access: Access) -> Session:
    """Sign in once, as better-auth's e-mail sign-in wants it.

    The answer's body holds the live token: it is not kept, and its value is made known to the redactor.

    Raises:
        UnavailableError: not approved, no account in the target, or no answer.
    """
    account = access.target.sign_in
    if account is None:
        raise UnavailableError(
            "the target names no account to sign in with", "fill [sign_in] in the target file"
        )
    if not access.approved("sign-in"):
        raise UnavailableError("needs approval: sign-in", "run again with --approve sign-in")
    login = {"email": access.secret(account.email), "password": access.secret(account.password)}
    answer = await access.http.send(
        "sign-in",
        path=account.path,
        method="POST",
        headers={"content-type": "application/json", "origin": access.http.url("")},
        content=json.dumps(login).encode(),
    )
    document = answer.json_body()
    if isinstance(document, dict) and isinstance(document.get("token"), str):
        access.learn("session token", document["token"])
    access.session_cookie = ""
    jar = _cookies(answer.headers.get("set-cookie", ""))
    name = next((name for name in jar if _SESSION_COOKIE.fullmatch(name)), "")
    morsel = jar[name] if name else None
    if morsel is not None:
        access.learn("session cookie", morsel.coded_value)
        access.session_cookie = f"{name}={morsel.coded_value}"
    return Session(
        http_status=answer.status,
        excerpt="" if answer.status == 200 else answer.excerpt,
        cookie=name,
        secure=bool(morsel and morsel["secure"]),
        http_only=bool(morsel and morsel["httponly"]),
        same_site=str(morsel["samesite"]) if morsel else "",
        source=Source(
            where=f"POST {answer.url}", again=f"sign in at {access.http.url('/login')} in a browser"
        ),
    )


def _cookies(header: str) -> SimpleCookie:
    jar = SimpleCookie()
    for line in header.split("\n"):
        try:
            jar.load(line)
        except CookieError:
            continue
    return jar


NOUN = Noun(
    "session", Session, collect, sources=("crm", "secret.sign_in"), actions=("sign-in",), teaches=True
)
