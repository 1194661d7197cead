"""What happens to an inquiry: NocoDB first, then the CRM and the mails, as far as they are switched on."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from rehearsal.apps import console
from rehearsal.apps.knobs import Knobs
from rehearsal.apps.mail import Mailer, MailError
from rehearsal.apps.outside.nocodb import INQUIRIES
from rehearsal.apps.web import FetchError, Outgoing
from rehearsal.apps.website.settings import KINDS, Settings

_JSON = {"content-type": "application/json"}


class RefusedError(Exception):
    """The visitor sent something that is no inquiry."""


class Inquiries:
    """Takes inquiries."""

    def __init__(self, settings: Settings, outgoing: Outgoing, mailer: Mailer, knobs: Knobs) -> None:
        self._settings = settings
        self._outgoing = outgoing
        self._mailer = mailer
        self._knobs = knobs

    def take(self, form: Mapping[str, Any]) -> dict[str, Any]:
        """Check the form and store it in NocoDB; return it as it is passed on.

        Raises:
            RefusedError: a field is missing, or reCAPTCHA does not know the token.
            FetchError: NocoDB or reCAPTCHA does not answer.
        """
        fields = {name: value for name, value in form.items() if name != "recaptchaToken"}
        if fields.get("kind") not in KINDS or "@" not in str(fields.get("email", "")):
            raise RefusedError("Invalid inquiry")
        if not self._is_human(str(form.get("recaptchaToken", ""))):
            raise RefusedError("reCAPTCHA verification failed")
        inquiry = {"submissionId": str(uuid.uuid4()), **fields}
        self._outgoing.fetch(
            "POST",
            f"{self._settings.nocodb_url}/api/v2/tables/{INQUIRIES}/records",
            {**_JSON, "xc-token": self._settings.nocodb_token},
            json.dumps(inquiry).encode(),
        )
        return inquiry

    def _is_human(self, token: str) -> bool:
        if not self._settings.recaptcha_secret:
            return True
        asked = urlencode({"secret": self._settings.recaptcha_secret, "response": token}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return self._outgoing.fetch("POST", self._settings.siteverify, headers, asked)["success"] is True

    def pass_on(self, inquiry: Mapping[str, Any], utm: str) -> None:
        """Deliver an inquiry to the CRM and send the mails; what fails is a line in the log and no more.

        Args:
            inquiry: as NocoDB has it.
            utm: the header `x-utm` that the visitor's browser sent; empty for none.
        """
        if self._settings.delivers:
            self._deliver(inquiry, utm)
        if not self._settings.mails_disabled:
            self._send_mails(inquiry)

    def _deliver(self, inquiry: Mapping[str, Any], utm: str) -> None:
        headers = {**_JSON, "x-webhook-secret": self._settings.intake_secret}
        if utm and self._knobs.word("utm") != "dropped":
            headers["x-utm"] = utm
        url = f"{self._settings.intake_url}/api/public/website-inquiries"
        try:
            self._outgoing.fetch("POST", url, headers, json.dumps(inquiry).encode())
        except FetchError as error:
            console.error(f"[crm-intake] FetchError: {error}")

    def _send_mails(self, inquiry: Mapping[str, Any]) -> None:
        subject = f"Your inquiry {inquiry['submissionId']}"
        try:
            self._mailer.send([inquiry["email"]], subject, "Thank you for your interest in Port Nimara.")
            recipients = self._settings.recipients[inquiry["kind"]]
            if recipients:
                text = "\n".join(f"{name}: {value}" for name, value in inquiry.items())
                self._mailer.send(recipients, f"New {inquiry['kind']} inquiry", text)
        except MailError as error:
            console.error(f"[inquiry-email] Error: {error}")
