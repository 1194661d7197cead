"""The web pages, as little of them as a browser needs to sign in, and to show that a page is not there."""

from __future__ import annotations

import html
import secrets

from rehearsal.apps import console
from rehearsal.apps.documenso.auth import Auth
from rehearsal.apps.documenso.context import Context
from rehearsal.apps.documenso.documents import number_of
from rehearsal.apps.documenso.http import Headers, Routes, redirect, set_cookie, with_headers
from rehearsal.apps.documenso.signing import Signing
from rehearsal.apps.documenso.store import QueryError, Row
from rehearsal.apps.web import Answer, Request

_SCRIPT = "/assets/entry.client.js"
_STYLE = "/assets/root.css"
_TWO_YEARS_S = 63072000
_SHOWN = 50

_CODE = b"""\
const form = document.querySelector("form[data-signin]");
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { csrfToken } = await (await fetch("/api/auth/csrf")).json();
  const { email, password } = Object.fromEntries(new FormData(form));
  const answer = await fetch("/api/auth/email-password/authorize", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email, password, csrfToken }),
  });
  if (answer.ok) location.assign("/");
  else document.querySelector("[role=alert]").textContent = "The email or password provided is incorrect";
});
"""
_SIGN_IN = """\
<h1>Sign in to your account</h1>
<form data-signin method="post">
<label>Email <input name="email" type="email" autocomplete="email" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<a href="/forgot-password">Forgot your password?</a>
<button type="submit">Sign In</button>
<p role="alert"></p>
</form>
<p>Don't have an account? <a href="/signup">Sign up</a></p>
"""
_SIGN_UP = """\
<h1>Create a new account</h1>
<form method="post">
<label>Full Name <input name="name" required></label>
<label>Email Address <input name="email" type="email" required></label>
<label>Password <input name="password" type="password" autocomplete="new-password" required></label>
<button type="submit">Create account</button>
</form>
"""


class Pages:
    """Every path that is no API."""

    def __init__(self, context: Context, auth: Auth, signing: Signing) -> None:
        self._settings = context.settings
        self._store = context.store
        self._documents = context.documents
        self._auth = auth
        self._signing = signing
        self._routes = Routes()
        self._routes.add("GET", "/", self._root)
        self._routes.add("GET", "/signin", self._sign_in)
        self._routes.add("GET", "/signup", self._sign_up)
        self._routes.add("GET", "/documents", self._documents_of_somebody)
        self._routes.add("GET", "/t/{team}/documents", self._list)
        self._routes.add("GET", "/sign/{token}", self._sign)
        self._routes.add(
            "GET", _SCRIPT, lambda _request: Answer(200, _CODE, "text/javascript; charset=utf-8")
        )
        self._routes.add("GET", _STYLE, lambda _request: Answer(200, b"", "text/css; charset=utf-8"))

    def answer(self, request: Request) -> Answer:
        """Answer a request for a page; HEAD is answered as GET, without the body."""
        method = "GET" if request.method == "HEAD" else request.method
        found = self._routes.find(method, request.path)
        nonce = secrets.token_urlsafe(16) if self._settings.release.has_policy else ""
        try:
            answer = found[0](request, **found[1]) if found else _not_found()
        except QueryError as error:
            console.error(str(error))
            answer = _page("Documenso", "<h1>500</h1><p>Something went wrong.</p>", 500)
        return _dressed(answer, nonce, policy=not request.path.startswith("/api/"))

    def _root(self, request: Request) -> Answer:
        user = self._somebody(request)
        return redirect(f"/t/{self._team(user)['url']}/documents" if user else "/signin")

    def _documents_of_somebody(self, request: Request) -> Answer:
        user = self._somebody(request)
        return redirect(f"/t/{self._team(user)['url']}/documents" if user else "/")

    def _sign_in(self, request: Request) -> Answer:
        if self._somebody(request):
            return redirect("/")
        return _page("Sign In - Documenso", _SIGN_IN, headers=(self._language,))

    def _sign_up(self, _request: Request) -> Answer:
        return _page("Sign Up - Documenso", _SIGN_UP, headers=(self._language,))

    def _list(self, request: Request, team: str) -> Answer:
        user = self._somebody(request)
        if user is None:
            return redirect("/signin")
        wanted = self._team(user)
        if wanted["url"] != team:
            return _not_found()
        with self._store.transaction("envelope.findMany") as transaction:
            rows, count = self._documents.page(transaction, "document", wanted["id"], 1, _SHOWN)
        items = "".join(
            f'<li data-document="{number_of(row)}">{html.escape(row["title"])} ({row["status"]})</li>'
            for row in rows
        )
        body = f'<h1>Documents</h1><p data-count="{count}">{html.escape(user["email"])}</p><ul>{items}</ul>'
        return _page("Documents - Documenso", body, headers=(self._language,))

    def _sign(self, _request: Request, token: str) -> Answer:
        envelope = self._signing.open(token)
        if envelope is None:
            return _not_found()
        if envelope["status"] == "COMPLETED":
            return redirect(f"/sign/{token}/complete")
        title = "Sign Document - Documenso" if self._settings.release.has_policy else "Documenso"
        return _page(title, f"<h1>{html.escape(envelope['title'])}</h1>", headers=(self._language,))

    def _somebody(self, request: Request) -> Row | None:
        """Without a cookie the database is not asked, so that these pages stay up when it is down."""
        return self._auth.user(request)

    def _team(self, user: Row) -> Row:
        return self._store.rows(
            'select distinct t.id, t.url from "Team" t '
            'join "OrganisationMember" m on m."organisationId" = t."organisationId" '
            'where m."userId" = %s order by t.id limit 1',
            user["id"],
            call="team.findFirst",
        )[0]

    @property
    def _language(self) -> tuple[str, str]:
        """The cookie `lang`, whose Secure follows NODE_ENV alone."""
        return set_cookie("lang", "en", max_age=_TWO_YEARS_S, secure=self._settings.production)


def _page(title: str, body: str, status: int = 200, headers: Headers = ()) -> Answer:
    text = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title>"
        f'<link rel="icon" href="data:,"><link rel="stylesheet" href="{_STYLE}"></head>'
        f'<body>{body}<script{{nonce}} type="module" src="{_SCRIPT}"></script></body></html>'
    )
    return Answer(status, text.encode(), "text/html", headers=headers)


def _not_found() -> Answer:
    return _page("Documenso", "<h1>404</h1><p>Page not found</p>", 404)


def _dressed(answer: Answer, nonce: str, *, policy: bool) -> Answer:
    """Put the nonce where it belongs: into the scripts, and unless it is below /api, into the policy."""
    if answer.content_type == "text/html":
        attribute = f' nonce="{nonce}"' if nonce else ""
        body = answer.body.replace(b"{nonce}", attribute.encode())
        answer = Answer(answer.status, body, answer.content_type, headers=answer.headers)
    if not nonce or not policy:
        return answer
    value = f"script-src 'self' 'nonce-{nonce}' 'strict-dynamic'; object-src 'none'; base-uri 'self'"
    return with_headers(answer, (("content-security-policy", value),))
