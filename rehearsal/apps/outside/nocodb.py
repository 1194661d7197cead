"""NocoDB's API v2 as far as the website uses it: one table of berths, one of inquiries."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from rehearsal.apps.berths import OLD_BERTHS
from rehearsal.apps.web import Answer, Handler, Request, as_json

BERTHS = "mberthsberthsb"
INQUIRIES = "minquiriesinqu"
"""The tables' ids, which NocoDB makes up."""

_STATUS = {"available": "Available", "under_offer": "Under Offer", "sold": "Sold"}
_PAGE = 25


class NocoDb:
    """The two tables; inquiries are kept in memory."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._tables: dict[str, list[dict[str, Any]]] = {
            BERTHS: [
                {
                    "Id": number,
                    "Mooring Number": berth.name,
                    "Status": _STATUS[berth.status],
                    "Length": berth.length,
                    "Price": berth.price,
                }
                for number, berth in enumerate(OLD_BERTHS, start=1)
            ],
            INQUIRIES: [],
        }

    @property
    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """What it answers."""
        found: dict[tuple[str, str], Handler] = {}
        for table in self._tables:
            found["GET", f"/api/v2/tables/{table}/records"] = self._list
            found["POST", f"/api/v2/tables/{table}/records"] = self._create
        return found

    def _refused(self, request: Request) -> Answer | None:
        if hmac.compare_digest(request.headers.get("xc-token", ""), self._token):
            return None
        return as_json(
            {
                "error": "AUTHENTICATION_REQUIRED",
                "message": "Authentication required - Invalid token",
            },
            401,
        )

    def _table(self, request: Request) -> list[dict[str, Any]]:
        return self._tables[request.path.split("/")[4]]

    def _list(self, request: Request) -> Answer:
        limit, offset = int(request.query.get("limit", _PAGE)), int(request.query.get("offset", "0"))
        rows = self._table(request)
        page = {
            "totalRows": len(rows),
            "page": offset // limit + 1,
            "pageSize": limit,
            "isFirstPage": offset == 0,
            "isLastPage": offset + limit >= len(rows),
        }
        return self._refused(request) or as_json({"list": rows[offset : offset + limit], "pageInfo": page})

    def _create(self, request: Request) -> Answer:
        refusal = self._refused(request)
        if refusal is not None:
            return refusal
        rows = self._table(request)
        rows.append({"Id": len(rows) + 1, **request.document()})
        return as_json({"Id": len(rows)})
