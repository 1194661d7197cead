"""Webhooks: which event goes where, the attempts, and the rows that they leave."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import socket
from datetime import UTC, datetime
from functools import partial
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from psycopg.types.json import Jsonb

from rehearsal.apps import console
from rehearsal.apps.documenso import ids
from rehearsal.apps.documenso.context import Context
from rehearsal.apps.documenso.http import as_json
from rehearsal.apps.documenso.jobs import Job
from rehearsal.apps.documenso.store import QueryError, now
from rehearsal.apps.web import Answer, FetchError, Received, Request

_TRIGGER = "/api/webhook/trigger"
_PATIENCE_S = 0.5
_TIMEOUT_S = 10
_PRIVATE = "Webhook URL resolves to a private or loopback address"
_FETCH = {
    "accept": "*/*",
    "accept-language": "*",
    "sec-fetch-mode": "cors",
    "accept-encoding": "gzip, deflate",
    "connection": "keep-alive",
}
"""What Node's fetch adds."""


class DeliveryError(Exception):
    """A webhook was not taken; the job tries again."""


class Webhooks:
    """The webhooks in the database."""

    def __init__(self, context: Context) -> None:
        self._settings = context.settings
        self._store = context.store
        self._jobs = context.jobs
        self._knobs = context.knobs

    def fire(self, event: str, payload: dict[str, Any]) -> None:
        """Tell the webhooks of the document's team; the caller does not hear whether that worked.

        Up to v2.0.0 the server asks itself to do so, at NEXT_PRIVATE_INTERNAL_WEBAPP_URL; if it cannot reach
        itself there, the event is lost without a word.
        """
        if self._knobs.word("webhooks") == "silent":
            return
        if not self._settings.release.fires_by_self_call:
            self._enqueue(event, payload)
            return
        request = Thread(target=self._call_itself, args=(event, payload), daemon=True)
        request.start()
        request.join(_PATIENCE_S)

    def answer(self, request: Request) -> Answer:
        """Answer the server's request to itself."""
        signature = request.headers.get("x-webhook-signature")
        if signature is None:
            return as_json({"success": False, "error": "Missing signature"}, 400)
        if not hmac.compare_digest(signature, self._signature(request.body)):
            return as_json({"success": False, "error": "Invalid signature"}, 400)
        document = request.document()
        self._enqueue(document["event"], document["data"])
        return as_json({"success": True, "message": "Webhooks executed successfully"})

    def _call_itself(self, event: str, payload: dict[str, Any]) -> None:
        body = json.dumps({"event": event, "data": payload}).encode()
        headers = {"content-type": "application/json", "x-webhook-signature": self._signature(body)}
        url = f"{self._settings.internal_url}{_TRIGGER}"
        try:
            self._settings.outgoing.send("POST", url, headers, body)
        except FetchError:
            return

    def _signature(self, body: bytes) -> str:
        return hmac.new(self._settings.secret.encode(), body, hashlib.sha256).hexdigest()

    def _enqueue(self, event: str, payload: dict[str, Any]) -> None:
        try:
            webhooks = self._store.rows(
                'select * from "Webhook" where enabled and %s = any("eventTriggers") and "teamId" = %s',
                event,
                payload["teamId"],
                call="webhook.findMany",
            )
        except QueryError as error:
            console.error(str(error))
            return
        for webhook in webhooks:
            job = Job(
                "internal.execute-webhook",
                "Execute Webhook",
                {"event": event, "webhookId": webhook["id"], "data": payload},
                tasks=() if self._settings.release.counts_retries else ("execute-webhook",),
            )
            self._jobs.submit(job, partial(self._deliver, webhook, event, payload), lane="webhooks")

    def _deliver(self, webhook: dict[str, Any], event: str, payload: dict[str, Any]) -> None:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = {
            "event": event,
            "payload": payload,
            "createdAt": moment,
            "webhookEndpoint": webhook["webhookUrl"],
        }
        try:
            received = self._send(webhook, body)
        except FetchError as error:
            if not self._settings.release.blocks_private:
                raise DeliveryError(str(error)) from error
            received = Received(0, "", {}, str(error).encode())
        success = 200 <= received.status < 300
        self._record(webhook, event, body, received, success=success)
        if not success:
            raise DeliveryError(f"Webhook execution failed with status {received.status}")

    def _send(self, webhook: dict[str, Any], body: dict[str, Any]) -> Received:
        url = webhook["webhookUrl"]
        if self._settings.release.blocks_private and self._is_private(url):
            return Received(0, "", {}, _PRIVATE.encode())
        secret = "not-the-secret" if self._knobs.word("webhooks") == "wrong-secret" else webhook["secret"]
        headers = {**_FETCH, "Content-Type": "application/json", "X-Documenso-Secret": secret or ""}
        return self._settings.outgoing.send("POST", url, headers, json.dumps(body).encode(), _TIMEOUT_S)

    def _record(
        self, webhook: dict[str, Any], event: str, body: dict[str, Any], received: Received, *, success: bool
    ) -> None:
        with self._store.transaction("webhookCall.create") as transaction:
            transaction.insert(
                "WebhookCall",
                {
                    "id": ids.cuid(),
                    "url": webhook["webhookUrl"],
                    "event": event,
                    "status": "SUCCESS" if success else "FAILED",
                    "requestBody": Jsonb(body),
                    "responseCode": received.status,
                    "responseBody": Jsonb(_parsed(received.body)),
                    "responseHeaders": Jsonb(dict(received.headers)),
                    "createdAt": now(),
                    "webhookId": webhook["id"],
                },
            )

    def _is_private(self, url: str) -> bool:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if host in self._settings.bypass_hosts:
            return False
        if host in self._settings.private_names:
            return True
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            return _is_private_address(host)
        except ValueError:
            known = self._settings.outgoing.place(host, port) != (host, port)
            return not known and any(map(_is_private_address, _addresses(host)))


def _is_private_address(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return address.is_private or address.is_loopback or address.is_link_local or address.is_unspecified


def _addresses(host: str) -> set[str]:
    try:
        return {str(found[4][0]).partition("%")[0] for found in socket.getaddrinfo(host, None)}
    except OSError:
        return set()


def _parsed(content: bytes) -> object:
    text = content.decode("utf-8", errors="replace").replace("\x00", "")
    try:
        return json.loads(text)
    except ValueError:
        return text
