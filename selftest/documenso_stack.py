"""Documenso's stand-ins with what they need: a database, a bucket, and who receives webhooks and mails."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import make_conninfo

from rehearsal.apps.outside import smtp
from rehearsal.apps.web import Outgoing
from rehearsal.documenso import sealing
from rehearsal.services.files import accepts
from rehearsal.services.s3 import binary
from selftest import app_stack
from selftest.app_stack import REPOSITORY, Process, Stack, free_port, wait_for

PASSPHRASE = "seal-passphrase-of-the-test"
KEYS = ("access-key-of-test", "secret-key-of-test")
_PORT = 3010
MAIL = ("documenso", "mail-password-of-the-test")


@dataclass
class Receiver:
    """Takes webhooks; what is below `/hooks/fail` is answered with 500.

    Attributes:
        deliveries: path, headers and JSON body of each, in order.
    """

    url: str
    deliveries: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    def of(self, document: int) -> list[tuple[str, dict[str, str], Any]]:
        """Return the deliveries about a document."""
        return [delivery for delivery in self.deliveries if delivery[2]["payload"]["id"] == document]


@dataclass
class Documenso:
    """Everything around the stand-ins, and the stand-ins started so far."""

    stack: Stack
    receiver: Receiver
    mailbox: smtp.Mailbox
    connect: dict[str, str]
    variables: dict[str, str]
    servers: list[Process] = field(default_factory=list)

    @property
    def outgoing(self) -> Outgoing:
        """Requests that reach what the stand-ins reach."""
        return Outgoing(self.connect, "")

    def database(self, name: str, template: str = "template0") -> psycopg.Connection[tuple[Any, ...]]:
        """Create a database and connect to it."""
        with psycopg.connect(self.stack.dsn, autocommit=True) as connection:
            connection.execute(f"create database {name} template {template}".encode())
        return self.connection(name)

    def connection(self, name: str) -> psycopg.Connection[tuple[Any, ...]]:
        """Connect to a database."""
        return psycopg.connect(make_conninfo(self.stack.dsn, dbname=name), autocommit=True)

    def start(self, version: str, database: str, **environment: str) -> Process:
        """Start a stand-in on an address of its own; `ready` waits until it answers. v1.13.1 ignores PORT."""
        number = len(self.servers)
        address = f"{self.stack.net}.{50 + number}"
        url = f"http://{address}:{3000 if version == 'v1.13.1' else _PORT}"
        directory = self.stack.directory / f"documenso-{number}"
        directory.mkdir()
        stdout, stderr, knobs = directory / "stdout", directory / "stderr", directory / "knobs.json"
        variables = {
            "PATH": os.environ["PATH"],
            "HOSTNAME": address,
            "PORT": str(_PORT),
            "REHEARSAL_DOCUMENSO_VERSION": version,
            "REHEARSAL_CONNECT": json.dumps(self.connect),
            "REHEARSAL_KNOBS": str(knobs),
            "NEXT_PRIVATE_DATABASE_URL": f"postgresql://crm:unused@database:5432/{database}?schema=public",
            "NEXT_PRIVATE_INTERNAL_WEBAPP_URL": url,
            **self.variables,
            **environment,
        }
        given = {name: value for name, value in variables.items() if value}
        with stdout.open("wb") as out, stderr.open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "rehearsal.apps.documenso"],
                cwd=REPOSITORY,
                env=given,
                stdout=out,
                stderr=err,
            )
        self.stack.processes.append(process)
        self.servers.append(Process(process, url, directory, stdout, stderr, knobs))
        return self.servers[-1]

    def restart_postgres(self, while_down: Any) -> None:  # noqa: ANN401 - anything callable
        """Stop the database server, do something, and start it again."""
        postgres = self.stack.processes[0]
        app_stack._end(postgres)
        while_down()
        before = self.stack.postgres_log.read_bytes().count(b"database system is ready")
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.stack.directory), "LC_ALL": "C"}
        with self.stack.postgres_log.open("ab") as log:
            self.stack.processes[0] = subprocess.Popen(postgres.args, env=environment, stdout=log, stderr=log)
        wait_for(lambda: self.stack.postgres_log.read_bytes().count(b"database system is ready") > before)


def ready(*servers: Process) -> None:
    """Wait until they answer."""
    for server in servers:
        wait_for(lambda server=server: _answers(server), server.errors)  # type: ignore[misc]


def _answers(server: Process) -> bool:
    if server.process.poll() is not None:
        raise AssertionError(server.errors())
    parts = urlsplit(server.url)
    return accepts(str(parts.hostname), parts.port or 80)


@contextmanager
def running() -> Iterator[Documenso]:
    """Boot what surrounds Documenso; end everything that was started."""
    with app_stack.database() as stack:
        receiver, webhooks = _receiver(f"{stack.net}.41")
        mailbox = smtp.Mailbox(dict([MAIL]))
        mails = smtp.Server(f"{stack.net}.42", free_port(f"{stack.net}.42"), mailbox)
        Thread(target=mails.serve_forever, daemon=True).start()
        bucket = _bucket(stack)
        postgres = psycopg.conninfo.conninfo_to_dict(stack.dsn)
        connect = {
            "crm.acme.example:80": receiver.url,
            "s3.acme.example:80": bucket,
            "database:5432": f"{postgres['host']}:{postgres['port']}",
            "mail.acme.example:587": "{}:{}".format(*mails.server_address),
        }
        try:
            yield Documenso(stack, receiver, mailbox, connect, _variables())
        finally:
            for server in (webhooks, mails):
                server.shutdown()
                server.server_close()


def _variables() -> dict[str, str]:
    p12 = sealing.make_certificate(PASSPHRASE).p12
    return {
        "NEXT_PUBLIC_WEBAPP_URL": "https://sign.acme.example",
        "NEXTAUTH_SECRET": "nextauth-secret-of-the-test",
        "NEXT_PUBLIC_UPLOAD_TRANSPORT": "s3",
        "NEXT_PRIVATE_UPLOAD_ENDPOINT": "http://s3.acme.example",
        "NEXT_PRIVATE_UPLOAD_FORCE_PATH_STYLE": "true",
        "NEXT_PRIVATE_UPLOAD_REGION": "us-east-1",
        "NEXT_PRIVATE_UPLOAD_BUCKET": "docs",
        "NEXT_PRIVATE_UPLOAD_ACCESS_KEY_ID": KEYS[0],
        "NEXT_PRIVATE_UPLOAD_SECRET_ACCESS_KEY": KEYS[1],
        "NEXT_PRIVATE_SIGNING_TRANSPORT": "local",
        "NEXT_PRIVATE_SIGNING_PASSPHRASE": PASSPHRASE,
        "NEXT_PRIVATE_SIGNING_LOCAL_FILE_CONTENTS": base64.b64encode(p12).decode(),
        "NEXT_PRIVATE_SMTP_HOST": "mail.acme.example",
        "NEXT_PRIVATE_SMTP_PORT": "587",
        "NEXT_PRIVATE_SMTP_USERNAME": MAIL[0],
        "NEXT_PRIVATE_SMTP_PASSWORD": MAIL[1],
        "NEXT_PRIVATE_SMTP_FROM_ADDRESS": "sign@acme.example",
    }


def _bucket(stack: Stack) -> str:
    """Serve a bucket `docs` and return where."""
    (stack.directory / "s3" / "docs").mkdir(parents=True)
    place = f"{stack.net}.43:{free_port(f'{stack.net}.43')}"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(stack.directory),
        "RCLONE_AUTH_KEY": '"{},{}"'.format(*KEYS),
        "RCLONE_CACHE_DIR": str(stack.directory / "cache"),
    }
    command = [binary(), "serve", "s3", str(stack.directory / "s3"), "--addr", place]
    stack.processes.append(
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    )
    address, _, port = place.partition(":")
    wait_for(lambda: accepts(address, int(port)))
    return place


def _receiver(address: str) -> tuple[Receiver, ThreadingHTTPServer]:
    receiver = Receiver(f"{address}:{free_port(address)}")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.deliveries.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response_only(500 if self.path == "/hooks/fail" else 200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((address, int(receiver.url.partition(":")[2])), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return receiver, server
