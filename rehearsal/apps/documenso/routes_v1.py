"""The v1 API, `/api/v1`, which the CRM uses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from rehearsal.apps import console
from rehearsal.apps.documenso import openapi, v1_documents, v1_parts, v1_templates, zod
from rehearsal.apps.documenso.context import Context
from rehearsal.apps.documenso.http import CORS, TEXT, Routes, as_json
from rehearsal.apps.documenso.signing import Signing
from rehearsal.apps.documenso.store import QueryError
from rehearsal.apps.documenso.tokens import TokenError, Tokens
from rehearsal.apps.documenso.v1_calls import ApiError, Call, message
from rehearsal.apps.documenso.v1_documents import DocumentHandlers
from rehearsal.apps.documenso.v1_parts import PartHandlers
from rehearsal.apps.documenso.v1_templates import TemplateHandlers
from rehearsal.apps.documenso.zod import Field
from rehearsal.apps.web import Answer, Request

PREFIX = "/api/v1"
_PAGES = ("page", "perPage")

_Respond = Callable[..., Answer]


class V1:
    """The routes of the v1 contract."""

    def __init__(self, context: Context, tokens: Tokens, signing: Signing) -> None:
        self._context = context
        self._release = context.release
        self._tokens = tokens
        self._routes = Routes()
        self._add_routes(signing)

    def answer(self, request: Request) -> Answer:
        """Answer a request below `/api/v1`. HEAD is not a method it knows."""
        path = request.path.removeprefix(PREFIX)
        found = self._routes.find(request.method, path)
        if found is None:
            return message("Not Found", 404)
        handler, parts = found
        return handler(request, **parts)

    def _add_routes(self, signing: Signing) -> None:
        add = self._routes.add
        add("GET", "/me", self._me)
        add("GET", "/openapi.json", lambda _request: as_json(openapi.v1(), headers=CORS))
        add(
            "GET",
            "/openapi",
            lambda _request: Answer(302, b"", TEXT, headers=(("location", openapi.V1_VIEWER), *CORS)),
        )
        documents = DocumentHandlers(self._context, signing)
        parts = PartHandlers(self._context)
        templates = TemplateHandlers(self._context, signing)
        one, recipient, field = "/documents/{number}", "/recipients/{recipient}", "/fields/{field}"
        contract: list[tuple[str, str, _Respond, Mapping[str, Field] | None]] = [
            ("GET", "/documents", documents.list_, None),
            ("POST", "/documents", documents.create, v1_documents.CREATE),
            ("GET", one, documents.get, None),
            ("DELETE", one, documents.delete, None),
            ("GET", f"{one}/download", documents.download, None),
            ("POST", f"{one}/send", documents.send, v1_documents.SEND),
            ("POST", f"{one}/resend", documents.resend, v1_documents.RESEND),
            ("POST", f"{one}/recipients", parts.add_recipient, v1_documents.RECIPIENT),
            ("PATCH", f"{one}{recipient}", parts.change_recipient, v1_parts.CHANGED_RECIPIENT),
            ("DELETE", f"{one}{recipient}", parts.remove_recipient, None),
            ("POST", f"{one}/fields", parts.add_fields, v1_parts.FIELD),
            ("PATCH", f"{one}{field}", parts.change_field, v1_parts.CHANGED_FIELD),
            ("DELETE", f"{one}{field}", parts.remove_field, None),
            ("GET", "/templates", templates.list_, None),
            ("POST", "/templates", templates.not_here, None),
            ("GET", "/templates/{number}", templates.get, None),
            ("DELETE", "/templates/{number}", templates.not_here, None),
            ("POST", "/templates/{number}/create-document", templates.not_here, None),
            ("POST", "/templates/{number}/generate-document", templates.generate, v1_templates.GENERATE),
        ]
        for method, path, respond, fields in contract:
            add(method, path, self._guarded(respond, fields))

    def _guarded(self, respond: _Respond, fields: Mapping[str, Field] | None) -> Callable[..., Answer]:
        """Validate first and look at the token then, as ts-rest and the middleware do."""

        def handle(request: Request, **parts: str) -> Answer:
            try:
                body = json.loads(request.body) if request.body and request.method != "GET" else {}
            except ValueError:
                return message("Server Error", 500)
            authorization = request.headers.get("authorization")
            refusal = zod.refused(
                headers=[zod.required("authorization")] if authorization is None else [],
                query=zod.number_issues(request.query, _PAGES),
                body=_body_issues(body, fields) if fields else [],
            )
            if refusal or authorization is None:
                return refusal or message("Not Found", 404)
            return self._respond(respond, authorization, request, body, parts)

        return handle

    def _respond(
        self, respond: _Respond, authorization: str, request: Request, body: object, parts: Mapping[str, str]
    ) -> Answer:
        try:
            access = self._tokens.access(authorization)
        except TokenError as error:
            told = self._release.strict or not error.code
            return message(str(error) if told else "Unauthorized", 401)
        except QueryError as error:
            console.error(str(error))
            return message("Unauthorized", 401)
        try:
            return respond(Call(access, request.query, body), **parts)
        except ApiError as error:
            return message(str(error), error.status)
        except QueryError as error:
            console.error(str(error))
            return message("Internal Server Error", 500)

    def _me(self, request: Request) -> Answer:
        try:
            access = self._tokens.access(request.headers.get("authorization", ""))
        except (TokenError, QueryError):
            return message("Internal Server Error", 500)
        return as_json({"name": access.team_name}, headers=CORS)


def _body_issues(body: object, fields: Mapping[str, Field]) -> list[zod.Issue]:
    if fields is v1_parts.FIELD and isinstance(body, list):
        return [
            issue for number, field in enumerate(body) for issue in zod.body_issues(field, fields, [number])
        ]
    return zod.body_issues(body, fields)
