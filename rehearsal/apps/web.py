"""A small HTTP server and client of the standard library, for stand-ins that must start at once."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from functools import cached_property
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

_TIMEOUT_S = 5
_LONGEST_LINE = 65536
_HEADERS = {"connection": "close", "user-agent": "node", "accept": "*/*"}


@dataclass(frozen=True)
class Request:
    """A request; the names of its headers are found however they are written."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Message
    body: bytes

    def document(self) -> dict[str, Any]:
        """Return the JSON object in its body; an empty one if there is none."""
        try:
            document = json.loads(self.body)
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}


@dataclass(frozen=True)
class Answer:
    """An answer.

    Attributes:
        afterwards: what is done once the answer has gone out.
        headers: what is sent besides the content's type and length, in order; a name may come again.
    """

    status: int
    body: bytes
    content_type: str
    afterwards: Callable[[], None] | None = None
    headers: tuple[tuple[str, str], ...] = ()


def as_json(body: object, status: int = 200, afterwards: Callable[[], None] | None = None) -> Answer:
    """Return an answer with a JSON document."""
    return Answer(status, json.dumps(body).encode(), "application/json", afterwards=afterwards)


Handler = Callable[[Request], Answer]


class _OneRequest(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Keep no access log, as Node does."""

    def handle_one_request(self) -> None:
        """Read and answer one request, whatever its method."""
        with contextlib.suppress(OSError):
            self.raw_requestline = self.rfile.readline(_LONGEST_LINE)
            if self.raw_requestline and self.parse_request():
                self._answer()
                return
        self.close_connection = True

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        request = Request(self.command, parts.path, dict(parse_qsl(parts.query)), self.headers, body)
        answer = self.server.answer(request)
        self.send_response_only(answer.status)
        self.send_header("content-type", answer.content_type)
        self.send_header("content-length", str(len(answer.body)))
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body if self.command != "HEAD" else b"")
        if answer.afterwards is not None:
            Thread(target=answer.afterwards, daemon=True).start()


class Server(ThreadingTCPServer):
    """An HTTP server that knows what to answer by method and path."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, address: str, port: int, routes: Mapping[tuple[str, str], Handler], missing: Handler
    ) -> None:
        """Bind.

        Raises:
            OSError: the address is taken.
        """
        super().__init__((address, port), _OneRequest)
        self._routes = routes
        self._missing = missing

    def answer(self, request: Request) -> Answer:
        """Answer a request."""
        return self._routes.get((request.method, request.path), self._missing)(request)

    def serve_until_told(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))
        self.serve_forever(poll_interval=60)


class FetchError(Exception):
    """A request failed; worded as ofetch words it."""


@dataclass(frozen=True)
class Received:
    """What another server answered.

    Attributes:
        headers: by lower-case name.
    """

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class Outgoing:
    """Requests to other servers: a public name leads to where it really is today."""

    def __init__(self, connect: Mapping[str, str], ca_file: str) -> None:
        """Prepare requests.

        Args:
            connect: for `name:port` the address and port to connect to.
            ca_file: the authority to trust; empty for the machine's.
        """
        self._connect = connect
        self._ca_file = ca_file

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._ca_file or None)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Outgoing:
        """Read REHEARSAL_CONNECT (JSON) and REHEARSAL_CA."""
        connect = json.loads(environment.get("REHEARSAL_CONNECT", "{}"))
        return cls(connect, environment.get("REHEARSAL_CA", ""))

    def place(self, name: str, port: int) -> tuple[str, int]:
        """Return where a name's port really is."""
        address, _, number = self._connect.get(f"{name}:{port}", f"{name}:{port}").rpartition(":")
        return address, int(number)

    def fetch(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Any:  # noqa: ANN401 - JSON
        """Send a request and return the answer's JSON document; None if it holds none.

        Raises:
            FetchError: no answer, or one that is not 2xx.
        """
        received = self.send(method, url, headers, body)
        if not 200 <= received.status < 300:
            raise FetchError(f'[{method}] "{url}": {received.status} {received.reason}')
        try:
            return json.loads(received.body)
        except ValueError:
            return None

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = _TIMEOUT_S,
    ) -> Received:
        """Send a request and return the answer, whatever its status; redirects are not followed.

        The timeout is in seconds, for each read and write.

        Raises:
            FetchError: no answer.
        """
        try:
            return self._exchange(method, urlsplit(url), headers or {}, body, timeout)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise FetchError(f'[{method}] "{url}": <no response> fetch failed') from error

    def _exchange(
        self, method: str, url: SplitResult, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Received:
        name, secure = url.hostname or "", url.scheme == "https"
        place = self.place(name, url.port or (443 if secure else 80))
        stream = socket.create_connection(place, timeout)
        connection = http.client.HTTPConnection(name)
        connection.sock = self._tls.wrap_socket(stream, server_hostname=name) if secure else stream
        try:
            path = f"{url.path or '/'}{'?' + url.query if url.query else ''}"
            connection.request(method, path, body, {**_HEADERS, "host": url.netloc, **headers})
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Received(answer.status, answer.reason, names, answer.read())
        finally:
            connection.close()
