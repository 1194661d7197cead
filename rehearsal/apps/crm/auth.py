"""better-auth's e-mail sign-in: routes, cookies, origin check, rate limit, session rows.

Everything here was seen on better-auth 1.7.25 unless a docstring says otherwise.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import math
import re
import secrets
import string
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rehearsal.apps import console
from rehearsal.apps.crm import password
from rehearsal.apps.crm.responses import chunked, empty
from rehearsal.apps.database import Database, QueryFailedError
from rehearsal.apps.knobs import Knobs
from rehearsal.apps.settings import Settings

_BASE = "/api/auth"
_SIGN_IN = "/sign-in/email"
_LIFETIME = timedelta(days=7)
_UPDATE_AGE = timedelta(days=1)
_WINDOW_S = 10
_ALPHABET = string.ascii_letters + string.digits
_EMAIL = re.compile(
    r"(?!\.)(?!.*\.\.)[A-Za-z0-9_'+\-.]*[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}"
)
_JSON_TYPES = {type(None): "null", bool: "boolean", int: "number", float: "number", list: "array"}
_NO_CACHE = {"cache-control": "no-store", "pragma": "no-cache"}


class _RefusedError(Exception):
    """The request is answered with an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message, "code": code}


@dataclass(frozen=True)
class Session:
    """A live session, as the pages need it."""

    token: str
    email: str


class _RateLimit:
    """better-auth's memory store: a fixed number of requests per client address and path.

    The window starts anew with each counted request; a refused one is not counted.
    """

    def __init__(self, sign_ins: int) -> None:
        self._sign_ins = sign_ins
        self._seen: dict[tuple[str, str], tuple[int, float]] = {}

    def retry_after(self, client: str, path: str) -> int:
        """Count the request; return 0, or the seconds to wait if it is one too many."""
        limited = path.startswith(("/sign-in", "/sign-up", "/change-password"))
        limit = self._sign_ins if limited else 100
        now = time.monotonic()
        count, last = self._seen.get((client, path), (0, now))
        if now - last >= _WINDOW_S:
            count = 0
        if count >= limit:
            return math.ceil(last + _WINDOW_S - now)
        self._seen[client, path] = (count + 1, now)
        return 0


class Auth:
    """The routes below /api/auth, and the session of a request's cookies."""

    def __init__(self, settings: Settings, database: Database, knobs: Knobs) -> None:
        self._settings = settings
        self._database = database
        self._knobs = knobs
        self._rate_limit = _RateLimit(settings.sign_in_limit)
        self._handlers = {
            ("GET", "/ok"): self._ok,
            ("GET", "/get-session"): self._get_session,
            ("POST", _SIGN_IN): self._sign_in,
            ("POST", "/sign-out"): self._sign_out,
        }
        self.route = Route(_BASE + "{path:path}", self._answer, methods=["GET", "POST"])

    async def session(self, cookies: Mapping[str, str]) -> Session | None:
        """Return the live session of these cookies, None if there is none.

        Raises:
            QueryFailedError: the database could not be asked.
        """
        token = self._signed(cookies.get(self._name("session_token"), ""))
        rows = await self._rows_of(token) if token else []
        if not rows or rows[0]["expiresAt"] <= datetime.now(UTC):
            return None
        return Session(token=rows[0]["token"], email=rows[0]["email"])

    async def _answer(self, request: Request) -> Response:
        path = request.path_params["path"]
        wait = self._rate_limit.retry_after(_client(request), path) if self._settings.production else 0
        if wait:
            body = {"message": "Too many requests. Please try again later."}
            return _json(body, 429, {"x-retry-after": str(wait)})
        handler = self._handlers.get((request.method, path))
        if handler is None:
            return empty(404)
        try:
            return await handler(request)
        except _RefusedError as refused:
            return _json(refused.body, refused.status)

    async def _ok(self, _request: Request) -> Response:
        return _json({"ok": True})

    async def _sign_in(self, request: Request) -> Response:
        body = await _body(request)
        self._check_origin(request, body)
        email, secret = _credentials(body)
        user = await self._user(email)
        if user is None or not await asyncio.to_thread(password.matches, secret, user["password"]):
            raise _RefusedError(401, "INVALID_EMAIL_OR_PASSWORD", "Invalid email or password")
        token = await self._open_session(request, user["id"])
        target = {"url": body["callbackURL"]} if body.get("callbackURL") else {}
        answer = _json(
            {"redirect": bool(target), "token": token, **target, "user": _user_json(user)},
            headers={"location": target["url"]} if target else {},
        )
        remember = body.get("rememberMe") is not False
        self._set_cookie(answer, "session_token", self._sign(token), lasting=remember)
        if not remember:
            self._set_cookie(answer, "dont_remember", self._sign("true"), lasting=False)
        return answer

    async def _sign_out(self, request: Request) -> Response:
        self._check_origin(request, {})
        token = self._signed(request.cookies.get(self._name("session_token"), ""))
        if token:
            await self._database.rows("delete from session where token = %s", (token,))
        answer = _json({"success": True})
        self._clear_cookies(answer)
        return answer

    async def _get_session(self, request: Request) -> Response:
        token = self._signed(request.cookies.get(self._name("session_token"), ""))
        if not token:
            return _json(None, headers=_NO_CACHE)
        try:
            rows = await self._rows_of(token)
        except QueryFailedError as error:
            console.error(error.text)
            raise _RefusedError(500, "FAILED_TO_GET_SESSION", "Failed to get session") from error
        if not rows or rows[0]["expiresAt"] <= datetime.now(UTC):
            answer = _json(None, headers=_NO_CACHE)
            self._clear_cookies(answer)
            return answer
        return await self._live_session(rows[0])

    async def _live_session(self, row: dict[str, Any]) -> Response:
        now = datetime.now(UTC)
        renew = row["expiresAt"] - _LIFETIME + _UPDATE_AGE <= now
        if renew:
            row |= {"expiresAt": now + _LIFETIME, "session_updated": now}
            await self._database.rows(
                'update session set "expiresAt" = %s, "updatedAt" = %s where token = %s',
                (row["expiresAt"], now, row["token"]),
            )
        answer = _json({"session": _session_json(row), "user": _user_json(row)}, headers=_NO_CACHE)
        if renew:
            self._set_cookie(answer, "session_token", self._sign(row["token"]), lasting=True)
        return answer

    async def _user(self, email: str) -> dict[str, Any] | None:
        rows = await self._database.rows(
            'select u.*, a.password from "user" u join account a on a."userId" = u.id '
            "where u.email = %s and a.\"providerId\" = 'credential'",
            (email.lower(),),
        )
        return rows[0] if rows else None

    async def _rows_of(self, token: str) -> list[dict[str, Any]]:
        return await self._database.rows(
            'select u.*, s.id as session_id, s.token, s."expiresAt", s."ipAddress", s."userAgent", '
            's."createdAt" as session_created, s."updatedAt" as session_updated '
            'from session s join "user" u on u.id = s."userId" where s.token = %s',
            (token,),
        )

    async def _open_session(self, request: Request, user: str) -> str:
        token, now = _random(), datetime.now(UTC)
        await self._database.rows(
            'insert into session (id, "expiresAt", token, "createdAt", "updatedAt", "ipAddress", '
            '"userAgent", "userId") values (%s, %s, %s, %s, %s, %s, %s, %s)',
            (
                _random(),
                now + _LIFETIME,
                token,
                now,
                now,
                _client(request),
                request.headers.get("user-agent", ""),
                user,
            ),
        )
        return token

    @property
    def _base_url(self) -> str:
        url = self._settings.auth_url
        if self._knobs.word("auth") in {"http-base-url", "untrusted-origin"}:
            return "http://" + url.partition("://")[2]
        return url

    @property
    def _trusted(self) -> set[str]:
        if self._knobs.word("auth") == "untrusted-origin":
            return {_origin(self._base_url)}
        return {_origin(self._base_url), _origin(self._settings.app_url)}

    @property
    def _secure(self) -> bool:
        return self._base_url.startswith("https://")

    def _name(self, kind: str) -> str:
        return f"{'__Secure-' if self._secure else ''}better-auth.{kind}"

    def _sign(self, value: str) -> str:
        digest = hmac.digest(self._settings.auth_secret.encode(), value.encode(), hashlib.sha256)
        return quote(f"{value}.{base64.b64encode(digest).decode()}", safe="")

    def _signed(self, cookie: str) -> str:
        value = unquote(cookie).rpartition(".")[0]
        return value if hmac.compare_digest(self._sign(value).encode(), cookie.encode()) else ""

    def _set_cookie(self, answer: Response, kind: str, value: str, *, lasting: bool) -> None:
        age = f"; Max-Age={int(_LIFETIME.total_seconds())}" if lasting else ""
        self._cookie(answer, f"{self._name(kind)}={value}{age}")

    def _clear_cookies(self, answer: Response) -> None:
        for kind in ("session_token", "session_data", "dont_remember"):
            self._cookie(answer, f"{self._name(kind)}=; Max-Age=0")

    def _cookie(self, answer: Response, start: str) -> None:
        secure = "; Secure" if self._secure else ""
        answer.headers.append("set-cookie", f"{start}; Path=/; HttpOnly{secure}; SameSite=Lax")

    def _check_origin(self, request: Request, body: Mapping[str, Any]) -> None:
        headers = request.headers
        if "cookie" in headers:
            self._require_trusted(headers)
        elif headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") == "navigate":
            raise _RefusedError(
                403,
                "CROSS_SITE_NAVIGATION_LOGIN_BLOCKED",
                "Cross-site navigation login blocked. This request appears to be a CSRF attack.",
            )
        elif any(name in {"origin", "referer"} or name.startswith("sec-fetch-") for name in headers):
            self._require_trusted(headers)
        callback = body.get("callbackURL")
        if isinstance(callback, str) and urlsplit(callback).netloc and _origin(callback) not in self._trusted:
            raise _RefusedError(403, "INVALID_CALLBACK_URL", "Invalid callbackURL")

    def _require_trusted(self, headers: Mapping[str, str]) -> None:
        origin = headers.get("origin") or _origin(headers.get("referer", ""))
        if not origin or origin == "null":
            raise _RefusedError(403, "MISSING_OR_NULL_ORIGIN", "Missing or null Origin")
        if origin not in self._trusted:
            raise _RefusedError(403, "INVALID_ORIGIN", "Invalid origin")


def _json(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return chunked(JSONResponse(body, status, headers))


def _random() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(32))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def _client(request: Request) -> str:
    return request.headers.get("x-forwarded-for", "").split(",")[0].strip()


async def _body(request: Request) -> dict[str, Any]:
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    text = (await request.body()).decode("utf-8", errors="replace")
    if kind == "application/x-www-form-urlencoded":
        return dict(parse_qsl(text))
    if kind != "application/json":
        allowed = "application/x-www-form-urlencoded, application/json"
        message = f'Content-Type "{kind}" is not allowed. Allowed types: {allowed}'
        raise _RefusedError(415, "UNSUPPORTED_MEDIA_TYPE", message)
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        raise _RefusedError(400, "BAD_REQUEST", "Invalid JSON in request body") from error
    return body if isinstance(body, dict) else {}


def _credentials(body: Mapping[str, Any]) -> tuple[str, str]:
    wrong = [
        f"[body.{name}] Invalid input: expected string, received {_json_type(body, name)}"
        for name in ("email", "password")
        if not isinstance(body.get(name), str)
    ]
    if wrong:
        raise _RefusedError(400, "VALIDATION_ERROR", "; ".join(wrong))
    if not _EMAIL.fullmatch(body["email"]):
        raise _RefusedError(400, "INVALID_EMAIL", "Invalid email")
    return body["email"], body["password"]


def _json_type(body: Mapping[str, Any], name: str) -> str:
    return _JSON_TYPES.get(type(body[name]), "object") if name in body else "undefined"


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _user_json(row: Mapping[str, Any]) -> dict[str, object]:
    return {
        "name": row["name"],
        "email": row["email"],
        "emailVerified": row["emailVerified"],
        "image": row["image"],
        "createdAt": _instant(row["createdAt"]),
        "updatedAt": _instant(row["updatedAt"]),
        "id": row["id"],
    }


def _session_json(row: Mapping[str, Any]) -> dict[str, object]:
    return {
        "expiresAt": _instant(row["expiresAt"]),
        "token": row["token"],
        "createdAt": _instant(row["session_created"]),
        "updatedAt": _instant(row["session_updated"]),
        "ipAddress": row["ipAddress"],
        "userAgent": row["userAgent"],
        "userId": row["id"],
        "id": row["session_id"],
    }
