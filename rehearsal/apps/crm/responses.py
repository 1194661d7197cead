"""Answers as a Next.js 16 standalone server gives them."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import HTMLResponse, JSONResponse, Response

_VARY = "rsc, next-router-state-tree, next-router-prefetch, next-router-segment-prefetch, Accept-Encoding"
_NO_STORE = "private, no-cache, no-store, max-age=0, must-revalidate"


def chunked(response: Response) -> Response:
    """Leave the length out, so that the body goes out in chunks as Node sends it."""
    del response.headers["content-length"]
    return response


def json_answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A route handler's JSON."""
    return chunked(JSONResponse(body, status, {"vary": _VARY, **(headers or {})}))


def page(html: str, status: int = 200) -> Response:
    """A page rendered on request."""
    headers = {"vary": _VARY, "cache-control": _NO_STORE, "x-powered-by": "Next.js"}
    return chunked(HTMLResponse(html, status, headers))


def empty(status: int) -> Response:
    """No body and no content type: 405, or a route handler that threw."""
    return chunked(Response(status_code=status))


def redirect(location: str) -> Response:
    """The middleware's 307 with a relative Location."""
    return chunked(Response(location, 307, {"location": location}))


def not_found() -> Response:
    """The page for an unknown address."""
    return page(_bare("404: This page could not be found.", "404"), 404)


def failed(path: str) -> Response:
    """What the client sees when a route handler (empty) or a page (error document) threw."""
    if path.startswith("/api/"):
        return empty(500)
    return page(_bare("500: Internal Server Error", "Something went wrong", "__next_error__"), 500)


def _bare(title: str, text: str, identity: str = "") -> str:
    root = f' id="{identity}"' if identity else ""
    return (
        f'<!DOCTYPE html><html{root} lang="en"><head><meta charset="utf-8"/><title>{title}</title>'
        f'<link rel="icon" href="data:,"/></head><body><h1>{text}</h1></body></html>'
    )
