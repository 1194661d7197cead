"""What Documenso says of itself, which is little.

The database is asked `SELECT 1`, whatever its schema; the certificate is a file that can be read, whatever
its passphrase, and unless the transport is exactly `local` it is not looked at. Nothing else is checked.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from rehearsal.apps.documenso.context import Context
from rehearsal.apps.documenso.http import as_json
from rehearsal.apps.documenso.store import QueryError
from rehearsal.apps.web import Answer


class Health:
    """`/api/health` and `/api/certificate-status`."""

    def __init__(self, context: Context) -> None:
        self._store = context.store
        self._certificate = context.settings.certificate
        self._knobs = context.knobs

    def health(self) -> Answer:
        """Answer 500 for an error; a warning is 200."""
        time.sleep(self._knobs.number("slow_ms") / 1000)
        knob = self._knobs.word("health")
        if knob == "html":
            return Answer(200, b"<!DOCTYPE html><html><body><h1>Documenso</h1></body></html>", "text/html")
        checks = {
            "database": {"status": "error" if knob == "error" else self._database()},
            "certificate": {"status": "ok" if self._certificate.available() else "warning"},
        }
        found = {check["status"] for check in checks.values()}
        status = next((level for level in ("error", "warning") if level in found), "ok")
        body = {"status": status, "timestamp": _timestamp(), "checks": checks}
        return as_json(body, 500 if status == "error" else 200)

    def certificate_status(self) -> Answer:
        """Answer whether there is a certificate, as far as it was looked for."""
        return as_json({"isAvailable": self._certificate.available(), "timestamp": _timestamp()})

    def _database(self) -> str:
        try:
            self._store.rows("select 1")
        except QueryError:
            return "error"
        return "ok"


def _timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
