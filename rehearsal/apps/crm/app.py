"""Puts the CRM stand-in together."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from rehearsal.apps import console
from rehearsal.apps.crm.auth import Auth
from rehearsal.apps.crm.pages import Pages
from rehearsal.apps.crm.public import Public, RouteError
from rehearsal.apps.crm.realtime import Realtime
from rehearsal.apps.crm.responses import empty, failed, json_answer, not_found
from rehearsal.apps.database import BROKEN, Database, QueryFailedError
from rehearsal.apps.knobs import Knobs
from rehearsal.apps.settings import Settings

_UNHANDLED = (
    "⨯ unhandledRejection: Error: late rejection\n"
    "    at Timeout._onTimeout (.next/server/chunks/_12kf1loiuqzrc._.js:1:97)"
)
_UNHANDLED_EVERY_S = 0.5
_BURST = "⨯ Error: no owner found\n    at async POST (.next/server/chunks/_0yhmf3vqkzrtd._.js:1:3105)"
_BURST_EVERY_S = 0.1


def create(settings: Settings) -> ASGIApp:
    """Return the ASGI application. Neither database nor Redis need to be up."""
    knobs = Knobs(settings.knobs)
    database = Database(settings.database_url)
    auth = Auth(settings, database, knobs)

    async def query(request: Request) -> Response:
        """Run the failing query of that kind and log its error the way the knob `log` says."""
        kind = request.path_params["kind"]
        if kind not in BROKEN:
            return not_found()
        try:
            await database.provoke(kind, way=knobs.word("log"))
        except QueryFailedError as error:
            console.error(error.text)
            return json_answer({"kind": kind, "code": error.code})
        return json_answer({"kind": kind, "code": None})

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await realtime.attach()
        noises = [asyncio.create_task(_crash_loop(knobs)), asyncio.create_task(_error_burst(knobs))]
        yield
        for noise in noises:
            noise.cancel()

    def uncaught_query(request: Request, error: Exception) -> Response:
        whole = knobs.word("log") in {"", "pg-object", "postgresjs-object", "drizzle-object"}
        console.error(f"⨯ {error}" if whole else str(error))
        return failed(request.url.path)

    pages = Starlette(
        routes=[
            Route("/__rehearsal/query/{kind}", query),
            *Public(settings, database, knobs).routes,
            auth.route,
            *Pages(auth, database, knobs).routes,
        ],
        lifespan=lifespan,
        exception_handlers={
            QueryFailedError: uncaught_query,
            RouteError: _uncaught,
            HTTPException: _http_error,
            Exception: _crashed,
        },
    )
    realtime = Realtime(settings, auth, knobs, pages)
    return realtime


async def _crash_loop(knobs: Knobs) -> None:
    while True:
        if knobs.flag("crash_loop_log"):
            console.error(_UNHANDLED)
        await asyncio.sleep(_UNHANDLED_EVERY_S)


async def _error_burst(knobs: Knobs) -> None:
    while True:
        if knobs.flag("error_burst"):
            console.error(_BURST)
        await asyncio.sleep(_BURST_EVERY_S)


def _uncaught(request: Request, error: Exception) -> Response:
    console.error(f"⨯ {error}\n    at async GET (.next/server/chunks/_1to8btpngdwzh._.js:1:1782)")
    return failed(request.url.path)


def _crashed(request: Request, error: Exception) -> Response:
    console.error(f"⨯ {''.join(traceback.format_exception(error))}")
    return failed(request.url.path)


def _http_error(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return not_found() if status == 404 else empty(status)
