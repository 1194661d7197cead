"""What a container does before it serves: migrate, and in v2.11.0 a few writes of the server."""

from __future__ import annotations

import contextlib
import secrets
import sys
import time
from datetime import timedelta
from threading import Thread

from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb

from rehearsal.apps import console
from rehearsal.apps.documenso import ids
from rehearsal.apps.documenso.context import Context
from rehearsal.apps.documenso.jobs import Job
from rehearsal.apps.documenso.settings import DatabaseAddress, Settings
from rehearsal.apps.documenso.signing import Signing
from rehearsal.apps.documenso.store import QueryError, Store, now
from rehearsal.documenso import migrations

_EVERY_S = 15 * 60
_SERVICE_USERS = ("serviceaccount", "deleted-account")
_KEPT = timedelta(hours=24)
_SEALED_BY_SWEEP = (timedelta(minutes=15), timedelta(hours=6))
_UNSEALED = """
    select e.* from "Envelope" e where e.type = 'DOCUMENT' and e.status = 'PENDING' and e."deletedAt" is null
    and not exists (select from "Recipient" r where r."envelopeId" = e.id and r.role <> 'CC'
                    and r."signingStatus" = 'NOT_SIGNED')
    and (select max(r."signedAt") from "Recipient" r where r."envelopeId" = e.id) between %s and %s
"""
_EXPIRED = """
    update "Recipient" r set "expirationNotifiedAt" = %s from "Envelope" e
    where e.id = r."envelopeId" and e.status = 'PENDING' and r."expiresAt" < %s
    and r."expirationNotifiedAt" is null and r."signingStatus" = 'NOT_SIGNED' returning e.id
"""


def migrate(settings: Settings) -> None:
    """Run what the start script runs; whether it fails does not matter to the script."""
    outcome = migrations.run(_conninfo(settings.direct_database), settings.release.version)
    for line in outcome.lines:
        console.log(line)


def rename_service_users(settings: Settings, store: Store) -> None:
    """Give the two service accounts addresses of the instance's own domain.

    Raises:
        QueryError: the database cannot be reached; the server then ends.
    """
    for name in _SERVICE_USERS:
        store.rows(
            'update "User" set email = %s where email = %s',
            f"{name}@{settings.domain}",
            f"{name}@documenso.com",
            call="user.update",
        )


def announce(store: Store) -> None:
    """Write the row by which telemetry knows this installation; nothing is sent."""
    with contextlib.suppress(QueryError), store.transaction() as transaction:
        transaction.rows(
            'insert into "SiteSettings" (id, enabled, data) values (%s, true, %s) on conflict do nothing',
            "telemetry.installation",
            Jsonb({"installationId": ids.cuid()}),
        )


class Sweeps:
    """The jobs that v2.11.0 runs every quarter of an hour."""

    def __init__(self, context: Context, signing: Signing) -> None:
        self._store = context.store
        self._jobs = context.jobs
        self._signing = signing

    def start(self) -> None:
        """Run them now and on every quarter of the clock."""
        Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self._once()
            time.sleep(_EVERY_S - time.time() % _EVERY_S)

    def _once(self) -> None:
        for name, title, work in (
            ("internal.expire-recipients-sweep", "Expire Recipients Sweep", self._expire),
            ("internal.cleanup-rate-limits", "Cleanup Rate Limits", self._clean),
            ("internal.seal-document-sweep", "Seal Document Sweep", self._seal),
            ("internal.send-signing-reminders-sweep", "Send Signing Reminders Sweep", lambda: None),
        ):
            self._jobs.submit(
                Job(name, title, {}), work, lane="sweeps", identity=f"cron_{secrets.token_hex(12)}"
            )

    def _expire(self) -> None:
        """Mark who did not sign in time, and tell the webhooks."""
        late = self._store.rows(_EXPIRED, now(), now())
        for row in late:
            self._signing.fire("RECIPIENT_EXPIRED", row["id"])

    def _clean(self) -> None:
        self._store.rows('delete from "RateLimit" where "createdAt" < %s', now() - _KEPT)

    def _seal(self) -> None:
        """Try documents again that were signed a while ago; what is older stays as it is."""
        newest, oldest = _SEALED_BY_SWEEP
        for envelope in self._store.rows(_UNSEALED, now() - oldest, now() - newest):
            self._signing.seal(envelope)


def end_without_database(error: QueryError) -> None:
    """End as Node does after an error that nobody caught."""
    console.error(str(error))
    sys.exit(1)


def _conninfo(address: DatabaseAddress) -> str:
    return make_conninfo(
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password,
        dbname=address.name,
    )
