"""Puts the stand-in together, and finds who answers a request."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from rehearsal.apps import console
from rehearsal.apps.documenso import auth, routes_v1, routes_v2, trpc
from rehearsal.apps.documenso.boot import Sweeps
from rehearsal.apps.documenso.context import Context
from rehearsal.apps.documenso.health import Health
from rehearsal.apps.documenso.http import CORS, TEXT, Routes, as_json, as_text, client_address, with_headers
from rehearsal.apps.documenso.limits import InMemory, Stored
from rehearsal.apps.documenso.mails import Mails
from rehearsal.apps.documenso.pages import Pages
from rehearsal.apps.documenso.seals import Seals
from rehearsal.apps.documenso.settings import Settings
from rehearsal.apps.documenso.signing import Signing
from rehearsal.apps.documenso.tokens import Tokens
from rehearsal.apps.documenso.webhooks import Webhooks
from rehearsal.apps.web import Answer, Request

_ALLOWED = (*CORS, ("access-control-allow-methods", "GET,HEAD,PUT,POST,DELETE,PATCH"))


class App:
    """A release of Documenso. Neither database nor bucket need to be up."""

    def __init__(self, settings: Settings) -> None:
        self.context = context = Context.of(settings)
        self._settings = settings
        self._release = settings.release
        self._webhooks = Webhooks(context)
        signing = Signing(context, self._webhooks, Mails(context), Seals(context))
        tokens = Tokens(context.store, self._release)
        self.sweeps = Sweeps(context, signing)
        self._memory = InMemory()
        self._stored = Stored(context.store)
        counts = self._release.stored_limits and not settings.unlimited
        self._auth = auth.Auth(context, self._stored if counts else None)
        self._health = Health(context)
        self._v1 = routes_v1.V1(context, tokens, signing)
        self._v2 = routes_v2.V2(context, tokens)
        self._trpc = trpc.Trpc(signing, numbered_meta=self._release.strict)
        self._pages = Pages(context, self._auth, signing)
        self._own = self._own_routes()

    def answer(self, request: Request) -> Answer:
        """Answer any request; an error that nothing catches is a 500."""
        try:
            return self._answer(request)
        except Exception:
            console.error(traceback.format_exc())
            return as_text("Internal Server Error", 500)

    def _answer(self, request: Request) -> Answer:
        path = request.path
        if path.startswith(f"{routes_v1.PREFIX}/"):
            return self._api(request, "api.v1", lambda: self._v1.answer(request))
        for prefix in routes_v2.PREFIXES:
            if path.startswith(f"{prefix}/"):
                return self._answer_v2(request, prefix)
        if path.startswith(trpc.PREFIX):
            return self._counted(request, "api.trpc", lambda: self._trpc.answer(request), cors=False)
        if path.startswith(f"{auth.PREFIX}/"):
            return self._auth.answer(request) or self._pages.answer(request)
        found = self._own.find(request.method, path)
        return found[0](request) if found else self._pages.answer(request)

    def _own_routes(self) -> Routes:
        routes = Routes()
        routes.add("GET", "/api/health", lambda _request: self._health.health())
        routes.add("GET", "/api/certificate-status", lambda _request: self._health.certificate_status())
        routes.add("POST", "/api/webhook/trigger", self._webhooks.answer)
        if not self._release.strict:
            routes.add("POST", "/api/files/presigned-get-url", self._presign_for_anybody)
        return routes

    def _presign_for_anybody(self, request: Request) -> Answer:
        key = request.document().get("key")
        if not isinstance(key, str):
            return as_json({"error": "Invalid request"}, 400)
        return as_json({"key": key, "url": self.context.storage.download_address(key)})

    def _answer_v2(self, request: Request, prefix: str) -> Answer:
        """Before v2.0.0 there is only the beta; `/api/v2` is counted all the same and leads to the page."""
        beta = prefix.endswith("-beta")
        if not beta and not self._release.has_v2:
            return self._counted(request, "api.v2", lambda: self._pages.answer(request), cors=False)
        if beta and not self._release.stored_limits:
            return self._preflight(request) or self._v2.answer(request, prefix)
        return self._api(request, "api.v2", lambda: self._v2.answer(request, prefix))

    def _api(self, request: Request, action: str, give: Callable[[], Answer]) -> Answer:
        """Answer a preflight before counting (v2.11.0), or count it like everything else (up to v2.0.0)."""
        if self._release.stored_limits:
            return self._preflight(request) or self._counted(request, action, give, cors=True)
        counted = self._counted(request, action, lambda: self._preflight(request) or give(), cors=True)
        if request.path.endswith("/openapi.json") and counted.status == 200:
            return with_headers(counted, self._memory.headers(client_address(request)))
        return counted

    def _counted(self, request: Request, action: str, give: Callable[[], Answer], *, cors: bool) -> Answer:
        client = client_address(request)
        if not self._release.stored_limits:
            limited = action in {"api.v1", "api.v2"}
            return self._memory.answer(client, give) if limited else give()
        return give() if self._settings.unlimited else self._stored.answer(action, client, give, cors=cors)

    def _preflight(self, request: Request) -> Answer | None:
        return Answer(204, b"", TEXT, headers=_ALLOWED) if request.method == "OPTIONS" else None
