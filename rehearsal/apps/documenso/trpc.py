"""The procedures that the signing page calls, `/api/trpc`; a recipient's token is all they ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rehearsal.apps import console
from rehearsal.apps.documenso.http import as_json
from rehearsal.apps.documenso.signing import RefusedError, Signing
from rehearsal.apps.documenso.store import QueryError
from rehearsal.apps.web import Answer, Request

PREFIX = "/api/trpc/"


class Trpc:
    """Signing a field, completing a document and refusing it."""

    def __init__(self, signing: Signing, *, numbered_meta: bool) -> None:
        """Prepare.

        Args:
            signing: does what they say.
            numbered_meta: superjson tells its version (seen in v2.11.0).
        """
        self._signing = signing
        self._numbered = numbered_meta
        self._procedures: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "field.signFieldWithToken": self._sign,
            "recipient.completeDocumentWithToken": self._complete,
            "recipient.rejectDocumentWithToken": self._reject,
        }

    def answer(self, request: Request) -> Answer:
        """Answer a call."""
        name = request.path.removeprefix(PREFIX)
        procedure = self._procedures.get(name)
        if procedure is None or request.method != "POST":
            return _failed(f'No procedure found on path "{name}"', "NOT_FOUND", 404, name)
        try:
            return procedure(request.document()["json"])
        except (KeyError, TypeError, ValueError):
            return _failed("Input validation failed", "BAD_REQUEST", 400, name)
        except RefusedError as error:
            return _failed(str(error), "INTERNAL_SERVER_ERROR", 500, name)
        except QueryError as error:
            console.error(str(error))
            return _failed(str(error), "INTERNAL_SERVER_ERROR", 500, name)

    def _sign(self, given: dict[str, Any]) -> Answer:
        image = given.get("isBase64") is True
        field = self._signing.sign_field(given["token"], int(given["fieldId"]), given["value"], image=image)
        dates = {"signature.created": ["Date"]} if field["signature"] else {}
        return self._result(field, dates)

    def _complete(self, given: dict[str, Any]) -> Answer:
        self._signing.complete(given["token"])
        return self._result(None, ["undefined"])

    def _reject(self, given: dict[str, Any]) -> Answer:
        recipient = self._signing.reject(given["token"], given["reason"])
        dates = {
            name: ["Date"]
            for name, value in recipient.items()
            if value is not None and name in {"signedAt", "expiresAt", "sentAt"}
        }
        return self._result(recipient, dates)

    def _result(self, value: object, values: object) -> Answer:
        meta = {"values": values, **({"v": 1} if self._numbered else {})}
        return as_json({"result": {"data": {"json": value, **({"meta": meta} if values else {})}}})


def _failed(message: str, code: str, status: int, path: str) -> Answer:
    data = {"code": code, "httpStatus": status, "path": path}
    return as_json({"error": {"json": {"message": message, "code": -32600, "data": data}}}, status)
