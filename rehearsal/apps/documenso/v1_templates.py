"""Templates in the v1 API."""

from __future__ import annotations

from rehearsal.apps.documenso import drafts, ids
from rehearsal.apps.documenso.context import Context
from rehearsal.apps.documenso.documents import number_of
from rehearsal.apps.documenso.http import CORS, as_json
from rehearsal.apps.documenso.signing import Signing
from rehearsal.apps.documenso.v1_calls import Call, Handlers, message
from rehearsal.apps.documenso.zod import Field
from rehearsal.apps.web import Answer

GENERATE = {
    "title": Field(str, optional=True),
    "externalId": Field(str, optional=True),
    "recipients": Field(list, items={"id": Field(float), "email": Field(str)}),
    "meta": Field(dict, optional=True),
}


class TemplateHandlers(Handlers):
    """List, read, and make a document of one. Only the list was recorded."""

    def __init__(self, context: Context, signing: Signing) -> None:
        super().__init__(context)
        self._signing = signing

    def list_(self, call: Call) -> Answer:
        """Answer a page of templates outside folders."""
        page, size = call.page
        with self._store.transaction("envelope.findMany") as transaction:
            rows, count = self._documents.page(transaction, "template", call.access.team, page, size)
            templates = self._documents.templates(transaction, rows)
        return as_json({"templates": templates, "totalPages": -(-count // size)}, headers=CORS)

    def get(self, call: Call, number: str) -> Answer:
        """Answer a template."""
        with self._store.transaction("envelope.findFirst") as transaction:
            row = self.found(transaction, call, number, "template")
            return as_json(self._documents.templates(transaction, [row])[0], headers=CORS)

    def generate(self, call: Call, number: str) -> Answer:
        """Answer the new document."""
        with self._store.transaction("envelope.create") as transaction:
            template = self.found(transaction, call, number, "template")
            data = transaction.rows(
                'select d.* from "DocumentData" d join "EnvelopeItem" i on i."documentDataId" = d.id '
                'where i."envelopeId" = %s order by i."order"',
                template["id"],
            )[0]
            copied = transaction.insert(
                "DocumentData", {**data, "id": ids.cuid(), "data": data["initialData"]}
            )
            draft = drafts.Draft(
                title=call.body.get("title") or template["title"],
                external_id=call.body.get("externalId") or template["externalId"],
                meta=call.body.get("meta") or {},
                data=copied["id"],
                source="TEMPLATE",
                template=number_of(template),
                form_values=call.body.get("formValues"),
            )
            row = drafts.add_document(transaction, call.access, draft)
            wanted = {int(recipient["id"]): recipient for recipient in call.body["recipients"]}
            drafts.copy_template(transaction, template, row, wanted)
            created = self._documents.created(transaction, row)
        self._signing.fire("DOCUMENT_CREATED", row["id"])
        return as_json({**created, "externalId": row["externalId"]}, headers=CORS)

    def not_here(self, _call: Call, **_parts: str) -> Answer:
        """Answer that the stand-in cannot do this."""
        return message("Not part of the rehearsal's stand-in", 501)
