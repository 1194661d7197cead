"""Documents in the v1 API."""

from __future__ import annotations

from rehearsal.apps.documenso import drafts, ids
from rehearsal.apps.documenso.context import Context
from rehearsal.apps.documenso.http import CORS, as_json
from rehearsal.apps.documenso.signing import RefusedError, Signing
from rehearsal.apps.documenso.v1_calls import FINISHED, Call, Handlers, message
from rehearsal.apps.documenso.zod import Field
from rehearsal.apps.web import Answer

RECIPIENT = {
    "name": Field(str),
    "email": Field(str),
    "role": Field(str, optional=True),
    "signingOrder": Field(float, optional=True),
}
CREATE = {
    "title": Field(str),
    "externalId": Field(str, optional=True),
    "recipients": Field(list, items=RECIPIENT),
    "meta": Field(dict, optional=True),
    "formValues": Field(dict, optional=True),
}
SEND = {"sendEmail": Field(bool, optional=True)}
RESEND = {"recipients": Field(list)}


class DocumentHandlers(Handlers):
    """List, create, read, download, send, send again, delete."""

    def __init__(self, context: Context, signing: Signing) -> None:
        super().__init__(context)
        self._signing = signing

    def list_(self, call: Call) -> Answer:
        """Answer a page of documents outside folders."""
        knob = self._knobs.word("documents")
        if knob == "error":
            return message("Internal Server Error", 500)
        page, size = call.page
        with self._store.transaction("envelope.findMany") as transaction:
            rows, count = self._documents.page(transaction, "document", call.access.team, page, size)
        documents = [self._documents.summary(row, folder=True) for row in rows if knob != "empty"]
        return as_json({"documents": documents, "totalPages": -(-count // size)}, headers=CORS)

    def get(self, call: Call, number: str) -> Answer:
        """Answer a document with recipients and fields."""
        with self._store.transaction("envelope.findFirst") as transaction:
            row = self.found(transaction, call, number)
            return as_json(self._documents.whole(transaction, row), headers=CORS)

    def create(self, call: Call) -> Answer:
        """Answer the address for its upload; the row is there before the object."""
        if not self._storage.is_bucket:
            return message("Create document is not available without S3 transport.", 500)
        title = call.body["title"]
        key = ids.object_key(title if title.endswith(".pdf") else f"{title}.pdf")
        with self._store.transaction("envelope.create") as transaction:
            draft = drafts.Draft(
                title=title,
                external_id=call.body.get("externalId"),
                meta=call.body.get("meta") or {},
                data=drafts.add_data(transaction, key),
                form_values=call.body.get("formValues"),
            )
            row = drafts.add_document(transaction, call.access, draft)
        self._signing.fire("DOCUMENT_CREATED", row["id"])
        with self._store.transaction("recipient.create") as transaction:
            drafts.add_recipients(transaction, row, call.body["recipients"])
            created = self._documents.created(transaction, row)
        return as_json({"uploadUrl": self._storage.upload_address(key), **created}, headers=CORS)

    def delete(self, call: Call, number: str) -> Answer:
        """Answer the document as it was."""
        row = self.document(call, number)
        self._signing.delete(row)
        return as_json(self._documents.summary(row), headers=CORS)

    def download(self, call: Call, number: str) -> Answer:
        """Answer an address from which the PDF comes."""
        if not self._storage.is_bucket:
            return message("Document downloads are only available when S3 storage is configured.", 500)
        original = call.query.get("downloadOriginalDocument") == "true"
        row = self.document(call, number)
        with self._store.transaction("documentData.findFirst") as transaction:
            data = transaction.first(
                'select d.type, d.data, d."initialData" from "DocumentData" d '
                'join "EnvelopeItem" i on i."documentDataId" = d.id where i."envelopeId" = %s '
                'order by i."order"',
                row["id"],
            )
        if data is None or data["type"] != "S3_PATH":
            return message("Invalid document data type", 400)
        if not original and row["status"] not in FINISHED:
            return message("Document is not completed yet.", 400)
        wanted = original or self._knobs.word("download") == "original"
        address = self._storage.download_address(data["initialData" if wanted else "data"])
        return as_json({"downloadUrl": address}, headers=CORS)

    def send(self, call: Call, number: str) -> Answer:
        """Answer the document with its recipients."""
        row = self.document(call, number)
        if row["status"] in FINISHED:
            return message("Document is already complete", 400)
        try:
            by_mail = call.body.get("sendEmail") is not False
            return as_json(self._signing.send(row, by_mail=by_mail), headers=CORS)
        except RefusedError as error:
            return message(str(error), 400)

    def resend(self, call: Call, number: str) -> Answer:
        """Answer a confirmation."""
        row = self.document(call, number)
        try:
            self._signing.resend(row, call.body["recipients"])
        except RefusedError:
            return message("An error has occured while resending the document", 500)
        return message("Document resend successfully initiated", 200)
