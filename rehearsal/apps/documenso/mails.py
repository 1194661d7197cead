"""The mails that a document causes, each a job."""

from __future__ import annotations

from functools import partial

from rehearsal.apps.documenso.audit import log
from rehearsal.apps.documenso.context import Context
from rehearsal.apps.documenso.documents import number_of
from rehearsal.apps.documenso.jobs import Job
from rehearsal.apps.documenso.store import Row, now


class Mails:
    """Invitations to sign and news of a cancellation; no others are sent here."""

    def __init__(self, context: Context) -> None:
        self._mailer = context.settings.mailer
        self._release = context.release
        self._store = context.store
        self._jobs = context.jobs
        self._documents = context.documents

    def invite(self, envelope: Row, meta: Row, recipient: Row) -> None:
        """Ask a recipient to sign; only when that mail is out is the recipient's sendStatus SENT."""
        subject = meta["subject"] or f"Please sign this document: {envelope['title']}"
        text = f"{meta['message'] or ''}\n\n{self._documents.signing_address(recipient)}\n"

        def work() -> None:
            self._mailer.send([recipient["email"]], subject, text)
            moment = {"sentAt": now()} if self._release.expires else {}
            with self._store.transaction("recipient.update") as transaction:
                transaction.update("Recipient", recipient["id"], {"sendStatus": "SENT", **moment})
                log(transaction, envelope["id"], "EMAIL_SENT", {"recipientEmail": recipient["email"]})

        job = Job(
            "send.signing.requested.email",
            "Send Signing Email",
            {"userId": envelope["userId"], "documentId": number_of(envelope), "recipientId": recipient["id"]},
        )
        self._jobs.submit(job, work, lane="mails")

    def cancel(self, envelope: Row, recipients: list[Row]) -> None:
        """Tell those who were asked to sign that nothing is left to be signed."""
        text = f"{envelope['title']} has been cancelled.\n"
        for recipient in recipients:
            job = Job(
                "send.document.cancelled.emails",
                "Send Document Cancelled Emails",
                {"documentId": number_of(envelope), "recipientId": recipient["id"]},
            )
            work = partial(self._mailer.send, [recipient["email"]], "Document Cancelled", text)
            self._jobs.submit(job, work, lane="mails")
