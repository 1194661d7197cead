"""The mails about an inquiry: a confirmation, and an alert for the staff, once the port has them on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from rehearsal.apps import console
from rehearsal.apps.database import Database, QueryFailedError
from rehearsal.apps.mail import MailError
from rehearsal.apps.settings import Settings

_SETTINGS = (
    "website_intake_email_enabled",
    "inquiry_notification_recipients",
    "residential_notification_recipients",
    "inquiry_contact_email",
)


class InquiryMails:
    """Sends them by the port's settings."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._app_url = settings.app_url
        self._mailer = settings.mailer
        self._database = database

    async def send(self, inquiry: Mapping[str, Any], number: int) -> None:
        """Send both mails, unless they are switched off; what fails is a line in the log and no more."""
        try:
            rows = await self._database.rows(
                "select key, value from system_settings where key = any(%s)", (list(_SETTINGS),)
            )
            port = {row["key"]: row["value"] for row in rows}
            if port.get("website_intake_email_enabled") is True:
                await asyncio.to_thread(self._send, inquiry, number, port)
        except (QueryFailedError, MailError) as error:
            console.error(f"⨯ [inquiry-email] Error: {error}")

    def _send(self, inquiry: Mapping[str, Any], number: int, port: Mapping[str, Any]) -> None:
        contact = str(port.get("inquiry_contact_email") or "")
        name = "residential" if inquiry["kind"] == "residence" else "inquiry"
        recipients = port.get(f"{name}_notification_recipients") or [contact]
        subject = f"Your inquiry {inquiry.get('submissionId', number)}"
        self._mailer.send([inquiry["email"]], subject, "Thank you. Port Nimara", reply_to=contact)
        fields = "\n".join(f"{field}: {value}" for field, value in inquiry.items())
        text = f"{fields}\nOpen in CRM: {self._app_url}/inquiries/{number}"
        self._mailer.send(recipients, f"New {inquiry['kind']} inquiry", text, reply_to=contact)
