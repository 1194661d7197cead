"""Answers as Documenso's web server gives them, and the table that says which handler gives one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, unquote

from rehearsal.apps.web import Answer, Request

CORS = (("access-control-allow-origin", "*"),)
TEXT = "text/plain; charset=UTF-8"

Headers = tuple[tuple[str, str], ...]
Handler = Callable[..., Answer]
"""Takes the request and, by name, the parts of its path that the route names."""


def as_json(body: object, status: int = 200, headers: Headers = ()) -> Answer:
    """Return JSON."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status, content, "application/json", headers=headers)


def as_text(text: str, status: int = 200, headers: Headers = ()) -> Answer:
    """Return plain text."""
    return Answer(status, text.encode(), TEXT, headers=headers)


def redirect(location: str, headers: Headers = ()) -> Answer:
    """Return a 302 without a body."""
    return Answer(302, b"", TEXT, headers=(("location", location), *headers))


def with_headers(answer: Answer, headers: Headers) -> Answer:
    """Return the same answer with more headers."""
    return Answer(
        answer.status, answer.body, answer.content_type, answer.afterwards, (*headers, *answer.headers)
    )


class Routes:
    """Handlers by method and path; `{name}` in a path stands for one part of it."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []

    def add(self, method: str, path: str, handler: Handler) -> None:
        """Add a route; earlier ones win."""
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
        self._routes.append((method, re.compile(pattern), handler))

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
        """Return the handler of a request and the named parts of its path, None if there is none."""
        for known, pattern, handler in self._routes:
            found = pattern.fullmatch(path) if known == method else None
            if found:
                return handler, {name: unquote(part) for name, part in found.groupdict().items()}
        return None


def cookies(request: Request) -> dict[str, str]:
    """Return the request's cookies, still encoded."""
    try:
        jar = SimpleCookie(request.headers.get("cookie", ""))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in jar.items()}


def signed(value: str, secret: str) -> str:
    """Return the text of a cookie whose value is signed with NEXTAUTH_SECRET."""
    digest = hmac.digest(secret.encode(), value.encode(), hashlib.sha256)
    return quote(f"{value}.{base64.b64encode(digest).decode()}", safe="")


def unsigned(cookie: str, secret: str) -> str:
    """Return the value of a signed cookie, empty if the signature is wrong."""
    value = unquote(cookie).rpartition(".")[0]
    return value if hmac.compare_digest(signed(value, secret).encode(), cookie.encode()) else ""


def set_cookie(
    name: str,
    value: str,
    *,
    domain: str = "",
    max_age: int = 0,
    expires: str = "",
    secure: bool = False,
    same_site: str = "Lax",
) -> tuple[str, str]:
    """Return a Set-Cookie header with its attributes in Documenso's order."""
    attributes = [
        f"Max-Age={max_age}" if max_age else "",
        f"Domain={domain}" if domain else "",
        "Path=/",
        f"Expires={expires}" if expires else "",
        "HttpOnly",
        "Secure" if secure else "",
        f"SameSite={same_site}",
    ]
    return "set-cookie", "; ".join([f"{name}={value}", *filter(None, attributes)])


def client_address(request: Request) -> str:
    """Return the address that limits are counted for; all callers without one share `unknown`."""
    for name in ("x-forwarded-for", "x-real-ip", "x-client-ip", "cf-connecting-ip", "fastly-client-ip"):
        address = request.headers.get(name, "").partition(",")[0].strip()
        if address:
            return address
    return "unknown"
