"""The v2 API's reads, `/api/v2` and `/api/v2-beta`."""

from __future__ import annotations

from collections.abc import Mapping

from rehearsal.apps import console
from rehearsal.apps.documenso import openapi
from rehearsal.apps.documenso.context import Context
from rehearsal.apps.documenso.http import CORS, Routes, as_json
from rehearsal.apps.documenso.store import QueryError
from rehearsal.apps.documenso.tokens import Access, TokenError, Tokens
from rehearsal.apps.web import Answer, Request

PREFIXES = ("/api/v2-beta", "/api/v2")
_STACK = "Error\n    at file:///app/apps/remix/build/server/hono/server/router.js"


class TrpcError(Exception):
    """A call failed.

    Attributes:
        code: for people who read `data`; `top` is what stands above it.
        app: the `appError` of `data`.
    """

    def __init__(
        self, message: str, code: str, status: int, *, top: str = "", app: dict[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.top = top or code
        self.app = app


class V2:
    """The procedures `document.find` and `document.get`."""

    def __init__(self, context: Context, tokens: Tokens) -> None:
        self._release = context.release
        self._store = context.store
        self._documents = context.documents
        self._production = context.settings.production
        self._tokens = tokens
        self._routes = Routes()
        self._routes.add("GET", "/document", self._find)
        self._routes.add("GET", "/document/{number}", self._get)

    def answer(self, request: Request, prefix: str) -> Answer:
        """Answer a request below that prefix."""
        path = request.path.removeprefix(prefix)
        if path == "/openapi.json" and request.method == "GET":
            return as_json(openapi.v2(self._release), headers=CORS if self._release.has_v2 else ())
        found = self._routes.find(request.method, path)
        if found is None:
            return self._failed(TrpcError("Not found", "NOT_FOUND", 404), None)
        handler, parts = found
        procedure = "document.get" if parts else "document.find"
        try:
            return handler(self._access(request), request, **parts)
        except TrpcError as error:
            return self._failed(error, procedure)
        except QueryError as error:
            console.error(str(error))
            return self._failed(TrpcError(str(error), "INTERNAL_SERVER_ERROR", 500), procedure)

    def _access(self, request: Request) -> Access:
        authorization = request.headers.get("authorization")
        if authorization is None:
            raise TrpcError("Invalid session or API token.", "UNAUTHORIZED", 401)
        try:
            return self._tokens.access(authorization)
        except TokenError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: TokenError) -> TrpcError:
        """Up to v2.0.0 a wrong token is the server's error; later it is the client's, and expired is 400."""
        message, code = str(error), error.code or "UNAUTHORIZED"
        if not self._release.strict:
            return TrpcError(message, "INTERNAL_SERVER_ERROR", 500)
        app: dict[str, object] = {"code": code, "message": message, "statusCode": 401}
        return TrpcError(
            message, code, 400 if code == "EXPIRED_CODE" else 401, top="INTERNAL_SERVER_ERROR", app=app
        )

    def _find(self, access: Access, request: Request) -> Answer:
        page, size = (
            _positive(request.query, name, default) for name, default in (("page", 1), ("perPage", 10))
        )
        with self._store.transaction("envelope.findMany") as transaction:
            rows, count = self._documents.page(transaction, "document", access.team, page, size)
            data = self._documents.v2(transaction, rows, {"id": access.team, "url": access.team_url})
        body = {
            "data": data,
            "count": count,
            "currentPage": page,
            "perPage": size,
            "totalPages": -(-count // size),
        }
        return as_json(body, headers=CORS)

    def _get(self, access: Access, _request: Request, number: str) -> Answer:
        if not number.isdecimal():
            raise TrpcError("Input validation failed", "BAD_REQUEST", 400)
        with self._store.transaction("envelope.findFirst") as transaction:
            row = self._documents.find(transaction, "document", number, access.team)
            if row is None:
                message = "Envelope could not be found"
                app: dict[str, object] = {"code": "NOT_FOUND", "message": message}
                raise TrpcError(message, "NOT_FOUND", 404, top="INTERNAL_SERVER_ERROR", app=app)
            team = {"id": access.team, "url": access.team_url}
            return as_json(self._documents.v2(transaction, [row], team)[0], headers=CORS)

    def _failed(self, error: TrpcError, procedure: str | None) -> Answer:
        status = 401 if error.code == "EXPIRED_CODE" else error.status
        data: dict[str, object] = {"code": error.code, "httpStatus": status}
        data |= {} if self._production else {"stack": _STACK}
        data |= {"path": procedure} if procedure else {}
        data |= {"appError": error.app} if error.app else {}
        body = {"message": str(error), "code": error.top, "data": data}
        return as_json(body, error.status, CORS)


def _positive(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise TrpcError("Input validation failed", "BAD_REQUEST", 400)
    return int(text)
