"""Runs the stand-in: `python -m rehearsal.apps.gitea`, configured by environment variables."""

from __future__ import annotations

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from rehearsal.apps.gitea.api import answer
from rehearsal.apps.gitea.issuer import Issuer
from rehearsal.apps.gitea.state import Current


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection.

    Attributes:
        current: what is known. issuer: signs the registry's tokens.
    """

    protocol_version = "HTTP/1.1"
    server_version = "Gitea"
    sys_version = ""
    current: Current
    issuer: Issuer

    def _reply(self) -> None:
        found = answer(
            self.current.get(),
            self.issuer,
            self.command,
            self.path,
            self.headers.get("Authorization", ""),
        )
        self.send_response(found.status)
        for name, value in {**found.headers, "Content-Length": str(len(found.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(found.body)

    do_GET = do_POST = _reply  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing: the proxy before it keeps the access log."""


def main() -> None:
    """Serve until SIGTERM."""
    directory = Path(os.environ["GITEA_DIRECTORY"])
    _Handler.current = Current(directory / "state.json")
    _Handler.issuer = Issuer((directory / "issuer.key").read_text(), (directory / "issuer.pem").read_text())
    address = (os.environ["GITEA_ADDRESS"], int(os.environ["GITEA_PORT"]))
    ThreadingHTTPServer(address, _Handler).serve_forever()


if __name__ == "__main__":
    main()
