"""Sessions of the web pages: csrf token, sign-in with e-mail and password, sign-out.

`csrf` and `session` without a cookie were recorded. Signing in is derived from the source: the csrf token
must come back in the body, the session's row is found by the SHA-256 of the cookie's token.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from datetime import timedelta
from email.utils import formatdate

from rehearsal.apps import console
from rehearsal.apps.documenso import ids
from rehearsal.apps.documenso.context import Context
from rehearsal.apps.documenso.http import (
    Headers,
    as_json,
    as_text,
    client_address,
    cookies,
    set_cookie,
    signed,
    unsigned,
    with_headers,
)
from rehearsal.apps.documenso.limits import Stored
from rehearsal.apps.documenso.store import QueryError, Row, iso, now
from rehearsal.apps.web import Answer, Request

PREFIX = "/api/auth"
_LIFETIME = timedelta(days=30)
_SIGN_INS = 10
_SIGN_INS_WINDOW_S = 15 * 60
_USER = (
    "id",
    "name",
    "email",
    "emailVerified",
    "avatarImageId",
    "twoFactorEnabled",
    "roles",
    "signature",
)


class AuthError(Exception):
    """The request is refused."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Auth:
    """The routes below `/api/auth`, and the session of a request's cookies."""

    def __init__(self, context: Context, limits: Stored | None) -> None:
        """Prepare.

        Args:
            context: how cookies are named, marked and signed; users and sessions.
            limits: counts sign-ins per address of mail; None if the release does not.
        """
        self._settings = context.settings
        self._store = context.store
        self._knobs = context.knobs
        self._limits = limits
        self._routes = {
            ("GET", "/csrf"): self._csrf,
            ("GET", "/session"): self._session,
            ("POST", "/email-password/authorize"): self._authorize,
            ("POST", "/signout"): self._sign_out,
        }

    def answer(self, request: Request) -> Answer | None:
        """Answer a request below `/api/auth`, None if there is no such route."""
        handler = self._routes.get((request.method, request.path.removeprefix(PREFIX)))
        if handler is None:
            return None
        origin = request.headers.get("origin")
        if origin and origin != self._settings.url:
            return as_json({"message": "Forbidden", "statusCode": 403}, 403)
        try:
            return handler(request)
        except AuthError as error:
            body = {"code": error.code, "message": str(error), "statusCode": error.status}
            return as_json(body, error.status)
        except QueryError as error:
            console.error(str(error))
            body = {"code": "UNKNOWN_ERROR", "message": "Internal Server Error", "statusCode": 500}
            return as_json(body, 500)

    def user(self, request: Request) -> Row | None:
        """Return the user whose session a request's cookie is, and when that ends; None if there is none.

        Raises:
            QueryError: the database cannot tell.
        """
        token = self._value(request, "sessionId")
        if not token or self._knobs.word("login") == "forgets":
            return None
        found = self._store.rows(
            'select u.*, s.id as session, s."createdAt" as opened, s."expiresAt" as expires from "Session" s '
            'join "User" u on u.id = s."userId" where s."sessionToken" = %s and s."expiresAt" > %s',
            _digest(token),
            now(),
            call="session.findUnique",
        )
        return found[0] if found else None

    def _csrf(self, _request: Request) -> Answer:
        token = ids.session_token()
        return as_json({"csrfToken": token}, headers=(self._cookie("csrfToken", token),))

    def _session(self, request: Request) -> Answer:
        user = self.user(request)
        if user is None:
            return as_json({"isAuthenticated": False, "session": None, "user": None})
        session = {
            "id": user["session"],
            "createdAt": iso(user["opened"]),
            "expiresAt": iso(user["expires"]),
            "userId": user["id"],
        }
        shown = {name: user[name] for name in _USER} | {"emailVerified": iso(user["emailVerified"])}
        return as_json({"isAuthenticated": True, "session": session, "user": shown})

    def _authorize(self, request: Request) -> Answer:
        if self._knobs.word("login") == "500":
            raise AuthError("UNKNOWN_ERROR", "Internal Server Error", 500)
        given = request.document()
        email, password = str(given.get("email", "")).lower(), str(given.get("password", ""))
        counted: Headers = ()
        if self._limits is not None:
            check = self._limits.check("auth.login", f"id:{email}", _SIGN_INS, _SIGN_INS_WINDOW_S)
            if check.limited:
                return check.refusal()
            counted = check.headers
        csrf = self._value(request, "csrfToken")
        if not csrf or not hmac.compare_digest(csrf.encode(), str(given.get("csrfToken", "")).encode()):
            raise AuthError("INVALID_REQUEST", "Invalid CSRF token")
        user = self._user_with(email, password)
        token = ids.session_token()
        self._open_session(request, user, token)
        return with_headers(as_text("", 201), (self._cookie("sessionId", token, lasting=True), *counted))

    def _user_with(self, email: str, password: str) -> Row:
        # PostgreSQL's pgcrypto knows bcrypt as $2a$; what Documenso writes as $2b$ is the same.
        found = self._store.rows(
            "select *, crypt(%s, '$2a' || substr(password, 4)) = '$2a' || substr(password, 4) as matches "
            'from "User" where email = %s and password is not null',
            password,
            email,
            call="user.findFirst",
        )
        if not found or not found[0]["matches"]:
            raise AuthError("INVALID_CREDENTIALS", "Invalid email or password")
        if found[0]["emailVerified"] is None:
            raise AuthError("UNVERIFIED_EMAIL", "Unverified email")
        if found[0]["disabled"]:
            raise AuthError("ACCOUNT_DISABLED", "Account disabled")
        return found[0]

    def _open_session(self, request: Request, user: Row, token: str) -> None:
        digest, moment = _digest(token), now()
        with self._store.transaction("session.create") as transaction:
            transaction.insert(
                "Session",
                {
                    "id": digest,
                    "sessionToken": digest,
                    "userId": user["id"],
                    "createdAt": moment,
                    "updatedAt": moment,
                    "expiresAt": moment + _LIFETIME,
                    "ipAddress": client_address(request),
                    "userAgent": request.headers.get("user-agent"),
                },
            )
            transaction.insert(
                "UserSecurityAuditLog", {"userId": user["id"], "type": "SIGN_IN", "createdAt": moment}
            )
            transaction.update("User", user["id"], {"lastSignedIn": moment})

    def _sign_out(self, request: Request) -> Answer:
        token = self._value(request, "sessionId")
        if token:
            self._store.rows('delete from "Session" where "sessionToken" = %s', _digest(token))
        gone = set_cookie(
            self._name("sessionId"),
            "",
            domain=self._settings.domain,
            expires=formatdate(0, usegmt=True),
            secure=self._settings.secure_cookies,
            same_site=self._same_site,
        )
        return as_text("OK", headers=(gone,))

    def _cookie(self, name: str, value: str, *, lasting: bool = False) -> tuple[str, str]:
        end = formatdate(time.time() + _LIFETIME.total_seconds(), usegmt=True) if lasting else ""
        return set_cookie(
            self._name(name),
            signed(value, self._settings.secret),
            domain=self._settings.domain,
            expires=end,
            secure=self._settings.secure_cookies,
            same_site=self._same_site,
        )

    def _value(self, request: Request, name: str) -> str:
        return unsigned(cookies(request).get(self._name(name), ""), self._settings.secret)

    def _name(self, name: str) -> str:
        return f"__Secure-{name}" if self._settings.secure_cookies else name

    @property
    def _same_site(self) -> str:
        return "None" if self._settings.secure_cookies else "Lax"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
