"""A mail server that keeps what it is given: the subset of SMTP that nodemailer and smtplib speak."""

from __future__ import annotations

import base64
import email
import email.policy
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer

_GREETING = b"220 mail ESMTP\r\n"
_ABILITIES = b"250-mail\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n"
_LONGEST = 1024 * 1024


@dataclass(frozen=True)
class Mail:
    """A mail that was taken.

    Attributes:
        account: who logged in to send it.
    """

    account: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    reply_to: str
    text: str


@dataclass
class Mailbox:
    """Every mail so far, and the passwords of the accounts that may send."""

    accounts: Mapping[str, str] = field(repr=False)
    mails: list[Mail] = field(default_factory=list)

    def knows(self, account: str, password: str) -> bool:
        """Tell whether that is the account's password."""
        known = self.accounts.get(account, "")
        return bool(known) and hmac.compare_digest(known, password)


class _Session(StreamRequestHandler):
    """One connection."""

    server: Server
    timeout = 10

    def setup(self) -> None:
        super().setup()
        self._account = ""
        self._sender = ""
        self._recipients: list[str] = []

    def handle(self) -> None:
        self.wfile.write(_GREETING)
        for line in iter(lambda: self.rfile.readline(_LONGEST), b""):
            verb, _, rest = line.decode("latin-1").strip().partition(" ")
            if verb.upper() == "QUIT":
                self.wfile.write(b"221 2.0.0 bye\r\n")
                return
            self.wfile.write(self._reply(verb.upper(), rest))

    def _reply(self, verb: str, rest: str) -> bytes:
        if verb in ("EHLO", "HELO"):
            return _ABILITIES
        if verb == "AUTH":
            return self._log_in(rest)
        if not self._account:
            return b"530 5.7.0 authentication required\r\n"
        if verb == "MAIL":
            self._sender, self._recipients = _address(rest), []
        elif verb == "RCPT":
            self._recipients.append(_address(rest))
        elif verb == "DATA":
            return self._take()
        elif verb != "RSET":
            return b"502 5.5.1 not implemented\r\n"
        return b"250 2.1.0 ok\r\n"

    def _log_in(self, rest: str) -> bytes:
        mechanism, _, initial = rest.partition(" ")
        if mechanism.upper() != "PLAIN":
            return b"504 5.5.4 mechanism not known\r\n"
        if not initial:
            self.wfile.write(b"334 \r\n")
            initial = self.rfile.readline(_LONGEST).decode("ascii").strip()
        _, account, password = base64.b64decode(initial).decode().split("\0")
        if not self.server.mailbox.knows(account, password):
            return b"535 5.7.8 authentication failed\r\n"
        self._account = account
        return b"235 2.7.0 welcome\r\n"

    def _take(self) -> bytes:
        self.wfile.write(b"354 go on\r\n")
        lines = list(iter(lambda: self.rfile.readline(_LONGEST), b".\r\n"))
        content = b"".join(line.removeprefix(b".") if line.startswith(b"..") else line for line in lines)
        message = email.message_from_bytes(content, policy=email.policy.default)
        self.server.mailbox.mails.append(
            Mail(
                account=self._account,
                sender=self._sender,
                recipients=tuple(self._recipients),
                subject=str(message["subject"]),
                reply_to=str(message["reply-to"] or ""),
                text=message.get_content(),
            )
        )
        return b"250 2.0.0 queued\r\n"


def _address(argument: str) -> str:
    return argument.partition("<")[2].partition(">")[0]


class Server(ThreadingTCPServer):
    """The mail server."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: str, port: int, mailbox: Mailbox) -> None:
        """Bind.

        Raises:
            OSError: the address is taken.
        """
        super().__init__((address, port), _Session)
        self.mailbox = mailbox
