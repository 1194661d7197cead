"""Recipients and fields of documents in the v1 API."""

from __future__ import annotations

from typing import Any

from rehearsal.apps.documenso import drafts
from rehearsal.apps.documenso.documents import number_of, placed_json
from rehearsal.apps.documenso.http import CORS, as_json
from rehearsal.apps.documenso.store import Row, Transaction
from rehearsal.apps.documenso.v1_calls import FINISHED, ApiError, Call, Handlers
from rehearsal.apps.documenso.v1_documents import RECIPIENT
from rehearsal.apps.documenso.zod import Field
from rehearsal.apps.web import Answer

FIELD = {
    "recipientId": Field(float),
    "type": Field(str),
    "pageNumber": Field(float),
    "pageX": Field(float),
    "pageY": Field(float),
    "pageWidth": Field(float),
    "pageHeight": Field(float),
}
CHANGED_FIELD = {name: Field(field.type, optional=True) for name, field in FIELD.items()}
CHANGED_RECIPIENT = {name: Field(field.type, optional=True) for name, field in RECIPIENT.items()}


class PartHandlers(Handlers):
    """Adding, changing and removing them, until a document is finished. Only adding a field was recorded."""

    def add_recipient(self, call: Call, number: str) -> Answer:
        """Answer the new recipient."""
        row = self._unfinished(call, number)
        with self._store.transaction("recipient.create") as transaction:
            recipient = drafts.add_recipients(transaction, row, [call.body])[0]
        return as_json(self._written_recipient(row, recipient), headers=CORS)

    def change_recipient(self, call: Call, number: str, recipient: str) -> Answer:
        """Answer the recipient as it is now."""
        row = self._unfinished(call, number)
        with self._store.transaction("recipient.update") as transaction:
            found = self._part(transaction, "Recipient", row, recipient)
            change = {name: call.body[name] for name in RECIPIENT if name in call.body}
            if change:
                transaction.update("Recipient", found["id"], change)
        return as_json(self._written_recipient(row, {**found, **change}), headers=CORS)

    def remove_recipient(self, call: Call, number: str, recipient: str) -> Answer:
        """Answer the recipient as it was."""
        row = self._unfinished(call, number)
        with self._store.transaction("recipient.delete") as transaction:
            found = self._part(transaction, "Recipient", row, recipient)
            transaction.rows('delete from "Recipient" where id = %s', found["id"])
        return as_json(self._written_recipient(row, found), headers=CORS)

    def add_fields(self, call: Call, number: str) -> Answer:
        """Answer the new fields, of which one or more may be given."""
        row = self._unfinished(call, number)
        wanted = call.body if isinstance(call.body, list) else [call.body]
        with self._store.transaction("field.create") as transaction:
            for field in wanted:
                self._part(transaction, "Recipient", row, str(field["recipientId"]))
            fields = [placed_json(row, field) for field in drafts.add_fields(transaction, row, wanted)]
        return as_json({"fields": fields, "documentId": number_of(row)}, headers=CORS)

    def change_field(self, call: Call, number: str, field: str) -> Answer:
        """Answer the field as it is now."""
        row = self._unfinished(call, number)
        with self._store.transaction("field.update") as transaction:
            found = self._part(transaction, "Field", row, field)
            change = drafts.columns(call.body)
            if change:
                transaction.update("Field", found["id"], change)
            changed = self._part(transaction, "Field", row, field)
        return as_json(placed_json(row, changed), headers=CORS)

    def remove_field(self, call: Call, number: str, field: str) -> Answer:
        """Answer the field as it was."""
        row = self._unfinished(call, number)
        with self._store.transaction("field.delete") as transaction:
            found = self._part(transaction, "Field", row, field)
            transaction.rows('delete from "Field" where id = %s', found["id"])
        return as_json(placed_json(row, found), headers=CORS)

    def _unfinished(self, call: Call, number: str) -> Row:
        row = self.document(call, number)
        if row["status"] in FINISHED:
            raise ApiError("Document is already completed", 400)
        return row

    def _part(self, transaction: Transaction, table: str, row: Row, identity: str) -> Row:
        statement = (
            'select * from "Recipient" where id = %s and "envelopeId" = %s'
            if table == "Recipient"
            else 'select * from "Field" where id = %s and "envelopeId" = %s'
        )
        number = int(identity) if identity.isdecimal() else -1
        found = transaction.first(statement, number, row["id"])
        if found is None:
            raise ApiError(f"{table} not found", 404)
        return found

    def _written_recipient(self, row: Row, recipient: Row) -> dict[str, Any]:
        return {
            **self._documents.recipient_json(recipient),
            "documentId": number_of(row),
            "signingUrl": self._documents.signing_address(recipient),
        }
