"""The rows that the recordings of Documenso were made on, as far as an answer shows them."""

from __future__ import annotations

import hashlib
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from rehearsal.documenso import schema
from rehearsal.documenso.accounts import MAILS
from selftest.documenso_recorded import recording

TOKENS = ("api_recordedtoken001", "api_recordedtoken002")
SECRET = "recorded-webhook-secret"
HOOK = "http://crm.acme.example/hooks/documenso"
EMAIL, PASSWORD = "crm-bot@acme.example", "correct horse 1"

_OTHERS = range(129, 201)
"""Documents that make the list long; the last of them was asked for."""
_PDF = "JVBERi0="
_NDA = "0t0t0t0t0t0t/nda.pdf"

Rows = psycopg.Connection[tuple[Any, ...]]


def create(connection: Rows) -> None:
    """Create the schema of v1.13.1 and the rows in an empty database."""
    schema.create(connection)
    _people(connection)
    for name in ("14-v1-document-completed", "14-v1-document-pending"):
        _document(connection, _recorded(name))
    _draft(connection, _recorded("25-v2-beta-document-valid")["data"][0])
    _template(connection, _recorded("17-v1-templates")["templates"][0])
    for number in _OTHERS:
        _bare(connection, number, "COMPLETED", f"2025-01-01 {number % 24:02}:00")
        _item(connection, f"envelope_document_{number}", f"item_{number}", "BYTES_64", _PDF, _PDF)
    _bare(connection, 211, "COMPLETED", "2025-02-01", teamId=3)
    for table, last in (("Recipient", 220), ("Field", 217), ("Signature", 149), ("User", 6)):
        connection.execute("select setval(pg_get_serial_sequence(%s, 'id'), %s)", (f'"{table}"', last))
    connection.execute("""insert into "Counter" (id, value) values ('document', 215), ('template', 1)""")


def _recorded(name: str) -> Any:  # noqa: ANN401 - JSON
    return recording("v1.13.1", name)["response"]["body"]


def _insert(connection: Rows, table: str, **values: object) -> None:
    names = ", ".join(f'"{name}"' for name in values)
    marks = ", ".join(["%s"] * len(values))
    statement = f'insert into "{table}" ({names}) values ({marks})'
    connection.execute(statement.encode(), list(values.values()))


def _people(connection: Rows) -> None:
    moment = "2024-01-01"
    for number, name, email in (
        (1, "Service Account", "serviceaccount@documenso.com"),
        (2, "Deleted Account", "deleted-account@documenso.com"),
        (3, "Anna Sales", "anna@acme.example"),
        (6, "CRM Integration", EMAIL),
    ):
        _insert(connection, "User", id=number, name=name, email=email, emailVerified=moment)
    connection.execute(
        """update "User" set password = overlay(crypt(%s, gen_salt('bf', 4)) placing '$2b' from 1 for 3)
        where id = 6""",
        (PASSWORD,),
    )
    _insert(
        connection, "OrganisationClaim", id="claim", updatedAt=moment, teamCount=0, memberCount=0, flags="{}"
    )
    _insert(connection, "OrganisationGlobalSettings", id="settings", emailDocumentSettings=Jsonb(MAILS))
    _insert(connection, "OrganisationAuthenticationPortal", id="portal")
    _insert(
        connection,
        "Organisation",
        id="org_acme",
        updatedAt=moment,
        type="ORGANISATION",
        name="Acme",
        url="acme",
        ownerUserId=3,
        organisationClaimId="claim",
        organisationGlobalSettingsId="settings",
        organisationAuthenticationPortalId="portal",
    )
    _insert(connection, "OrganisationMember", id="m6", updatedAt=moment, userId=6, organisationId="org_acme")
    for number, name, url in ((2, "Acme Sales", "acme-sales"), (3, "Acme Legal", "acme-legal")):
        _insert(connection, "TeamGlobalSettings", id=f"settings{number}")
        _insert(
            connection,
            "Team",
            id=number,
            name=name,
            url=url,
            organisationId="org_acme",
            teamGlobalSettingsId=f"settings{number}",
        )
    for number, token in enumerate(TOKENS):
        digest = hashlib.sha512(token.encode()).hexdigest()
        expires = "2025-01-01" if number else None
        _insert(connection, "ApiToken", name="crm", token=digest, expires=expires, userId=6, teamId=2)
    for name, url in (("hook", HOOK), ("fail", HOOK.replace("documenso", "fail"))):
        _insert(
            connection, "Webhook", id=name, webhookUrl=url, secret=SECRET, enabled=False, userId=6, teamId=2
        )


def listen(connection: Rows, *enabled: str) -> None:
    """Enable these webhooks and no others, for every event that the schema knows."""
    connection.execute(
        """update "Webhook" set enabled = id = any(%s),
        "eventTriggers" = enum_range(null::"WebhookTriggerEvents")""",
        (list(enabled),),
    )


def _bare(connection: Rows, number: int, status: str, created: str, **more: object) -> None:
    """Add an envelope and its meta."""
    kind = more.get("type", "DOCUMENT")
    name = f"{str(kind).lower()}_{number}"
    row = {
        "id": f"envelope_{name}",
        "secondaryId": name,
        "type": kind,
        "title": name,
        "status": status,
        "source": "DOCUMENT",
        "createdAt": created,
        "updatedAt": created,
        "internalVersion": 1,
        "userId": 6,
        "teamId": 2,
        "documentMetaId": f"meta_{name}",
    }
    _insert(connection, "DocumentMeta", id=row["documentMetaId"])
    _insert(connection, "Envelope", **{**row, **more})


def _item(connection: Rows, envelope: object, item: object, *data: str) -> None:
    """Add the item of an envelope with its data: type, current and first."""
    kind, current, first = data
    identity = f"data_{item}"
    _insert(connection, "DocumentData", id=identity, type=kind, data=current, initialData=first)
    values = {"id": item, "documentDataId": identity, "envelopeId": envelope}
    _insert(connection, "EnvelopeItem", **values, title="a.pdf", order=1)


_KEYS = {
    213: ("q7w2e9r4t1y6/renewal-2025-signed.pdf", "a1b2c3d4e5f6/renewal-2025.pdf"),
    214: ("z9y8x7w6v5u4/addendum.pdf", "z9y8x7w6v5u4/addendum.pdf"),
}


def _document(connection: Rows, body: dict[str, Any]) -> None:
    number, envelope = body["id"], body["fields"][0]["envelopeId"]
    told = ("title", "externalId", "updatedAt", "completedAt")
    _bare(
        connection,
        number,
        body["status"],
        body["createdAt"],
        id=envelope,
        **{name: body[name] for name in told},
    )
    _item(connection, envelope, body["fields"][0]["envelopeItemId"], "S3_PATH", *_KEYS[number])
    for recipient in body["recipients"]:
        row = {name: value for name, value in recipient.items() if name not in {"documentId", "signingUrl"}}
        _insert(connection, "Recipient", **row, envelopeId=envelope)
    for field in body["fields"]:
        _field(connection, field)


def _field(connection: Rows, field: dict[str, Any]) -> None:
    hidden = {"signature", "recipient", "templateId"}
    _insert(connection, "Field", **{name: value for name, value in field.items() if name not in hidden})


def _draft(connection: Rows, row: dict[str, Any]) -> None:
    told = {"id": row["envelopeId"], "title": row["title"], "externalId": row["externalId"]}
    _bare(connection, row["id"], row["status"], row["createdAt"], **told)


def _template(connection: Rows, row: dict[str, Any]) -> None:
    field = row["Field"][0]
    told = {name: row[name] for name in ("title", "externalId", "userId")}
    _bare(connection, row["id"], "DRAFT", row["createdAt"], type="TEMPLATE", id=field["envelopeId"], **told)
    _item(connection, field["envelopeId"], field["envelopeItemId"], "S3_PATH", _NDA, _NDA)
    _insert(connection, "Recipient", **row["Recipient"][0])
    _field(connection, field)
