"""What happens to a document: sent, opened, signed, refused, deleted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rehearsal.apps.documenso.audit import log
from rehearsal.apps.documenso.context import Context
from rehearsal.apps.documenso.documents import Json, field_json, signature_json
from rehearsal.apps.documenso.mails import Mails
from rehearsal.apps.documenso.seals import Seals
from rehearsal.apps.documenso.store import Row, Transaction, now
from rehearsal.apps.documenso.webhooks import Webhooks

_THREE_MONTHS = {"unit": "month", "amount": 3}
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
_PERIOD = """
    select coalesce(
        m."envelopeExpirationPeriod", ts."envelopeExpirationPeriod", os."envelopeExpirationPeriod"
    ) as period from "Envelope" e join "DocumentMeta" m on m.id = e."documentMetaId"
    join "Team" t on t.id = e."teamId" join "TeamGlobalSettings" ts on ts.id = t."teamGlobalSettingsId"
    join "Organisation" o on o.id = t."organisationId"
    join "OrganisationGlobalSettings" os on os.id = o."organisationGlobalSettingsId" where e.id = %s
"""
_FINISHED = frozenset({"COMPLETED", "REJECTED"})
_SIGNATURES = frozenset({"SIGNATURE", "FREE_SIGNATURE"})


class RefusedError(Exception):
    """The document is not in a state for that; the message says why."""


class Signing:
    """The life of documents after they were drawn up."""

    def __init__(self, context: Context, webhooks: Webhooks, mails: Mails, seals: Seals) -> None:
        self._release = context.release
        self._store = context.store
        self._documents = context.documents
        self._webhooks = webhooks
        self._mails = mails
        self._seals = seals

    def fire(self, event: str, envelope: str) -> None:
        """Tell the webhooks about a document as it is now."""
        with self._store.transaction("envelope.findFirst") as transaction:
            payload = self._documents.event(transaction, _envelope(transaction, envelope))
        self._webhooks.fire(event, payload)

    def send(self, envelope: Row, *, by_mail: bool) -> Json:
        """Ask the recipients to sign; a document that was sent already is sent again.

        Raises:
            RefusedError: a signer has nothing to sign (v2.5.0 and later).
        """
        with self._store.transaction() as transaction:
            recipients = self._documents.recipients(transaction, [envelope["id"]])
            if self._release.strict:
                self._require_signature_fields(transaction, envelope, recipients)
            self._set_expiry(transaction, envelope)
            transaction.update("Envelope", envelope["id"], {"status": "PENDING", "updatedAt": now()})
            log(transaction, envelope["id"], "DOCUMENT_SENT", {})
            meta = _meta(transaction, envelope)
            answer = self._documents.sent(transaction, _envelope(transaction, envelope["id"]))
        self.fire("DOCUMENT_SENT", envelope["id"])
        if by_mail and meta["distributionMethod"] == "EMAIL":
            for recipient in recipients:
                if recipient["sendStatus"] == "NOT_SENT":
                    self._mails.invite(envelope, meta, recipient)
        return answer

    def resend(self, envelope: Row, wanted: list[int]) -> None:
        """Send the invitation again to some recipients.

        Raises:
            RefusedError: the document is not waiting for signatures.
        """
        if envelope["status"] != "PENDING":
            raise RefusedError("Can only send pending document")
        with self._store.transaction() as transaction:
            meta = _meta(transaction, envelope)
            recipients = self._documents.recipients(transaction, [envelope["id"]])
            self._set_expiry(transaction, envelope)
        for recipient in recipients:
            waiting = recipient["id"] in wanted and recipient["signingStatus"] == "NOT_SIGNED"
            if waiting and meta["distributionMethod"] == "EMAIL":
                self._mails.invite(envelope, meta, recipient)

    def delete(self, envelope: Row) -> None:
        """Remove a document that is not finished; a finished one is only hidden, and may be hidden again."""
        with self._store.transaction() as transaction:
            payload = self._documents.event(transaction, envelope)
            meta = _meta(transaction, envelope)
            recipients = self._documents.recipients(transaction, [envelope["id"]])
            log(transaction, envelope["id"], "DOCUMENT_DELETED", {"type": _deletion(envelope)})
            if envelope["status"] not in _FINISHED:
                transaction.rows(
                    'delete from "Envelope" where id = %s', envelope["id"], call="envelope.delete"
                )
            elif envelope["deletedAt"] is None:
                transaction.update("Envelope", envelope["id"], {"deletedAt": now(), "updatedAt": now()})
        self._webhooks.fire("DOCUMENT_CANCELLED", payload)
        if envelope["status"] == "PENDING" and (meta["emailSettings"] or {}).get("documentDeleted", True):
            told = [recipient for recipient in recipients if recipient["sendStatus"] == "SENT"]
            self._mails.cancel(envelope, told)

    def open(self, token: str) -> Row | None:
        """Note that a recipient opened the signing page; return the envelope, None if the token opens none.

        Up to v2.0.0 the event shows the recipient as it was before.
        """
        with self._store.transaction() as transaction:
            recipient = self._documents.recipient_of(transaction, token)
            envelope = _envelope(transaction, recipient["envelopeId"]) if recipient else None
            if (
                recipient is None
                or envelope is None
                or envelope["status"] == "DRAFT"
                or envelope["deletedAt"]
            ):
                return None
            before = self._documents.event(transaction, envelope)
            first = recipient["readStatus"] == "NOT_OPENED"
            if first:
                transaction.update(
                    "Recipient", recipient["id"], {"readStatus": "OPENED", "sendStatus": "SENT"}
                )
            log(
                transaction,
                envelope["id"],
                "DOCUMENT_OPENED" if first else "DOCUMENT_VIEWED",
                {"recipientId": recipient["id"]},
                recipient,
            )
            after = self._documents.event(transaction, envelope)
        if first:
            self._webhooks.fire("DOCUMENT_OPENED", after if self._release.expires else before)
        return envelope

    def sign_field(self, token: str, field: int, value: str, *, image: bool) -> Json:
        """Fill a recipient's field.

        Raises:
            RefusedError: there is no such field, or it cannot be filled any more.
        """
        with self._store.transaction() as transaction:
            recipient, envelope = self._signer(transaction, token)
            row = transaction.first(
                'select * from "Field" where id = %s and "recipientId" = %s', field, recipient["id"]
            )
            if row is None:
                raise RefusedError(f"Field not found for id {field}")
            if row["inserted"]:
                raise RefusedError(f"Field {field} has already been inserted")
            signature = None
            if row["type"] in _SIGNATURES:
                signature = transaction.insert(
                    "Signature",
                    {
                        "created": now(),
                        "recipientId": recipient["id"],
                        "fieldId": field,
                        "signatureImageAsBase64": value if image else None,
                        "typedSignature": None if image else value,
                    },
                )
            text = "" if signature else value
            transaction.update("Field", field, {"inserted": True, "customText": text})
            log(
                transaction,
                envelope["id"],
                "DOCUMENT_FIELD_INSERTED",
                {"fieldId": row["secondaryId"]},
                recipient,
            )
        return {
            **field_json({**row, "inserted": True, "customText": text}),
            "signature": signature_json(signature),
        }

    def complete(self, token: str) -> None:
        """Note that a recipient is done; after the last one the document is sealed, without being waited for.

        Raises:
            RefusedError: fields of the recipient are empty, or it is not its turn any more.
        """
        with self._store.transaction() as transaction:
            recipient, envelope = self._signer(transaction, token)
            empty = transaction.rows(
                'select id, "fieldMeta" from "Field" where "recipientId" = %s and not inserted',
                recipient["id"],
            )
            if any((field["fieldMeta"] or {}).get("required", True) for field in empty):
                raise RefusedError(f"Recipient {recipient['id']} has unsigned fields")
            transaction.update("Recipient", recipient["id"], {"signingStatus": "SIGNED", "signedAt": now()})
            log(
                transaction,
                envelope["id"],
                "DOCUMENT_RECIPIENT_COMPLETED",
                {"recipientId": recipient["id"]},
                recipient,
            )
            waiting = [
                other
                for other in self._documents.recipients(transaction, [envelope["id"]])
                if other["signingStatus"] != "SIGNED" and other["role"] != "CC"
            ]
        if self._release.sweeps:
            self.fire("DOCUMENT_RECIPIENT_COMPLETED", envelope["id"])
        self.fire("DOCUMENT_SIGNED", envelope["id"])
        if not waiting:
            self.seal(envelope)

    def seal(self, envelope: Row) -> None:
        """Have a document sealed whose recipients are done."""
        self._seals.submit(envelope, self.fire)

    def reject(self, token: str, reason: str) -> Json:
        """Note that a recipient refuses; the document is then sealed as refused. Return the recipient.

        Raises:
            RefusedError: it is not its turn any more.
        """
        with self._store.transaction() as transaction:
            recipient, envelope = self._signer(transaction, token)
            change = {"signingStatus": "REJECTED", "signedAt": now(), "rejectionReason": reason}
            transaction.update("Recipient", recipient["id"], change)
            log(
                transaction,
                envelope["id"],
                "DOCUMENT_RECIPIENT_REJECTED",
                {"recipientId": recipient["id"], "reason": reason},
                recipient,
            )
        self.seal(envelope)
        return self._documents.recipient_json({**recipient, **change})

    def _signer(self, transaction: Transaction, token: str) -> tuple[Row, Row]:
        recipient = self._documents.recipient_of(transaction, token)
        if recipient is None:
            raise RefusedError("Recipient not found")
        envelope = _envelope(transaction, recipient["envelopeId"])
        if envelope["status"] != "PENDING":
            raise RefusedError(f"Document {envelope['id']} must be pending for signing")
        if recipient["signingStatus"] != "NOT_SIGNED":
            raise RefusedError(f"Recipient {recipient['id']} has already signed")
        return recipient, envelope

    def _set_expiry(self, transaction: Transaction, envelope: Row) -> None:
        """Set until when recipients can sign, anew with each sending: three months if nothing else is set."""
        if not self._release.expires:
            return
        period = transaction.rows(_PERIOD, envelope["id"], call="envelope.findFirst")[0]["period"]
        transaction.rows(
            'update "Recipient" set "expiresAt" = %s where "envelopeId" = %s and "signingStatus" = %s',
            _end(period or _THREE_MONTHS),
            envelope["id"],
            "NOT_SIGNED",
            call="recipient.updateMany",
        )

    def _require_signature_fields(
        self, transaction: Transaction, envelope: Row, recipients: list[Row]
    ) -> None:
        signing: set[Any] = {
            field["recipientId"]
            for field in self._documents.fields(transaction, [envelope["id"]])
            if field["type"] in _SIGNATURES
        }
        missing = [
            f"{recipient['name']} ({recipient['email']}, id: {recipient['id']})"
            for recipient in recipients
            if recipient["role"] == "SIGNER" and recipient["id"] not in signing
        ]
        if missing:
            raise RefusedError(
                f"The following recipients are missing required fields: {', '.join(missing)}. "
                "Signers must have at least one signature field."
            )


def _envelope(transaction: Transaction, identity: str) -> Row:
    return transaction.rows('select * from "Envelope" where id = %s', identity, call="envelope.findFirst")[0]


def _meta(transaction: Transaction, envelope: Row) -> Row:
    return transaction.rows(
        'select * from "DocumentMeta" where id = %s',
        envelope["documentMetaId"],
        call="documentMeta.findFirst",
    )[0]


def _end(period: Mapping[str, Any]) -> datetime | None:
    if period.get("disabled"):
        return None
    return now() + timedelta(days=_DAYS[period["unit"]] * period["amount"])


def _deletion(envelope: Row) -> str:
    return "SOFT" if envelope["status"] in _FINISHED else "HARD"
