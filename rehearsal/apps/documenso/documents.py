"""Documents and templates as rows, and as the API and the webhooks show them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from psycopg import sql

from rehearsal.apps.documenso.release import Release
from rehearsal.apps.documenso.store import Row, Transaction, iso

_FIELD = (
    "id",
    "secondaryId",
    "envelopeId",
    "envelopeItemId",
    "recipientId",
    "type",
    "page",
    "positionX",
    "positionY",
    "width",
    "height",
    "customText",
    "inserted",
    "fieldMeta",
)
_META = (
    "id",
    "subject",
    "message",
    "timezone",
    "dateFormat",
    "redirectUrl",
    "signingOrder",
    "allowDictateNextSigner",
    "typedSignatureEnabled",
    "uploadSignatureEnabled",
    "drawSignatureEnabled",
    "language",
    "distributionMethod",
    "emailSettings",
)
_NOT_IN_EVENTS = frozenset({"envelopeId", "sentAt", "lastReminderSentAt", "nextReminderAt"})

Json = dict[str, Any]


class Documents:
    """Reads envelopes and words them in the way of one release."""

    def __init__(self, release: Release, url: str) -> None:
        """Prepare.

        Args:
            release: whose columns and keys.
            url: the public address, which signing addresses begin with.
        """
        self._release = release
        self._url = url
        self._recipient = sql.SQL(", ").join(map(sql.Identifier, release.recipient))

    def find(self, transaction: Transaction, kind: str, number: str, team: int) -> Row | None:
        """Return the envelope that the v1 API calls by a number, None if the team has none of that kind.

        Args:
            transaction: where to look.
            kind: `document` or `template`.
            number: as the address has it; anything but digits finds nothing.
            team: the token's.
        """
        return transaction.first(
            'select * from "Envelope" where "secondaryId" = %s and type = %s and "teamId" = %s',
            f"{kind}_{int(number)}" if number.isdecimal() else "",
            kind.upper(),
            team,
            call="envelope.findFirst",
        )

    def page(
        self, transaction: Transaction, kind: str, team: int, number: int, size: int
    ) -> tuple[list[Row], int]:
        """Return a page of a team's envelopes outside folders, newest first, and how many there are."""
        where = sql.SQL('type = %s and "teamId" = %s and "folderId" is null and "deletedAt" is null')
        rows = transaction.rows(
            sql.SQL('select * from "Envelope" where {} order by "createdAt" desc limit %s offset %s').format(
                where
            ),
            kind.upper(),
            team,
            size,
            (number - 1) * size,
            call="envelope.findMany",
        )
        count = transaction.rows(
            sql.SQL('select count(*) from "Envelope" where {}').format(where),
            kind.upper(),
            team,
            call="envelope.count",
        )
        return rows, count[0]["count"]

    def recipients(self, transaction: Transaction, envelopes: Sequence[str]) -> list[Row]:
        """Return the recipients of some envelopes."""
        statement = sql.SQL('select {} from "Recipient" where "envelopeId" = any(%s) order by id')
        return transaction.rows(statement.format(self._recipient), list(envelopes), call="recipient.findMany")

    def recipient_of(self, transaction: Transaction, token: str) -> Row | None:
        """Return the recipient whose signing page a token opens, None if there is none."""
        statement = sql.SQL('select {} from "Recipient" where token = %s')
        return transaction.first(statement.format(self._recipient), token, call="recipient.findFirst")

    def fields(self, transaction: Transaction, envelopes: Sequence[str]) -> list[Row]:
        """Return the fields of some envelopes."""
        return transaction.rows(
            'select * from "Field" where "envelopeId" = any(%s) order by id',
            list(envelopes),
            call="field.findMany",
        )

    def signatures(self, transaction: Transaction, envelope: str) -> dict[int, Row]:
        """Return the signatures of an envelope by field."""
        rows = transaction.rows(
            'select s.* from "Signature" s join "Field" f on f.id = s."fieldId" where f."envelopeId" = %s',
            envelope,
            call="signature.findMany",
        )
        return {row["fieldId"]: row for row in rows}

    def summary(self, row: Row, *, folder: bool = False) -> Json:
        """Return a document as v1 words it, without recipients and fields."""
        return {
            "id": number_of(row),
            "externalId": row["externalId"],
            "userId": row["userId"],
            "teamId": row["teamId"],
            **({"folderId": row["folderId"]} if folder and self._release.stored_limits else {}),
            "title": row["title"],
            "status": row["status"],
            "createdAt": iso(row["createdAt"]),
            "updatedAt": iso(row["updatedAt"]),
            "completedAt": iso(row["completedAt"]),
        }

    def whole(self, transaction: Transaction, row: Row) -> Json:
        """Return a document as `GET /documents/:id` of v1 does."""
        recipients = self.recipients(transaction, [row["id"]])
        signatures = self.signatures(transaction, row["id"])
        by_id = {recipient["id"]: recipient for recipient in recipients}
        return {
            **self.summary(row, folder=True),
            "recipients": [self._v1_recipient(row, recipient) for recipient in recipients],
            "fields": [
                {
                    **field_json(field),
                    "signature": signature_json(signatures.get(field["id"])),
                    "recipient": {
                        name: by_id[field["recipientId"]][name] for name in ("name", "email", "signingStatus")
                    },
                }
                for field in self.fields(transaction, [row["id"]])
            ],
        }

    def sent(self, transaction: Transaction, row: Row) -> Json:
        """Return a document as `POST /documents/:id/send` of v1 does."""
        return {
            "message": "Document sent for signing successfully",
            **self.summary(row),
            "recipients": [
                {**self.recipient_json(recipient), "signingUrl": self.signing_address(recipient)}
                for recipient in self.recipients(transaction, [row["id"]])
            ],
        }

    def created(self, transaction: Transaction, row: Row) -> Json:
        """Return what both ways of creating a document answer, but for the upload."""
        return {
            "documentId": number_of(row),
            "recipients": [
                {
                    "recipientId": recipient["id"],
                    "name": recipient["name"],
                    "email": recipient["email"],
                    "token": recipient["token"],
                    "role": recipient["role"],
                    "signingOrder": recipient["signingOrder"],
                    "signingUrl": self.signing_address(recipient),
                }
                for recipient in self.recipients(transaction, [row["id"]])
            ],
        }

    def templates(self, transaction: Transaction, rows: Sequence[Row]) -> list[Json]:
        """Return templates as v1 lists them."""
        ids = [row["id"] for row in rows]
        recipients, fields = self.recipients(transaction, ids), self.fields(transaction, ids)
        links = {
            link["envelopeId"]: {"token": link["token"], "enabled": link["enabled"]}
            for link in transaction.rows(
                'select "envelopeId", token, enabled from "TemplateDirectLink" where "envelopeId" = any(%s)',
                ids,
            )
        }
        return [
            {
                "id": number_of(row),
                "externalId": row["externalId"],
                "type": row["templateType"],
                "title": row["title"],
                "userId": row["userId"],
                "teamId": row["teamId"],
                "createdAt": iso(row["createdAt"]),
                "updatedAt": iso(row["updatedAt"]),
                "directLink": links.get(row["id"]),
                "Field": [
                    {**field_json(field), "templateId": number_of(row)}
                    for field in fields
                    if field["envelopeId"] == row["id"]
                ],
                "Recipient": [
                    self.recipient_json(recipient)
                    for recipient in recipients
                    if recipient["envelopeId"] == row["id"]
                ],
            }
            for row in rows
        ]

    def v2(self, transaction: Transaction, rows: Sequence[Row], team: Json) -> list[Json]:
        """Return documents as the v2 API lists them."""
        recipients = self.recipients(transaction, [row["id"] for row in rows])
        users = {
            user["id"]: user
            for user in transaction.rows(
                'select id, name, email from "User" where id = any(%s)',
                [row["userId"] for row in rows],
                call="user.findMany",
            )
        }
        return [
            {
                "visibility": row["visibility"],
                "status": row["status"],
                "source": row["source"],
                "id": number_of(row),
                "externalId": row["externalId"],
                "userId": row["userId"],
                "authOptions": row["authOptions"],
                "formValues": row["formValues"],
                "title": row["title"],
                "createdAt": iso(row["createdAt"]),
                "updatedAt": iso(row["updatedAt"]),
                "completedAt": iso(row["completedAt"]),
                "deletedAt": iso(row["deletedAt"]),
                "teamId": row["teamId"],
                "folderId": row["folderId"],
                "useLegacyFieldInsertion": row["useLegacyFieldInsertion"],
                "envelopeId": row["id"],
                **({"internalVersion": row["internalVersion"]} if self._release.has_v2 else {}),
                "documentDataId": "",
                "templateId": row["templateId"],
                "user": users[row["userId"]],
                "recipients": [
                    {**self.recipient_json(recipient), "documentId": number_of(row), "templateId": None}
                    for recipient in recipients
                    if recipient["envelopeId"] == row["id"]
                ],
                "team": team,
            }
            for row in rows
        ]

    def event(self, transaction: Transaction, row: Row) -> Json:
        """Return a document as webhooks carry it."""
        meta = transaction.rows(
            'select * from "DocumentMeta" where id = %s', row["documentMetaId"], call="documentMeta.findFirst"
        )[0]
        recipients = [
            self._event_recipient(row, recipient) for recipient in self.recipients(transaction, [row["id"]])
        ]
        return {
            "id": number_of(row),
            "externalId": row["externalId"],
            "userId": row["userId"],
            "authOptions": row["authOptions"],
            "formValues": row["formValues"],
            "visibility": row["visibility"],
            "title": row["title"],
            "status": row["status"],
            "createdAt": iso(row["createdAt"]),
            "updatedAt": iso(row["updatedAt"]),
            "completedAt": iso(row["completedAt"]),
            "deletedAt": iso(row["deletedAt"]),
            "teamId": row["teamId"],
            "templateId": row["templateId"],
            "source": row["source"],
            "documentMeta": {name: meta[name] for name in _META},
            "recipients": recipients,
            "Recipient": recipients,
        }

    def recipient_json(self, recipient: Row) -> Json:
        """Return a recipient with every column that the release knows."""
        return {
            name: iso(recipient[name]) if _is_moment(name) else recipient[name]
            for name in self._release.recipient
        }

    def signing_address(self, recipient: Row) -> str:
        """Return where a recipient signs."""
        return f"{self._url}/sign/{recipient['token']}"

    def _v1_recipient(self, row: Row, recipient: Row) -> Json:
        return {
            "id": recipient["id"],
            "documentId": number_of(row),
            "email": recipient["email"],
            "name": recipient["name"],
            "role": recipient["role"],
            "signingOrder": recipient["signingOrder"],
            "token": recipient["token"],
            "signedAt": iso(recipient["signedAt"]),
            "readStatus": recipient["readStatus"],
            "signingStatus": recipient["signingStatus"],
            "sendStatus": recipient["sendStatus"],
            "signingUrl": self.signing_address(recipient),
        }

    def _event_recipient(self, row: Row, recipient: Row) -> Json:
        hidden = _NOT_IN_EVENTS | ({"expired"} if self._release.expires else frozenset())
        columns = self.recipient_json(recipient)
        return {
            "id": columns.pop("id"),
            "documentId": number_of(row),
            "templateId": None,
            **{name: value for name, value in columns.items() if name not in hidden},
        }


def number_of(row: Row) -> int:
    """Return the number by which the v1 API and the webhooks call an envelope."""
    return int(row["secondaryId"].rpartition("_")[2])


def field_json(field: Row) -> Json:
    """Return a field as v1 reads show it: measures are decimals in strings."""
    return {name: _decimal(field[name]) for name in _FIELD}


def placed_json(row: Row, field: Row) -> Json:
    """Return a field as v1 writes show it: measures are numbers."""
    return {
        "id": field["id"],
        "documentId": number_of(row),
        "recipientId": field["recipientId"],
        "type": field["type"],
        "pageNumber": field["page"],
        "pageX": _number(field["positionX"]),
        "pageY": _number(field["positionY"]),
        "pageWidth": _number(field["width"]),
        "pageHeight": _number(field["height"]),
        "customText": field["customText"],
        "inserted": field["inserted"],
    }


def signature_json(signature: Row | None) -> Json | None:
    """Return a field's signature."""
    return {**signature, "created": iso(signature["created"])} if signature else None


def _is_moment(name: str) -> bool:
    return name.endswith("At") or name == "expired"


def _decimal(value: object) -> object:
    return format(value.normalize(), "f") if isinstance(value, Decimal) else value


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
