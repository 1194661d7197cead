"""What the handlers of the v1 API have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal.apps.documenso.context import Context
from rehearsal.apps.documenso.http import CORS, as_json
from rehearsal.apps.documenso.store import Row, Transaction
from rehearsal.apps.documenso.tokens import Access
from rehearsal.apps.web import Answer

FINISHED = frozenset({"COMPLETED", "REJECTED"})
"""The states in which nothing can be changed any more."""


class ApiError(Exception):
    """The answer is an error."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Call:
    """A valid request of somebody known.

    Attributes:
        body: its JSON; an empty object if it has none.
    """

    access: Access
    query: Mapping[str, str]
    body: Any

    @property
    def page(self) -> tuple[int, int]:
        """The page that is asked for, from 1 on, and how much is on one."""
        number, size = self.query.get("page", "1"), self.query.get("perPage", "10")
        return max(1, int(float(number))), max(1, int(float(size)))


class Handlers:
    """Handlers, and how they find what a path names."""

    def __init__(self, context: Context) -> None:
        self._store = context.store
        self._documents = context.documents
        self._storage = context.storage
        self._knobs = context.knobs

    def found(self, transaction: Transaction, call: Call, number: str, kind: str = "document") -> Row:
        """Return the document or template with a number.

        Raises:
            ApiError: it does not exist, or belongs to another team.
        """
        row = self._documents.find(transaction, kind, number, call.access.team)
        if row is None:
            raise ApiError(f"{kind.capitalize()} not found", 404)
        return row

    def document(self, call: Call, number: str) -> Row:
        """Return the document with a number.

        Raises:
            ApiError: it does not exist, or belongs to another team.
        """
        with self._store.transaction("envelope.findFirst") as transaction:
            return self.found(transaction, call, number)


def message(text: str, status: int = 200) -> Answer:
    """Return an answer that is only a message."""
    return as_json({"message": text}, status, CORS)
