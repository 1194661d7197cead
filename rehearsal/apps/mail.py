"""Mails, sent by SMTP as nodemailer sends them."""

from __future__ import annotations

import smtplib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage

from rehearsal.apps.web import Outgoing

_TIMEOUT_S = 5


class MailError(Exception):
    """A mail was not taken; worded roughly as nodemailer words it."""


@dataclass(frozen=True)
class Mailer:
    """An account at a mail server. Its password is kept out of `repr`.

    Attributes:
        user: whom it logs in as; empty: it does not log in.
        sender: whom its mails are from; empty: the user.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    outgoing: Outgoing
    sender: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], password: str) -> Mailer:
        """Read SMTP_HOST, SMTP_PORT, SMTP_USER and the variable that holds the password.

        Raises:
            ValueError: SMTP_PORT is not a number.
        """
        return cls(
            host=environment.get("SMTP_HOST", ""),
            port=int(environment.get("SMTP_PORT") or "587"),
            user=environment.get("SMTP_USER", ""),
            password=environment.get(password, ""),
            outgoing=Outgoing.from_environment(environment),
        )

    def send(self, to: Sequence[str], subject: str, text: str, reply_to: str = "") -> None:
        """Send one mail.

        Raises:
            MailError: no connection, the login or a recipient was refused.
        """
        message = EmailMessage()
        message["From"], message["To"] = self.sender or self.user, ", ".join(to)
        message["Subject"] = subject
        if reply_to:
            message["Reply-To"] = reply_to
        message.set_content(text)
        try:
            with smtplib.SMTP(*self.outgoing.place(self.host, self.port), timeout=_TIMEOUT_S) as server:
                if self.user:
                    server.login(self.user, self.password)
                server.send_message(message)
        except smtplib.SMTPAuthenticationError as error:
            raise MailError("Invalid login: 535 5.7.8 authentication failed") from error
        except (OSError, smtplib.SMTPException) as error:
            raise MailError(f"{type(error).__name__}: {error}") from error
