"""Making documents: envelope, item, recipients and fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from rehearsal.apps.documenso import ids
from rehearsal.apps.documenso.audit import log
from rehearsal.apps.documenso.store import Row, Transaction, now
from rehearsal.apps.documenso.tokens import Access

_META = {
    "subject": None,
    "message": None,
    "redirectUrl": None,
    "signingOrder": "PARALLEL",
    "distributionMethod": "EMAIL",
    "allowDictateNextSigner": False,
}
_FIELD_NAMES = {
    "recipientId": "recipientId",
    "type": "type",
    "pageNumber": "page",
    "pageX": "positionX",
    "pageY": "positionY",
    "pageWidth": "width",
    "pageHeight": "height",
}
"""The names of a field in v1 requests, and those of the columns."""


@dataclass(frozen=True)
class Draft:
    """What a new document is made of.

    Attributes:
        data: the id of its DocumentData row.
        source: DOCUMENT, or TEMPLATE with the template's number.
    """

    title: str
    external_id: str | None
    meta: Mapping[str, Any]
    data: str
    source: str = "DOCUMENT"
    template: int | None = None
    form_values: Mapping[str, Any] | None = None


def add_data(transaction: Transaction, key: str) -> str:
    """Add the row of an object that is, or will be, in the bucket; return its id."""
    identity = ids.cuid()
    transaction.insert("DocumentData", {"id": identity, "type": "S3_PATH", "data": key, "initialData": key})
    return identity


def add_document(transaction: Transaction, access: Access, draft: Draft) -> Row:
    """Add an envelope with its item, without recipients."""
    counter = transaction.rows(
        'insert into "Counter" (id, value) values (%s, 1) '
        'on conflict (id) do update set value = "Counter".value + 1 returning value',
        "document",
        call="counter.update",
    )
    moment = now()
    envelope = transaction.insert(
        "Envelope",
        {
            "id": ids.prefixed("envelope"),
            "secondaryId": f"document_{counter[0]['value']}",
            "externalId": draft.external_id,
            "type": "DOCUMENT",
            "createdAt": moment,
            "updatedAt": moment,
            "title": draft.title,
            "source": draft.source,
            "qrToken": ids.prefixed("qr"),
            "internalVersion": 1,
            "authOptions": Jsonb({"globalAccessAuth": [], "globalActionAuth": []}),
            "formValues": Jsonb(draft.form_values) if draft.form_values else None,
            "visibility": access.settings["documentVisibility"],
            "templateId": draft.template,
            "userId": access.user,
            "teamId": access.team,
            "documentMetaId": _add_meta(transaction, access, draft.meta),
        },
    )
    transaction.insert(
        "EnvelopeItem",
        {
            "id": ids.prefixed("envelope_item"),
            "title": draft.title,
            "order": 1,
            "documentDataId": draft.data,
            "envelopeId": envelope["id"],
        },
    )
    log(
        transaction,
        envelope["id"],
        "DOCUMENT_CREATED",
        {"title": draft.title, "source": {"type": draft.source}},
    )
    return envelope


def add_recipients(
    transaction: Transaction, envelope: Row, recipients: Sequence[Mapping[str, Any]]
) -> list[Row]:
    """Add recipients; one who only gets a copy counts as sent and signed from the beginning."""
    added = []
    for recipient in recipients:
        role = recipient.get("role") or "SIGNER"
        row = transaction.insert(
            "Recipient",
            {
                "email": str(recipient["email"]).lower(),
                "name": recipient.get("name") or "",
                "role": role,
                "signingOrder": recipient.get("signingOrder"),
                "token": ids.recipient_token(),
                "sendStatus": "SENT" if role == "CC" else "NOT_SENT",
                "signingStatus": "SIGNED" if role == "CC" else "NOT_SIGNED",
                "authOptions": Jsonb({"accessAuth": [], "actionAuth": []}),
                "envelopeId": envelope["id"],
            },
        )
        log(
            transaction,
            envelope["id"],
            "RECIPIENT_CREATED",
            {"recipientId": row["id"], "recipientRole": role},
        )
        added.append(row)
    return added


def add_fields(transaction: Transaction, envelope: Row, fields: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Add fields, given in the words of v1 requests; they lie on the envelope's first item."""
    item = transaction.rows(
        'select id from "EnvelopeItem" where "envelopeId" = %s order by "order"',
        envelope["id"],
        call="envelopeItem.findFirst",
    )[0]
    rows = []
    for field in fields:
        meta = field.get("fieldMeta")
        row = transaction.insert(
            "Field",
            {
                **columns(field),
                "secondaryId": ids.cuid(),
                "customText": "",
                "inserted": False,
                "fieldMeta": Jsonb(meta) if meta else None,
                "envelopeId": envelope["id"],
                "envelopeItemId": item["id"],
            },
        )
        log(
            transaction,
            envelope["id"],
            "FIELD_CREATED",
            {"fieldId": row["secondaryId"], "fieldType": row["type"]},
        )
        rows.append(row)
    return rows


def columns(field: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that a v1 request gives for a field."""
    return {column: field[name] for name, column in _FIELD_NAMES.items() if name in field}


def copy_template(
    transaction: Transaction, template: Row, envelope: Row, recipients: Mapping[int, Mapping[str, Any]]
) -> None:
    """Give a new document the recipients and fields of a template.

    Args:
        transaction: where.
        template: its row.
        envelope: the document's row.
        recipients: what the request says of the template's recipients, by their ids.
    """
    for known in transaction.rows(
        'select * from "Recipient" where "envelopeId" = %s order by id', template["id"]
    ):
        wanted = {**known, **recipients.get(known["id"], {})}
        added = add_recipients(transaction, envelope, [wanted])[0]
        fields = transaction.rows('select * from "Field" where "recipientId" = %s order by id', known["id"])
        words = [{name: field[column] for name, column in _FIELD_NAMES.items()} for field in fields]
        for field, word in zip(fields, words, strict=True):
            add_fields(
                transaction, envelope, [{**word, "recipientId": added["id"], "fieldMeta": field["fieldMeta"]}]
            )


def _add_meta(transaction: Transaction, access: Access, wanted: Mapping[str, Any]) -> str:
    settings = access.settings
    identity = ids.cuid()
    defaults = {
        **_META,
        "timezone": settings["documentTimezone"] or "Etc/UTC",
        "dateFormat": settings["documentDateFormat"],
        "language": settings["documentLanguage"],
        "typedSignatureEnabled": settings["typedSignatureEnabled"],
        "uploadSignatureEnabled": settings["uploadSignatureEnabled"],
        "drawSignatureEnabled": settings["drawSignatureEnabled"],
    }
    given = {name: wanted[name] for name in defaults if wanted.get(name) is not None}
    mails = wanted.get("emailSettings") or settings["emailDocumentSettings"]
    transaction.insert(
        "DocumentMeta",
        {"id": identity, **defaults, **given, "emailSettings": Jsonb(mails) if mails else None},
    )
    return identity
