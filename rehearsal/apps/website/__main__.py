"""Runs the website's stand-in: `python -m rehearsal.apps.website`, configured by environment variables."""

from __future__ import annotations

import os
import time
from threading import Thread

from rehearsal.apps import console, web
from rehearsal.apps.knobs import Knobs
from rehearsal.apps.mail import Mailer
from rehearsal.apps.web import Answer, FetchError, Outgoing, Request, as_json
from rehearsal.apps.website.berths import Feed
from rehearsal.apps.website.inquiries import Inquiries, RefusedError
from rehearsal.apps.website.page import SCRIPT, page
from rehearsal.apps.website.settings import Settings

_BURST_EVERY_S = 0.2


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = Settings.from_environment(os.environ)
    outgoing = Outgoing.from_environment(os.environ)
    knobs = Knobs(settings.knobs)
    feed = Feed(settings, outgoing, knobs)
    inquiries = Inquiries(settings, outgoing, Mailer.from_environment(os.environ, "SMTP_PASS"), knobs)

    def home(_request: Request) -> Answer:
        return Answer(200, page(settings.recaptcha_site_key).encode(), "text/html;charset=utf-8")

    def script(_request: Request) -> Answer:
        return Answer(200, SCRIPT.encode(), "text/javascript; charset=utf-8")

    def berths(request: Request) -> Answer:
        try:
            return as_json({"berths": feed.berths()})
        except FetchError as error:
            return _failed(request, error)

    def inquiry(request: Request) -> Answer:
        try:
            taken = inquiries.take(request.document())
        except RefusedError as error:
            return _error(request, 400, str(error))
        except FetchError as error:
            return _failed(request, error)
        utm = request.headers.get("x-utm", "")
        return as_json(
            {"ok": True, "id": taken["submissionId"]}, afterwards=lambda: inquiries.pass_on(taken, utm)
        )

    routes = {
        ("GET", "/"): home,
        ("HEAD", "/"): home,
        ("GET", "/_nuxt/entry.js"): script,
        ("GET", "/api/berths"): berths,
        ("POST", "/api/inquiry"): inquiry,
    }
    server = web.Server(
        settings.host,
        settings.port,
        routes,
        lambda request: _error(request, 404, f"Page not found: {request.path}"),
    )
    Thread(target=_burst, args=(knobs,), daemon=True).start()
    console.log(f"Listening on http://{settings.host}:{settings.port}")
    server.serve_until_told()


def _error(request: Request, status: int, message: str) -> Answer:
    """Answer an error as h3 does."""
    body = {
        "error": True,
        "url": request.path,
        "statusCode": status,
        "statusMessage": message,
        "message": message,
    }
    return as_json(body, status)


def _failed(request: Request, error: FetchError) -> Answer:
    """Log an error that no handler caught, as Nitro 2 does, and answer 500."""
    _log_unhandled(f"[{request.method}] {request.path}", f"FetchError: {error}")
    return _error(request, 500, "Server Error")


def _log_unhandled(where: str, what: str) -> None:
    console.error(f"[request error] [unhandled] {where}\n {what}\n    at async (chunks/nitro/nitro.mjs:1:9)")


def _burst(knobs: Knobs) -> None:
    """Log errors without end while the knob `error_burst` is set."""
    while True:
        if knobs.flag("error_burst"):
            _log_unhandled("[GET] /", "TypeError: Cannot read properties of undefined (reading 'berths')")
        time.sleep(_BURST_EVERY_S)


if __name__ == "__main__":
    main()
