"""The pages: login for everybody, berth list and deals behind the session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rehearsal.apps.crm import branding
from rehearsal.apps.crm.auth import Auth
from rehearsal.apps.crm.public import RouteError, all_berths
from rehearsal.apps.crm.responses import failed, not_found, page, redirect
from rehearsal.apps.database import Database
from rehearsal.apps.knobs import Knobs

_SCRIPT_PATH = "/_next/static/chunks/login.js"
_SCRIPT = """\
const form = document.querySelector('form')
const problem = document.querySelector('[role=alert]')
form.addEventListener('submit', async (event) => {
  event.preventDefault()
  const fields = new FormData(form)
  const answer = await fetch('/api/auth/sign-in/email', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: fields.get('email'), password: fields.get('password') }),
  })
  if (answer.ok) location.assign('/berths')
  else problem.textContent = (await answer.json()).message
})
"""
_BROKEN_SCRIPT = "document.querySelector('#session-panel').hidden = false\n"
_STYLE = f"""\
:root {{ --brand: {branding.COLOUR}; }}
body {{ margin: 0; font-family: system-ui, sans-serif; color: #1c2733; background: #f6f4ef; }}
header {{ background: var(--brand); padding: .5rem 1rem; }}
main {{ max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }}
form, label {{ display: grid; gap: .75rem; max-width: 20rem; }}
input {{ padding: .5rem; font: inherit; }}
button {{ padding: .6rem; font: inherit; border: 0; color: #fff; background: var(--brand); }}
table {{ border-collapse: collapse; width: 100%; }}
td, th {{ text-align: left; padding: .4rem; border-bottom: 1px solid #d9d4c7; }}
"""

_Content = Callable[[Request], Awaitable[Response]]


class Pages:
    """These pages and the static files they load."""

    def __init__(self, auth: Auth, database: Database, knobs: Knobs) -> None:
        self._auth = auth
        self._database = database
        self._knobs = knobs
        self.routes = [
            Route("/", self._home),
            Route("/login", self._login),
            Route("/berths", self._guarded(self._berths)),
            Route("/deals/{id}", self._guarded(self._deal)),
            Route(_SCRIPT_PATH, self._script),
            Route(branding.LOGO_PATH, self._logo),
        ]

    def _guarded(self, content: _Content) -> _Content:
        async def guarded(request: Request) -> Response:
            if self._knobs.word("guard") != "open" and not await self._auth.session(request.cookies):
                return redirect("/login")
            return await content(request)

        return guarded

    async def _home(self, request: Request) -> Response:
        return redirect("/berths" if await self._auth.session(request.cookies) else "/login")

    async def _login(self, request: Request) -> Response:
        if self._knobs.word("login") == "500":
            return failed(request.url.path)
        return page(
            _document(
                "<h1>Sign in</h1>"
                '<form method="post" action="/api/auth/sign-in/email">'
                '<label>Email <input type="email" name="email" autocomplete="username" required/></label>'
                '<label>Password <input type="password" name="password" '
                'autocomplete="current-password" required/></label>'
                '<button type="submit">Sign in</button><p role="alert"></p></form>'
                f'<script src="{_SCRIPT_PATH}" defer></script>'
            )
        )

    async def _berths(self, _request: Request) -> Response:
        knob = self._knobs.word("berths")
        if knob == "page-error":
            raise RouteError("Error: berth list is not available")
        berths = [] if knob == "empty" else await all_berths(self._database, self._knobs)
        return page(
            _document(
                "<h1>Berths</h1><table><thead><tr><th>Berth</th><th>Status</th><th>Length</th>"
                f"<th>Price</th></tr></thead><tbody>{''.join(map(_berth_row, berths))}</tbody></table>"
            )
        )

    async def _deal(self, request: Request) -> Response:
        if self._knobs.word("deal") == "error":
            raise RouteError("Error: deal could not be rendered")
        number = request.path_params["id"]
        deals = await self._deals(int(number)) if number.isdecimal() else []
        return page(_document(_deal_text(deals[0]))) if deals else not_found()

    async def _deals(self, number: int) -> list[dict[str, Any]]:
        return await self._database.rows(
            "select d.id, d.title, d.client_name, d.stage, d.value_eur::float8, b.name as berth "
            "from deals d join berths b on b.id = d.berth_id where d.id = %s",
            (number,),
            way=self._knobs.word("log"),
        )

    async def _script(self, _request: Request) -> Response:
        broken = self._knobs.word("login") == "script-error"
        return _static(
            (_BROKEN_SCRIPT if broken else _SCRIPT).encode(), "application/javascript; charset=UTF-8"
        )

    async def _logo(self, _request: Request) -> Response:
        knob = self._knobs.word("logo")
        if knob == "404":
            return not_found()
        return _static(branding.PIXEL if knob == "pixel" else branding.LOGO, "image/png")


def _static(content: bytes, media_type: str) -> Response:
    return Response(content, 200, {"cache-control": "public, max-age=0"}, media_type)


def _document(main: str) -> str:
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"/><title>{branding.TITLE}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f'<link rel="icon" href="data:,"/><style>{_STYLE}</style></head><body>'
        f'<header><img src="{branding.LOGO_PATH}" width="{branding.LOGO_WIDTH}" '
        f'height="{branding.LOGO_HEIGHT}" alt="Port Nimara"/></header><main>{main}</main></body></html>'
    )


def _berth_row(berth: dict[str, Any]) -> str:
    return (
        f'<tr data-berth="{berth["id"]}"><td>{escape(berth["name"])}</td><td>{escape(berth["status"])}'
        f"</td><td>{berth['length_m']:g} m</td><td>€ {berth['price_eur']:,.0f}</td></tr>"
    )


def _deal_text(deal: dict[str, Any]) -> str:
    return (
        f'<article data-deal="{deal["id"]}"><h1>{escape(deal["title"])}</h1><dl>'
        f"<dt>Client</dt><dd>{escape(deal['client_name'])}</dd>"
        f"<dt>Berth</dt><dd>{escape(deal['berth'])}</dd>"
        f"<dt>Stage</dt><dd>{escape(deal['stage'])}</dd>"
        f"<dt>Value</dt><dd>€ {deal['value_eur']:,.0f}</dd></dl></article>"
    )
