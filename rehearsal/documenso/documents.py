"""Documents and templates in every state that a real database holds, with all that hangs on them.

What a finished document leaves is what v1.13.1 leaves: the signed object under a new key, and a second row of
DocumentData with that key which nothing refers to.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Literal

from rehearsal.apps.documenso.ids import slug
from rehearsal.documenso.accounts import CRM_USER, MAILS, SALES
from rehearsal.documenso.rows import Ids, Rows, utc

State = Literal["DRAFT", "PENDING", "COMPLETED", "REJECTED"]
Role = Literal["SIGNER", "APPROVER", "VIEWER", "CC"]
Storage = Literal["object", "row", "missing"]

_DELAYS = {
    "CREATED": timedelta(),
    "SENT": timedelta(minutes=1),
    "OPENED": timedelta(hours=22),
    "SIGNED": timedelta(hours=23),
    "COMPLETED": timedelta(days=1),
    "REJECTED": timedelta(days=1),
    "CANCELLED": timedelta(days=2),
}
_AUDITED = {
    "CREATED": "DOCUMENT_CREATED",
    "SENT": "DOCUMENT_SENT",
    "OPENED": "DOCUMENT_OPENED",
    "SIGNED": "DOCUMENT_RECIPIENT_COMPLETED",
    "COMPLETED": "DOCUMENT_COMPLETED",
    "REJECTED": "DOCUMENT_RECIPIENT_REJECTED",
    "CANCELLED": "DOCUMENT_DELETED",
}
_STATUS_AT = {"CREATED": "DRAFT", "SENT": "PENDING", "OPENED": "PENDING", "SIGNED": "PENDING"}


@dataclass(frozen=True)
class Recipient:
    """A recipient; how far they are follows from the document's state."""

    name: str
    email: str
    role: Role = "SIGNER"
    token: str = ""


@dataclass(frozen=True)
class Document:
    """A document, or a template, before it becomes rows.

    Attributes:
        number: what v1 calls its id.
        storage: where its PDF is; `missing` if it was announced and never uploaded.
        created: when; all that happened to it happened within the two days after.
        deleted: whether it was deleted softly, as finished ones are.
        keys: of the original and of the finished object; made up if not given.
        firsts: the numbers of its first recipient and its first field, unless they are just the next ones.
        suffix: what its ids end in; at random if not given.
    """

    number: int
    title: str
    state: State
    created: datetime
    storage: Storage = "object"
    recipients: tuple[Recipient, ...] = ()
    team: int = SALES
    user: int = CRM_USER
    folder: str | None = None
    external_id: str | None = None
    deleted: bool = False
    template: bool = False
    keys: tuple[str, str] | None = None
    firsts: tuple[int, int] | None = None
    suffix: str = ""

    @property
    def kind(self) -> str:
        """What it is, as enumerations and numbers write it."""
        return "TEMPLATE" if self.template else "DOCUMENT"

    @property
    def finished(self) -> bool:
        """Whether nobody has anything to do with it any more."""
        return self.state in ("COMPLETED", "REJECTED")

    @property
    def ended(self) -> datetime | None:
        """When it was completed or rejected."""
        return self.created + timedelta(days=1) if self.finished else None

    @property
    def sequential(self) -> bool:
        """Whether each recipient is asked only when the one before has signed."""
        return len(self.recipients) > 1 and self.number % 7 == 0

    def events(self) -> list[str]:
        """Return what happened to it, in order."""
        happened = ["CREATED"]
        if self.state != "DRAFT":
            happened.append("SENT")
        if self.finished or (self.state == "PENDING" and self.number % 2):
            happened.append("OPENED")
        if self.state == "COMPLETED":
            happened.append("SIGNED")
        return [*happened, *([self.state] if self.finished else ()), *(["CANCELLED"] if self.deleted else ())]


@dataclass(frozen=True)
class Pdfs:
    """Contents that documents share: originals, and each of them sealed."""

    originals: Sequence[bytes]
    sealed: Sequence[bytes]


@dataclass
class Documents:
    """Adds documents, and remembers which objects belong to them.

    Attributes:
        webhook: id and address of the webhook of the CRM's team.
        lively: documents from this number on come with audit logs, jobs and deliveries.
        objects: key and content of what is stored.
        last_recipient: the number last given to a recipient.
        last_field: the number last given to a field.
    """

    rows: Rows
    ids: Ids
    pdfs: Pdfs
    webhook: tuple[str, str]
    lively: int = 0
    objects: list[tuple[str, bytes]] = field(default_factory=list)
    last_recipient: int = 0
    last_field: int = 0

    def add(self, document: Document) -> None:
        """Add a document with all that hangs on it."""
        envelope, item = (self._id(kind, document.suffix) for kind in ("envelope", "envelope_item"))
        meta, data = self.ids.cuid(), self._store(document)
        self.rows.add(
            "DocumentMeta",
            id=meta,
            subject=f"Bitte unterschreiben: {document.title}" if document.external_id else None,
            timezone="Europe/Berlin",
            signingOrder="SEQUENTIAL" if document.sequential else "PARALLEL",
            language="de",
            distributionMethod="NONE" if document.external_id else "EMAIL",
            emailSettings=MAILS,
        )
        self.rows.add(
            "Envelope",
            id=envelope,
            secondaryId=f"{document.kind.lower()}_{document.number}",
            externalId=document.external_id,
            type=document.kind,
            createdAt=document.created,
            updatedAt=document.ended or document.created,
            completedAt=document.ended,
            deletedAt=document.created + _DELAYS["CANCELLED"] if document.deleted else None,
            title=document.title,
            status=document.state,
            source=document.kind,
            internalVersion=1,
            useLegacyFieldInsertion=document.number < 40,
            userId=document.user,
            teamId=document.team,
            folderId=document.folder,
            documentMetaId=meta,
        )
        self.rows.add(
            "EnvelopeItem", id=item, title=document.title, documentDataId=data, envelopeId=envelope, order=1
        )
        if document.firsts is not None:
            self.last_recipient, self.last_field = (number - 1 for number in document.firsts)
        shown = [
            self._add_recipient(document, place, envelope, item) for place in range(len(document.recipients))
        ]
        if document.number >= self.lively and not document.template:
            self._add_history(document, envelope, shown)

    def abandon(self, title: str) -> None:
        """Add what a document leaves behind that was deleted for good before it was finished."""
        self._store(Document(0, title, "DRAFT", datetime.now(UTC)))

    def _store(self, document: Document) -> str:
        """Keep the document's PDF where it belongs; return the id of its data."""
        data = self.ids.cuid()
        original, sealed = (
            contents[document.number % len(contents)] for contents in (self.pdfs.originals, self.pdfs.sealed)
        )
        latest = sealed if document.finished else original
        if document.storage == "row":
            first, last = (b64encode(content).decode() for content in (original, latest))
            self.rows.add("DocumentData", id=data, type="BYTES_64", data=last, initialData=first)
            return data
        key, last_key = document.keys or self._keys(document)
        self.rows.add("DocumentData", id=data, type="S3_PATH", data=last_key, initialData=key)
        if document.storage == "object":
            self.objects.append((key, original))
        if document.finished:
            self.objects.append((last_key, latest))
            self.rows.add(
                "DocumentData", id=self.ids.cuid(), type="S3_PATH", data=last_key, initialData=last_key
            )
        return data

    def _keys(self, document: Document) -> tuple[str, str]:
        """Return the keys of the original and of what the document's data is now."""
        name = PurePosixPath(_file_name(document.title))
        owner = f"{document.user}/" if document.number % 17 == 0 else ""
        key = f"{owner}{self.ids.place()}/{slug(name.stem)}{name.suffix}"
        if not document.finished:
            return key, key
        ending = "signed" if document.state == "COMPLETED" else "rejected"
        return key, f"{owner}{self.ids.place()}/{slug(f'{name.stem}_{ending}')}.pdf"

    def _add_recipient(self, document: Document, place: int, envelope: str, item: str) -> dict[str, object]:
        """Add a recipient with their fields; return how events show them."""
        recipient = document.recipients[place]
        status, signed = self._progress(document, place)
        self.last_recipient += 1
        shown: dict[str, object] = {
            "id": self.last_recipient,
            "email": recipient.email,
            "name": recipient.name,
            "token": recipient.token or self.ids.token(),
            "readStatus": "OPENED"
            if status != "NOT_SIGNED" or "OPENED" in document.events()
            else "NOT_OPENED",
            "signingStatus": status,
            "sendStatus": self._sent(document, place),
            "signedAt": signed,
            "role": recipient.role,
            "signingOrder": None if document.template else place + 1,
            "rejectionReason": "Preis nicht wie besprochen" if status == "REJECTED" else None,
        }
        self.rows.add("Recipient", **shown, envelopeId=envelope)
        if recipient.role == "SIGNER":
            self._add_field(document, "SIGNATURE", shown, envelope, item)
        if recipient.role == "SIGNER" and document.number % 16 == 0:
            self._add_field(document, "DATE", shown, envelope, item)
        return shown

    def _progress(self, document: Document, place: int) -> tuple[str, datetime | None]:
        """Return the signing status of a recipient, and when they acted."""
        role = document.recipients[place].role
        signed = document.created + _DELAYS["SIGNED"]
        if document.state == "COMPLETED" or (role == "CC" and not document.template):
            return "SIGNED", signed if document.finished and role != "CC" else None
        if document.state == "REJECTED" and place == 0:
            return "REJECTED", signed
        others_wait = any(other.role in ("SIGNER", "APPROVER") for other in document.recipients[1:])
        if document.state == "PENDING" and place == 0 and others_wait and document.number % 2:
            return "SIGNED", signed
        return "NOT_SIGNED", None

    def _sent(self, document: Document, place: int) -> str:
        if document.recipients[place].role == "CC" and not document.template:
            return "SENT"
        waits = document.sequential and place > 0 and self._progress(document, place - 1)[0] == "NOT_SIGNED"
        return "NOT_SENT" if document.state == "DRAFT" or waits else "SENT"

    def _add_field(
        self, document: Document, kind: str, recipient: dict[str, object], envelope: str, item: str
    ) -> None:
        signed = recipient["signingStatus"] == "SIGNED"
        self.last_field += 1
        self.rows.add(
            "Field",
            id=self.last_field,
            recipientId=recipient["id"],
            type=kind,
            page=1,
            positionX=10,
            positionY=20 if kind == "SIGNATURE" else 30,
            customText=f"{document.created:%d.%m.%Y}" if signed and kind == "DATE" else "",
            inserted=signed,
            height=5,
            width=20,
            secondaryId=self.ids.cuid(),
            envelopeId=envelope,
            envelopeItemId=item,
        )
        if signed and kind == "SIGNATURE" and not document.suffix:
            self.rows.add(
                "Signature",
                created=recipient["signedAt"],
                recipientId=recipient["id"],
                fieldId=self.last_field,
                typedSignature=recipient["name"] or recipient["email"],
            )

    def _add_history(self, document: Document, envelope: str, recipients: list[dict[str, object]]) -> None:
        for event in document.events():
            moment = document.created + _DELAYS[event]
            by_owner = event in ("CREATED", "SENT", "CANCELLED")
            actor = {} if by_owner or not recipients else recipients[0]
            self.rows.add(
                "DocumentAuditLog",
                id=self.ids.cuid(),
                createdAt=moment,
                type=_AUDITED[event],
                data={"title": document.title} if event == "CREATED" else {"transactionId": self.ids.uuid()},
                name=actor.get("name"),
                email=actor.get("email"),
                userId=document.user if by_owner else None,
                userAgent="Mozilla/5.0",
                ipAddress="192.0.2.44",
                envelopeId=envelope,
            )
            if document.team == SALES:
                self._add_deliveries(document, event, moment, recipients)
        if document.ended:
            self.add_job("internal.seal-document", "Seal Document", document.number, document.ended)

    def add_job(
        self, kind: str, name: str, number: int, moment: datetime, *, status: str = "COMPLETED"
    ) -> None:
        """Add a job that ran for a document, with its task."""
        job = self.ids.cuid()
        self.rows.add(
            "BackgroundJob",
            id=job,
            status=status,
            retried=0 if status == "COMPLETED" else 3,
            jobId=kind,
            name=name,
            version="1.0.0",
            submittedAt=moment - timedelta(seconds=2),
            completedAt=moment,
            updatedAt=moment,
            payload={"documentId": number},
        )
        self.rows.add(
            "BackgroundJobTask",
            id=self.ids.cuid(),
            name=f"{kind}-1",
            status=status,
            createdAt=moment - timedelta(seconds=1),
            completedAt=moment if status == "COMPLETED" else None,
            updatedAt=moment,
            jobId=job,
            result={},
        )

    def _add_deliveries(
        self, document: Document, event: str, moment: datetime, recipients: list[dict[str, object]]
    ) -> None:
        webhook, url = self.webhook
        answers = [500, 500, 200] if document.number % 64 == 42 and event == "SENT" else [200]
        for attempt, code in enumerate(answers):
            sent = moment + timedelta(seconds=1 + attempt)
            self.rows.add(
                "WebhookCall",
                id=self.ids.cuid(),
                status="SUCCESS" if code == 200 else "FAILED",
                url=url,
                event=f"DOCUMENT_{event}",
                requestBody=_body(document, event, sent, url, recipients),
                responseCode=code,
                responseHeaders={"content-type": "application/json"},
                responseBody={"ok": code == 200},
                createdAt=sent,
                webhookId=webhook,
            )

    def _id(self, kind: str, suffix: str) -> str:
        return f"{kind}_{suffix}" if suffix else self.ids.prefixed(kind)


def _file_name(title: str) -> str:
    return title if title.lower().endswith(".pdf") else f"{title}.pdf"


def _body(
    document: Document, event: str, sent: datetime, url: str, recipients: list[dict[str, object]]
) -> dict[str, object]:
    """Return what the webhook was sent, as far as a receiver looks at it."""
    shown = [
        {**each, "documentId": document.number, "signedAt": _iso(each["signedAt"])} for each in recipients
    ]
    ended = document.ended if event in ("COMPLETED", "REJECTED", "CANCELLED") else None
    return {
        "event": f"DOCUMENT_{event}",
        "payload": {
            "id": document.number,
            "externalId": document.external_id,
            "userId": document.user,
            "teamId": document.team,
            "templateId": None,
            "title": document.title,
            "status": _STATUS_AT.get(event, document.state),
            "source": "DOCUMENT",
            "visibility": "EVERYONE",
            "createdAt": _iso(document.created),
            "updatedAt": _iso(sent),
            "completedAt": _iso(ended),
            "deletedAt": None,
            "recipients": shown,
            "Recipient": shown,
        },
        "createdAt": _iso(sent),
        "webhookEndpoint": url,
    }


def _iso(moment: object) -> str | None:
    return f"{utc(moment).isoformat(timespec='milliseconds')}Z" if isinstance(moment, datetime) else None
