"""Databases of Documenso with people and documents in them: a small one in every state, and a large one.

Both go into a schema of any version (`schema.create`, then `migrations.deploy`), and what they hold is what v1.13.1
has written, since an upgrade changes none of it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from psycopg.types.json import Jsonb

from rehearsal.documenso import pdf, sealing
from rehearsal.documenso.accounts import ADMIN, FOLDERS, LEGAL, SALES, Accounts, Crm, Login
from rehearsal.documenso.documents import Document, Documents, Pdfs, Recipient, State
from rehearsal.documenso.rows import Connection, Ids, Rows, has_column, set_sequences

SEED = 1131
SMALL = 215
"""Documents of the small population; `Counter` says so, and the next one gets the number after it."""

TITLES = (
    "Mietvertrag Liegeplatz A12",
    "Kündigung – Müller & Söhne",
    "Reservierung Ostmole, Familie Weiß",
    "Übergabeprotokoll „Sturmvogel“.pdf",
    "Kaufvertrag Motoryacht Größe XL",
    "Vollmacht Hafenmeister (Vertretung)",
    "Contrat d'amarrage n° 7 – Château-d'Œx",
    "Договор аренды причала № 14",
    "契約書",
    "Sommerfest ⚓️ Einverständnis",
    "اتفاقية رسو القوارب",
    "O'Brien \"Seabird\" <Ltd> & Co; DROP?",
    "Zahlungsplan 50 % – 2. Rate",
    "Winterlager 2024/25.PDF",
    "Zusatzvereinbarung zum Dauerliegeplatz mit Stromanschluss, Frischwasser, Fäkalienabsaugung, Winterlager und "
    "Krananteil für die Segelyacht „Königin der Nordsee“ einschließlich aller Anlagen",
    "Expression of Interest",
)
"""What documents are called."""

_PEOPLE = (
    ("Käthe Brüning", "kaethe.bruening@example.test"),
    ("François Lefèvre", "f.lefevre@example.test"),
    ("Søren Ørsted", "soeren@example.test"),
    ("Ágnes Őry", "agnes.ory@example.test"),
    ("Иван Петров", "ivan.petrov@example.test"),
    ("李小龙", "li@example.test"),
    ("Max Mustermann jun.", "MAX.Mustermann@example.test"),
    ("", "ohne.namen@example.test"),
)


class StoredObject(NamedTuple):
    """An object that belongs into the bucket."""

    key: str
    content: bytes
    content_type: str


@dataclass(frozen=True)
class Setting:
    """What a population is made for.

    Attributes:
        crm: what the CRM's integration has.
        login: of the administrator.
        p12: the signing certificate with its key, which sealed the finished documents.
        passphrase: of the p12.
        moment: the present; everything is older.
        seed: the same seed and moment make the same rows, but for the hash of the password.
    """

    crm: Crm
    login: Login
    p12: bytes = field(repr=False)
    passphrase: str = field(repr=False)
    moment: datetime = field(default_factory=lambda: datetime.now(UTC))
    seed: int = SEED


def small(
    connection: Connection, setting: Setting, *, expiry: Mapping[str, object] | None = None
) -> list[StoredObject]:
    """Fill a migrated database with 215 documents and 2 templates in every state; return what to upload.

    There are drafts (some never uploaded), pending ones (some signed by one of two), completed, rejected and
    softly deleted ones, PDFs kept in rows, data that nothing refers to any more, logos in the bucket and in a
    row, two teams with an organisation, folders, tokens, webhooks with their deliveries, jobs and audit logs. All is
    as it should be: nothing is stuck, and what must have an object has one.

    The newest documents, 213 to 215, are those of the recorded answers.

    Args:
        connection: as a role that may write.
        setting: what it is for.
        expiry: when documents expire unless they say so themselves, from v2.7 on: `{"unit": "month", "amount": 3}`
            or `{"disabled": True}`; nothing leaves it unset.

    Raises:
        psycopg.Error: the database is not migrated, or not empty.
        SealError: the p12 does not open.
    """
    ids = Ids(setting.seed)
    plan = _small_plan(ids.random, setting.moment)
    with connection.transaction():
        return list(_fill(connection, setting, ids, plan, SMALL, expiry=expiry))


def large(connection: Connection, setting: Setting, *, documents: int = 100_000) -> Iterator[StoredObject]:
    """Fill a migrated database with many documents; return what to upload, some 200,000 objects, one by one.

    The contents are few and shared, so that the objects need no memory. Audit logs, jobs and deliveries exist for the
    newest 200 documents.

    Raises:
        psycopg.Error: the database is not migrated, or not empty.
        SealError: the p12 does not open.
    """
    ids = Ids(setting.seed)
    with connection.transaction():
        plan = _large_plan(ids.random, setting.moment, documents)
        return _fill(connection, setting, ids, plan, documents, lively=documents - 200)


def set_expiry(connection: Connection, expiry: Mapping[str, object] | None) -> None:
    """Set, or unset, when documents of the CRM's organisation expire; the schema is one of v2.7 or later.

    Raises:
        psycopg.Error: the schema has no such setting.
    """
    connection.execute(
        """update "OrganisationGlobalSettings" s set "envelopeExpirationPeriod" = %s
        from "Organisation" o, "Team" t
        where s.id = o."organisationGlobalSettingsId" and o.id = t."organisationId" and t.id = %s""",
        (None if expiry is None else Jsonb(dict(expiry)), SALES),
    )
