"""The audit log of an envelope."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from rehearsal.apps.documenso import ids
from rehearsal.apps.documenso.store import Row, Transaction, now


def log(
    transaction: Transaction, envelope: str, kind: str, data: dict[str, Any], who: Row | None = None
) -> None:
    """Add a line; who did it is a recipient, a user, or nobody.

    Raises:
        QueryError: the database refuses it.
    """
    transaction.insert(
        "DocumentAuditLog",
        {
            "id": ids.cuid(),
            "createdAt": now(),
            "type": kind,
            "data": Jsonb(data),
            "name": who["name"] if who else None,
            "email": who["email"] if who else None,
            "envelopeId": envelope,
        },
    )
