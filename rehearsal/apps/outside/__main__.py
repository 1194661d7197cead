"""Runs them in one process: `python -m rehearsal.apps.outside`, configured by environment variables.

Besides what the website asks for, GET /mails tells which mails were taken.
"""

from __future__ import annotations

import dataclasses
import hmac
import json
import os
from threading import Thread
from urllib.parse import parse_qs

from rehearsal.apps import web
from rehearsal.apps.outside import smtp
from rehearsal.apps.outside.nocodb import NocoDb
from rehearsal.apps.web import Answer, Request, as_json


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    environment = os.environ
    address = environment["HOSTNAME"]
    mailbox = smtp.Mailbox(json.loads(environment["MAIL_ACCOUNTS"]))
    secret, token = environment["RECAPTCHA_SECRET"], environment["RECAPTCHA_TOKEN"]

    def mails(_request: Request) -> Answer:
        return as_json([dataclasses.asdict(mail) for mail in mailbox.mails])

    def verify(request: Request) -> Answer:
        """Answer as reCAPTCHA does; there is one token that a visitor of the rehearsal can have."""
        given = {name: values[0] for name, values in parse_qs(request.body.decode("latin-1")).items()}
        if not hmac.compare_digest(given.get("secret", ""), secret):
            return as_json({"success": False, "error-codes": ["invalid-input-secret"]})
        if not hmac.compare_digest(given.get("response", ""), token):
            return as_json({"success": False, "error-codes": ["invalid-input-response"]})
        return as_json({"success": True, "hostname": environment.get("WEBSITE_NAME", "")})

    routes = {
        **NocoDb(environment["NOCODB_TOKEN"]).routes,
        ("POST", "/recaptcha/api/siteverify"): verify,
        ("GET", "/mails"): mails,
    }
    server = web.Server(
        address, int(environment["PORT"]), routes, lambda _request: as_json({"msg": "Not found"}, 404)
    )
    mail_server = smtp.Server(address, int(environment["SMTP_PORT"]), mailbox)
    Thread(target=mail_server.serve_forever, daemon=True).start()
    server.serve_until_told()


if __name__ == "__main__":
    main()
