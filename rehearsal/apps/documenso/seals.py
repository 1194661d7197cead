"""Sealing: the job that signs a document whose recipients are done, and what it leaves when it cannot."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from rehearsal.apps.documenso import ids
from rehearsal.apps.documenso.audit import log
from rehearsal.apps.documenso.context import Context
from rehearsal.apps.documenso.documents import number_of
from rehearsal.apps.documenso.jobs import Job
from rehearsal.apps.documenso.store import Row, Transaction, now

if TYPE_CHECKING:
    from rehearsal.documenso.sealing import SubFilter

_TASKS = ("get-document-status", "get-document-data-id", "decorate-and-sign-pdf")
_LATER_TASKS = ("update-document", "send-completed-email")
_ONE_TASK = ("seal-document",)
_POLL_S = 0.05


class NoCertificateError(Exception):
    """There is nothing to seal with."""


class Seals:
    """The signing certificate and what is done with it."""

    def __init__(self, context: Context) -> None:
        self._settings = context.settings
        self._store = context.store
        self._jobs = context.jobs
        self._storage = context.storage
        self._knobs = context.knobs

    def submit(self, envelope: Row, fire: Callable[[str, str], None]) -> None:
        """Have a document sealed soon; if that fails it stays PENDING.

        Args:
            envelope: its row.
            fire: tells the webhooks of an event.
        """
        tasks = _ONE_TASK if self._settings.release.repoints else _TASKS
        job = Job(
            "internal.seal-document",
            "Seal Document",
            {"documentId": number_of(envelope)},
            tasks=tasks,
            more=() if self._settings.release.repoints else _LATER_TASKS,
        )
        self._jobs.submit(job, lambda: self._seal(envelope["id"], fire))

    def _seal(self, identity: str, fire: Callable[[str, str], None]) -> None:
        while self._knobs.word("sealing") == "hold":
            time.sleep(_POLL_S)
        with self._store.transaction("envelope.findFirst") as transaction:
            items = transaction.rows(
                'select i.id, i.title, d.id as data_id, d.type, d.data, d."initialData" '
                'from "EnvelopeItem" i join "DocumentData" d on d.id = i."documentDataId" '
                'where i."envelopeId" = %s order by i."order"',
                identity,
            )
            refused = transaction.rows(
                'select id from "Recipient" where "envelopeId" = %s and "signingStatus" = %s',
                identity,
                "REJECTED",
            )
        keys = [self._sealed(item, "rejected" if refused else "signed") for item in items]
        with self._store.transaction("envelope.update") as transaction:
            for item, key in zip(items, keys, strict=True):
                self._store_result(transaction, item, key)
            status = "REJECTED" if refused else "COMPLETED"
            change = {"status": status, "completedAt": now(), "updatedAt": now()}
            transaction.update("Envelope", identity, change)
            log(transaction, identity, "DOCUMENT_COMPLETED", {"isRejected": bool(refused)})
        fire(f"DOCUMENT_{status}", identity)

    def _sealed(self, item: Row, suffix: str) -> str:
        # Imported when first needed: pyHanko takes longer than everything else here.
        from rehearsal.documenso import sealing  # noqa: PLC0415

        release = self._settings.release
        legacy = not release.own_signer or self._settings.certificate.legacy_subfilter
        subfilter: SubFilter = "adbe.pkcs7.detached" if legacy else "ETSI.CAdES.detached"
        content = self._storage.read(item)
        if self._knobs.word("sealing") != "unsigned":
            content = sealing.seal(
                content,
                self._p12(),
                self._settings.certificate.passphrase,
                subfilter=subfilter,
                library="libpdf" if release.own_signer else "pdf-sign",
            )
        if not self._storage.is_bucket:
            return base64.b64encode(content).decode()
        key = ids.object_key(f"{PurePosixPath(item['title']).stem}_{suffix}.pdf")
        self._storage.write(key, content)
        return key

    def _store_result(self, transaction: Transaction, item: Row, key: str) -> None:
        kind = "S3_PATH" if self._storage.is_bucket else "BYTES_64"
        new = ids.cuid()
        initial = item["initialData"] if self._settings.release.repoints else key
        transaction.insert("DocumentData", {"id": new, "type": kind, "data": key, "initialData": initial})
        if self._settings.release.repoints:
            transaction.update("EnvelopeItem", item["id"], {"documentDataId": new})
        else:
            transaction.update("DocumentData", item["data_id"], {"data": key})

    def _p12(self) -> bytes:
        certificate = self._settings.certificate
        if certificate.contents:
            return base64.b64decode(certificate.contents)
        no_default = self._settings.release.own_signer and certificate.production
        if no_default and not certificate.path:
            raise NoCertificateError("No certificate found for local signing")
        return certificate.file().read_bytes()
