"""The public list of berths: NocoDB's, or the CRM's once that is switched on."""

from __future__ import annotations

from typing import Any

from rehearsal.apps import console
from rehearsal.apps.berths import BERTHS as MIGRATED
from rehearsal.apps.knobs import Knobs
from rehearsal.apps.outside.nocodb import BERTHS
from rehearsal.apps.web import FetchError, Outgoing
from rehearsal.apps.website.settings import Settings

_LIMIT = 200

FEED = "/api/public/berths"
"""The CRM's list."""

_ALIKE = "timeout-alike"
"""Knob: the CRM does not answer, and NocoDB has the same berths."""


class Feed:
    """Where the berths come from."""

    def __init__(self, settings: Settings, outgoing: Outgoing, knobs: Knobs) -> None:
        self._settings = settings
        self._outgoing = outgoing
        self._knobs = knobs
        self._kept: list[dict[str, Any]] | None = None

    def berths(self) -> list[dict[str, Any]]:
        """Return the berths by name; NocoDB's too if the CRM's cannot be had, and the log says so.

        Raises:
            FetchError: NocoDB does not answer.
        """
        found = self._from_crm() if self._settings.reads_crm else None
        if found is None:
            found = self._migrated() if self._knobs.word("feed") == _ALIKE else self._from_nocodb()
        return sorted(found, key=lambda berth: str(berth["name"]))

    def _from_crm(self) -> list[dict[str, Any]] | None:
        knob = self._knobs.word("feed")
        if knob == "stale" and self._kept is not None:
            return self._kept
        url = f"{self._settings.intake_url}{FEED}"
        if knob in ("timeout", _ALIKE):
            console.error(f'[crm-berths] FetchError: [GET] "{url}": <no response> The operation was aborted')
            return None
        try:
            answer = self._outgoing.fetch("GET", url)
            self._kept = [
                {
                    "name": berth["name"],
                    "status": berth["status"],
                    "length": berth["length_m"],
                    "price": berth["price_eur"],
                }
                for berth in answer
            ]
        except FetchError as error:
            console.error(f"[crm-berths] FetchError: {error}")
            return None
        except (KeyError, TypeError) as error:
            console.error(f"[crm-berths] TypeError: {error}")
            return None
        return self._kept

    def _migrated(self) -> list[dict[str, Any]]:
        """Return NocoDB's berths as they were when the CRM got them."""
        return [
            {"name": berth.name, "status": berth.status, "length": berth.length, "price": berth.price}
            for berth in MIGRATED
        ]

    def _from_nocodb(self) -> list[dict[str, Any]]:
        answer = self._outgoing.fetch(
            "GET",
            f"{self._settings.nocodb_url}/api/v2/tables/{BERTHS}/records?limit={_LIMIT}",
            {"xc-token": self._settings.nocodb_token},
        )
        return [
            {
                "name": row["Mooring Number"],
                "status": row["Status"].lower().replace(" ", "_"),
                "length": row["Length"],
                "price": row["Price"],
            }
            for row in answer["list"]
        ]
