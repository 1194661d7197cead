"""Databases of Documenso with people and documents in them: a small one in every state, and a large one.

Both go into a schema of any version (`schema.create`, then `migrations.deploy`). What they hold was written
by v1.13.1, since an upgrade changes none of it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from psycopg.types.json import Jsonb

from rehearsal.documenso import pdf, sealing
from rehearsal.documenso.accounts import ADMIN, CRM_USER, FOLDERS, LEGAL, SALES, Accounts, Crm, Login
from rehearsal.documenso.documents import Document, Documents, Pdfs, Recipient, Role, State
from rehearsal.documenso.rows import Connection, Ids, Rows, has_column, set_sequences

SEED = 2110
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
    'O\'Brien "Seabird" <Ltd> & Co; DROP?',
    "Zahlungsplan 50 % – 2. Rate",
    "Winterlager 2024/25.PDF",
    "Zusatzvereinbarung zum Dauerliegeplatz mit Stromanschluss, Frischwasser, Fäkalienabsaugung, Winterlager "
    "und Krananteil für die Segelyacht „Königin der Nordsee“ einschließlich aller Anlagen",
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
_SECOND: tuple[Role, ...] = ("CC", "SIGNER", "VIEWER", "APPROVER")
_ABANDONED = ("Entwurf – verworfen", "Doppelt angelegt", "Testdokument", "Alter Preis", "Falscher Empfänger")
_STRAYS = ("z9y8x7w6v5u4/hochgeladen-und-vergessen.pdf", "4/t3s2r1q0p9o8/scan-0001.pdf")
"""Objects that no row knows of; Documenso deletes none."""
_BATCH = 5000
"""Documents that are copied at a time."""


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
    row, two teams with an organisation, folders, tokens, webhooks with their deliveries, jobs and audit logs.
    All is as it should be: nothing is stuck, and what must have an object has one.

    The newest documents, 213 to 215, are those of the recorded answers.

    Args:
        connection: as a role that may write.
        setting: what it is for.
        expiry: when documents expire unless they say so themselves, for a schema of v2.7 or later:
            `{"unit": "month", "amount": 3}` or `{"disabled": True}`; nothing leaves it unset.

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

    The contents are few and shared, so that the objects need no memory. Audit logs, jobs and deliveries exist
    for the newest 200 documents.

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


def _fill(
    connection: Connection,
    setting: Setting,
    ids: Ids,
    plan: Iterable[Document],
    count: int,
    *,
    lively: int = 0,
    expiry: Mapping[str, object] | None = None,
) -> Iterator[StoredObject]:
    """Write everything; the iterator returned only goes through what is to be uploaded."""
    rows = Rows(connection)
    limits = (
        {"envelopeItemCount": 5} if has_column(connection, "OrganisationClaim", "envelopeItemCount") else {}
    )
    accounts = Accounts(rows, ids, setting.moment, limits, setting.crm, setting.login)
    accounts.add()
    documents = Documents(rows, ids, _pdfs(setting), (accounts.webhook, setting.crm.webhook_url), lively)
    for template in _templates(setting.moment):
        documents.add(template)
    for place, document in enumerate(plan, start=1):
        documents.add(document)
        if place % _BATCH == 0:
            rows.write()
    for title in _ABANDONED:
        documents.abandon(title)
    yesterday = setting.moment - timedelta(days=1)
    documents.add_job("send.signing.requested.email", "Send Signing Email", count, yesterday, status="FAILED")
    rows.add("Counter", id="document", value=count)
    rows.add("Counter", id="template", value=2)
    rows.write()
    set_sequences(connection)
    connection.execute(
        """update "User" set password = crypt(%s, gen_salt('bf', 6)) where id = %s""",
        (setting.login.password, ADMIN),
    )
    if expiry is not None:
        set_expiry(connection, expiry)
    return _objects(documents, accounts)


def _objects(documents: Documents, accounts: Accounts) -> Iterator[StoredObject]:
    for key, content in documents.objects:
        yield StoredObject(key, content, "application/pdf")
    yield StoredObject(*accounts.logo, "image/png")
    for key in _STRAYS:
        yield StoredObject(key, documents.pdfs.originals[0], "application/pdf")


def _pdfs(setting: Setting) -> Pdfs:
    originals = [
        pdf.document(
            title,
            [
                [title, "", f"Seite {page} von {pages}", "Port Nimara · Hafenstraße 1"]
                for page in range(1, pages + 1)
            ],
        )
        for pages, title in enumerate(("Liegeplatzvertrag", "Übergabeprotokoll", "Vereinbarung"), start=1)
    ]
    return Pdfs(
        originals,
        [
            sealing.seal(original, setting.p12, setting.passphrase, subfilter="adbe.pkcs7.detached")
            for original in originals
        ],
    )


def _templates(moment: datetime) -> list[Document]:
    since = moment - timedelta(days=600)
    signer = Recipient("Recipient 1", "recipient.1@documenso.com")
    nda = Document(1, "Standard NDA", "DRAFT", since, recipients=(signer,), external_id="tpl-nda")
    contract = Document(2, "Vorlage Liegeplatz – Größe M", "DRAFT", since, recipients=(signer,))
    return [replace(each, user=ADMIN, template=True) for each in (nda, contract)]


def _small_plan(chance: random.Random, moment: datetime) -> list[Document]:
    states: list[State] = [*["COMPLETED"] * 130, *["PENDING"] * 34, *["DRAFT"] * 36, *["REJECTED"] * 10]  # type: ignore[list-item]
    chance.shuffle(states)
    numbers = [number for number in range(1, 213) if number not in (200, 211)]
    documents = {
        number: _document(
            number, state, moment - timedelta(days=2 * (SMALL - number), hours=chance.randrange(24))
        )
        for number, state in zip(numbers, states, strict=True)
    }
    chance.shuffle(numbers)
    _place(documents, numbers)
    _store(documents)
    for number in (200, 211):
        documents[number] = _document(number, "COMPLETED", moment - timedelta(days=2 * (SMALL - number)))
    documents[200] = _of_crm(replace(documents[200], storage="row"))
    return [*(documents[number] for number in sorted(documents)), *_newest(moment)]


def _place(documents: dict[int, Document], numbers: list[int]) -> None:
    """Give the CRM's team 71 documents outside folders and 20 in folders, and delete some others softly."""
    for number in numbers[:71]:
        documents[number] = _of_crm(documents[number])
    for number in numbers[71:91]:
        documents[number] = replace(_of_crm(documents[number]), folder=FOLDERS[number % 2])
    deletable = [number for number in numbers[91:] if documents[number].finished]
    for place, number in enumerate(deletable[:8]):
        document = replace(documents[number], deleted=True)
        documents[number] = _of_crm(document) if place % 2 else document


def _store(documents: dict[int, Document]) -> None:
    """Keep the oldest PDFs in rows, as before there was a bucket; the newest drafts were never uploaded."""

    def in_state(state: State) -> list[int]:
        return sorted(number for number, document in documents.items() if document.state == state)

    for number in (*in_state("COMPLETED")[:14], *in_state("PENDING")[:2]):
        documents[number] = replace(documents[number], storage="row")
    for number in in_state("DRAFT")[-6:]:
        documents[number] = replace(documents[number], storage="missing")


def _newest(moment: datetime) -> list[Document]:
    """Return the three documents that the recorded answers show."""
    hour = timedelta(hours=1)
    renewal = Document(
        213,
        "Renewal 2025.pdf",
        "COMPLETED",
        moment - 50 * hour,
        recipients=(Recipient("Renewer", "renew@client.example", token="exampletoken00000000a"),),
        external_id="crm-deal-3001",
        keys=("a1b2c3d4e5f6/renewal-2025.pdf", "q7w2e9r4t1y6/renewal-2025-signed.pdf"),
        firsts=(218, 216),
        suffix="examplenativeaaa",
    )
    addendum = Document(
        214,
        "Addendum",
        "PENDING",
        moment - 2 * hour,
        recipients=(
            Recipient("Adder", "add@client.example", token="exampletoken00000000b"),
            Recipient("Adder twice", "add@client.example", "APPROVER", "exampletoken00000000c"),
        ),
        external_id="crm-deal-3002",
        firsts=(219, 217),
        suffix="examplenativebbb",
    )
    upload = Document(
        215,
        "Abandoned upload",
        "DRAFT",
        moment - hour,
        storage="missing",
        external_id="crm-deal-3003",
        suffix="examplenativeccc",
    )
    return [renewal, addendum, upload]


def _large_plan(chance: random.Random, moment: datetime, count: int) -> Iterator[Document]:
    step = timedelta(days=1000) / count
    states: list[State] = ["COMPLETED", "PENDING", "DRAFT", "REJECTED"]
    for number in range(1, count + 1):
        (state,) = chance.choices(states, (80, 8, 9, 3))
        document = _document(number, state, moment - timedelta(days=3) - step * (count - number))
        document = _of_crm(document) if number % 2 else document
        if state == "COMPLETED" and number % 50 == 0:
            document = replace(
                document, storage="row" if number % 100 else "object", deleted=number % 100 == 0
            )
        elif state == "DRAFT" and number % 10 == 0:
            document = replace(document, storage="missing")
        yield document


def _document(number: int, state: State, created: datetime) -> Document:
    """Return a document of the other team; some have a second recipient, and most drafts none."""
    recipients: tuple[Recipient, ...] = ()
    if state != "DRAFT" or number % 3 == 0:
        recipients = (Recipient(*_PEOPLE[number % len(_PEOPLE)]),)
    if recipients and number % 9 == 1:
        other = _PEOPLE[(number + 3) % len(_PEOPLE)]
        recipients = (*recipients, Recipient(*other, role=_SECOND[number % len(_SECOND)]))
    title = TITLES[number % len(TITLES)]
    return Document(number, title, state, created, recipients=recipients, team=LEGAL, user=4 + number % 2)


def _of_crm(document: Document) -> Document:
    return replace(document, team=SALES, user=CRM_USER, external_id=f"crm-deal-{2000 + document.number}")
