"""Asks a release of Documenso's stand-in everything that the real one was asked, in the same order."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
from psycopg.rows import dict_row

from rehearsal.documenso import pdf
from selftest import documenso_compare, documenso_rows
from selftest.app_stack import Process, wait_for
from selftest.documenso_compare import Names
from selftest.documenso_recorded import recording, recordings
from selftest.documenso_stack import PASSPHRASE, Documenso, ready

Headers = dict[str, str]
SEEDED = ("q7w2e9r4t1y6", "a1b2c3d4e5f6", "z9y8x7w6v5u4")

_FIELD = {"type": "SIGNATURE", "pageNumber": 1, "pageX": 10, "pageY": 10, "pageWidth": 20, "pageHeight": 5}
_PDF = pdf.document("Seal Proof", [["A page"]])
_LETTERS = {"a": 217, "b": 216, "c": 219, "d": 218, "e": 221}
"""Documents of the recorded webhooks."""
_STUCK_JOBS = """
    select "jobId", name, version, status, retried, "maxRetries", "completedAt" is not null as completed,
        to_char("submittedAt", 'YYYY-MM-DD"T"HH24:MI:SS.MS') as "submittedAt",
        (select count(*) from "BackgroundJobTask" t where t."jobId" = j.id) as tasks
    from "BackgroundJob" j where "jobId" = 'internal.seal-document' and payload->>'documentId' = '220'
"""
_LAST = 222
"""The document whose events are refused."""


@dataclass
class Replay:
    """A version's recordings, and in what the stand-in differs from each that was replayed.

    Attributes:
        found: differences by the recording's name; an empty list if there are none.
    """

    around: Documenso
    version: str
    found: dict[str, list[str]] = field(default_factory=dict)
    names: Names = field(default_factory=lambda: Names({prefix: prefix for prefix in SEEDED}))
    clients: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    database: str = ""
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=20))
    servers: dict[str, Process] = field(default_factory=dict)

    @property
    def later(self) -> bool:
        """True for v2.11.0."""
        return self.version == "v2.11.0"

    def run(self) -> None:
        """Replay everything."""
        servers = self.servers = self._servers()
        plain = servers[""]
        self._stateless(servers)
        self._limits(plain)
        self._without_database(plain)
        self.listen("hook")
        self._smoke_flow(plain)
        self._no_field(plain)
        self._mails(plain)
        self._seal(plain)
        self._stuck(servers["wrong-passphrase"])
        self._refused(plain)
        self._deliveries()
        self._failing_receiver(plain)
        self.http.close()

    def listen(self, webhook: str) -> None:
        """Enable this webhook and no other."""
        with self.around.connection(self.database) as connection:
            documenso_rows.listen(connection, webhook)

    def _servers(self) -> dict[str, Process]:
        """Start the release in every configuration that was recorded."""
        around, name = self.around, f"documenso_{self.version[1:].replace('.', '')}"
        with around.database(name) as connection:
            documenso_rows.create(connection)
        absent = {"NEXT_PRIVATE_SIGNING_LOCAL_FILE_CONTENTS": ""}
        missing = {**absent, "NEXT_PRIVATE_SIGNING_LOCAL_FILE_PATH": "/nowhere/cert.p12"}
        wrong = {"NEXT_PRIVATE_SIGNING_PASSPHRASE": f"not {PASSPHRASE}"}
        production = {"NODE_ENV": "production"}
        servers = {"": around.start(self.version, name)}
        ready(servers[""])
        servers |= {
            "missing": around.start(self.version, name, **missing),
            "unset": around.start(self.version, name, **absent, NEXT_PRIVATE_SIGNING_TRANSPORT=""),
            "wrong-passphrase": around.start(
                self.version, name, **wrong, REHEARSAL_PRIVATE_NAMES="crm.acme.example"
            ),
            "production": around.start(self.version, name, **production),
            "http": around.start(
                self.version, name, **production, NEXT_PUBLIC_WEBAPP_URL="http://sign.acme.example"
            ),
        }
        if self.later:
            servers["unmigrated"] = around.start(self.version, self._stopped_database())
        else:
            servers["downgraded"] = around.start(self.version, self._upgraded_database())
        ready(*servers.values())
        self.database = name
        return servers

    def _stopped_database(self) -> str:
        """A database of v1.13.1 whose migrations do not go on: the next one has failed before."""
        with self.around.database("unmigrated") as connection:
            documenso_rows.create(connection)
            connection.execute(
                "insert into _prisma_migrations (id, checksum, migration_name, applied_steps_count) "
                "values ('1', '', '20251023021214_add_envelope_item_limits', 0)"
            )
        return "unmigrated"

    def _upgraded_database(self) -> str:
        """A database that v2.11.0 has migrated."""
        with self.around.database("upgraded") as connection:
            documenso_rows.create(connection)
        later = self.around.start("v2.11.0", "upgraded")
        ready(later)
        later.process.terminate()
        later.process.wait()
        return "upgraded"

    # What needs no order -------------------------------------------------------------------------------

    def _stateless(self, servers: dict[str, Process]) -> None:
        where = {
            "02-health-wrong-passphrase": "wrong-passphrase",
            "02-health-transport-unset-no-certificate": "unset",
            "02-": "missing",
            "08-": "production",
            "09-": "http",
            "40-": "unmigrated",
            "41-": "downgraded",
            "0": "",
            "1": "",
            "2": "",
        }
        for name in recordings(self.version):
            prefix = next((prefix for prefix in where if name.startswith(prefix)), None)
            if prefix is not None and not name.startswith("03-") and "rate-limit" not in name:
                self.ask(servers[where[prefix]], name)
        if self.later:
            self._count_unmigrated(servers["unmigrated"])

    def ask(self, server: Process, name: str) -> httpx.Response:
        """Send a recorded request and note the differences; return the answer."""
        exchange = recording(self.version, name)
        request = exchange["request"]
        seen = self.send(server, request["method"], request["path"], request["headers"], request.get("body"))
        self.found[name] = documenso_compare.answer(name, exchange["response"], seen, self.names)
        return seen

    def send(
        self,
        server: Process,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        body: object = None,
    ) -> httpx.Response:
        """Send a request in the words of this run, from a client address of its own unless it has one."""
        number = next(self.clients)
        given = {"X-Forwarded-For": f"198.18.{number // 250}.{number % 250}", **(headers or {})}
        content = None
        if body is not None:
            content = body["text"] if isinstance(body, dict) and list(body) == ["text"] else json.dumps(body)
            content = self.names.here(content)
        url = f"{server.url}{self.names.here(path)}"
        self.http.cookies.clear()
        return self.http.request(method, url, headers=given, content=content)

    def _limits(self, server: Process) -> None:
        _begin_a_minute()
        headers = recording(self.version, "30-v1-rate-limit-429")["request"]["headers"]
        for _ in range(99):
            self.send(server, "GET", "/api/v1/documents", headers)
        self.ask(server, "30-v1-rate-limit-last-allowed")
        self.ask(server, "30-v1-rate-limit-429")
        if self.later:
            counted = "31-v1-rate-limit-counts"
            for _ in range(4):
                self.send(
                    server, "GET", "/api/v1/documents", recording(self.version, counted)["request"]["headers"]
                )
            self.ask(server, counted)

    def _count_unmigrated(self, server: Process) -> None:
        name = "40-unmigrated-v1-rate-limit-does-not-count"
        _begin_a_minute()
        for _ in range(4):
            self.send(server, "GET", "/api/v1/documents", recording(self.version, name)["request"]["headers"])
        self.ask(server, name)

    def _without_database(self, server: Process) -> None:
        def ask() -> None:
            for name in recordings(self.version):
                if name.startswith("03-") and name != "03-health-db-back":
                    self.ask(server, name)

        self.around.restart_postgres(ask)
        self.ask(server, "03-health-db-back")

    # Documents -----------------------------------------------------------------------------------------

    def _api(self, server: Process, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401
        """Send a request of the flows that was not recorded, and return its JSON."""
        headers = {"Authorization": f"Bearer {documenso_rows.TOKENS[0]}", "Content-Type": "application/json"}
        seen = self.send(server, method, path, headers, body)
        assert seen.status_code == 200, seen.text
        return seen.json()

    def _create(self, server: Process, name: str, *, upload: bool = True) -> dict[str, Any]:
        created: dict[str, Any] = self.ask(server, name).json()
        if upload:
            self._upload(created)
        return created

    def _upload(self, created: dict[str, Any]) -> None:
        headers = {"content-type": "application/pdf"}
        received = self.around.outgoing.send("PUT", created["uploadUrl"], headers, _PDF)
        assert received.status == 200, received.body

    def _add_field(self, server: Process, created: dict[str, Any]) -> int:
        body = {"recipientId": created["recipients"][0]["recipientId"], **_FIELD}
        answer = self._api(server, "POST", f"/api/v1/documents/{created['documentId']}/fields", body)
        return int(answer["fields"][0]["id"])

    def _drawn_up(self, server: Process, name: str, title: str) -> tuple[dict[str, Any], int]:
        """Create, upload, place a field and send, as before a part of the recording."""
        body = {
            "title": title,
            "externalId": "smoke-0006",
            "recipients": [{"name": "Smoke Signer", "email": "smoke@client.example", "role": "SIGNER"}],
            "meta": {"subject": "Smoke test", "message": "Please ignore", "distributionMethod": "NONE"},
        }
        if name:
            created = self._create(server, name)
        else:
            created = self._api(server, "POST", "/api/v1/documents", body)
            self._upload(created)
        number = self._add_field(server, created)
        self._api(server, "POST", f"/api/v1/documents/{created['documentId']}/send", {"sendEmail": False})
        return created, number

    def _wait_for_status(self, document: int, status: str) -> None:
        statement = 'select status from "Envelope" where "secondaryId" = %s'
        wait_for(
            lambda: self._all(statement, f"document_{document}") == [{"status": status}],
            lambda: "".join(server.errors() for server in self.around.servers),
        )

    def _smoke_flow(self, server: Process) -> None:
        self._create(server, "50-flow-01-create")
        for name in recordings(self.version):
            if name.startswith("50-") and name != "50-flow-01-create":
                self.ask(server, name)

    def _no_field(self, server: Process) -> None:
        created = self._create(server, "51-nofield-01-create", upload=False)
        for name in ("02-resend-draft", "03-send-before-upload"):
            self.ask(server, f"51-nofield-{name}")
        self._upload(created)
        for name in ("04-send", "05-get", "06-delete"):
            self.ask(server, f"51-nofield-{name}")

    def _mails(self, server: Process) -> None:
        mails = self.around.mailbox.mails
        mails.clear()
        created = self._create(server, "52-email-01-create")
        self._add_field(server, created)
        self.ask(server, "52-email-02-send")
        statement = 'select "sendStatus" from "Recipient" where id = 223'
        wait_for(lambda: self._all(statement) == [{"sendStatus": "SENT"}], server.errors)
        self.ask(server, "52-email-03-get")
        sent = [mail.subject for mail in mails]
        self.ask(server, "52-email-04-delete")
        wait_for(lambda: len(mails) > len(sent), server.errors)
        later = [mail.subject for mail in mails[len(sent) :]]
        seen = {
            "mails_after_send": len(sent),
            "subjects_after_send": sent,
            "mails_after_delete": len(later),
            "subjects_after_delete": later,
        }
        self._compare("52-email-05-mails-seen", seen)

    def _seal(self, server: Process) -> None:
        created = self._create(server, "53-seal-01-create")
        self._add_field(server, created)
        server.turn(sealing="hold")
        for name in ("02-send", "03-open-signing-page", "04-sign-field", "05-complete"):
            self.ask(server, f"53-seal-{name}")
        self.ask(server, "53-seal-06-get-right-after-signing")
        server.turn()
        self._wait_for_status(219, "COMPLETED")
        self.ask(server, "53-seal-07-get-completed")
        address = self.ask(server, "53-seal-08-download").json()["downloadUrl"]
        self._signed_pdf(self.around.outgoing.send("GET", address).body)
        for name in ("10-delete-completed", "11-get-after-soft-delete", "12-delete-again"):
            self.ask(server, f"53-seal-{name}")

    def _signed_pdf(self, content: bytes) -> None:
        recorded = recording(self.version, "53-seal-09-signed-pdf-facts")["response"]["body"]
        seen = {
            "starts_with": content[:5].decode(),
            "ends_with_eof_marker": content.rstrip().endswith(b"%%EOF"),
            "subfilters": [name.decode() for name in re.findall(rb"/SubFilter\s*/([\w.]+)", content)],
            "byte_range_count": content.count(b"/ByteRange"),
            "size_bytes": recorded["size_bytes"],
        }
        self._compare("53-seal-09-signed-pdf-facts", seen)

    def _stuck(self, server: Process) -> None:
        created, number = self._drawn_up(server, "54-stuck-01-create", "Stuck")
        token = created["recipients"][0]["token"]
        body = {"json": {"token": token, "fieldId": number, "value": "Smoke Signer", "isBase64": False}}
        headers = {"Content-Type": "application/json"}
        self.send(server, "POST", "/api/trpc/field.signFieldWithToken", headers, body)
        self.ask(server, "54-stuck-02-complete")
        wait_for(lambda: any(job["completed"] for job in self._all(_STUCK_JOBS)), server.errors)
        for name in ("03-get-after-15s", "04-download", "05-health"):
            self.ask(server, f"54-stuck-{name}")
        self._compare("54-stuck-06-background-jobs", self._all(_STUCK_JOBS))
        self._calls_of_stuck()

    def _refused(self, server: Process) -> None:
        body = recording(self.version, "60-webhook-e03-document-rejected")["request"]["body"]["payload"]
        created, _ = self._drawn_up(server, "", body["title"])
        self.names.known[
            recording(self.version, "55-reject-01-reject")["request"]["body"]["json"]["token"]
        ] = created["recipients"][0]["token"]
        self.ask(server, "55-reject-01-reject")
        self._wait_for_status(221, "REJECTED")
        for name in ("02-get", "03-download", "04-resend"):
            self.ask(server, f"55-reject-{name}")

    # Webhooks ------------------------------------------------------------------------------------------

    def _deliveries(self) -> None:
        receiver = self.around.receiver
        order = recording(self.version, "60-webhook-order")["response"]["body"]["events_in_order_of_arrival"]
        wanted = {title[0].lower(): events for title, events in order.items()}
        for letter, events in wanted.items():
            wait_for(lambda events=events, letter=letter: len(receiver.of(_LETTERS[letter])) >= len(events))  # type: ignore[misc]
        seen = {
            title: [event[2]["event"] for event in receiver.of(_LETTERS[title[0].lower()])] for title in order
        }
        self._compare("60-webhook-order", {"events_in_order_of_arrival": seen})
        wait_for(lambda: len(receiver.of(221)) >= 3)
        queues = {letter: iter(receiver.of(number)) for letter, number in _LETTERS.items()}
        for name in recordings(self.version):
            if name.startswith("60-webhook-") and name != "60-webhook-order":
                self._delivery(name, queues[name[len("60-webhook-")]])

    def _delivery(self, name: str, queue: Any) -> None:  # noqa: ANN401 - an iterator over deliveries
        recorded = recording(self.version, name)["request"]
        path, headers, body = next(item for item in queue if item[2]["event"] == recorded["body"]["event"])
        lower = {header.lower(): value for header, value in headers.items()}
        kept = {header: lower.get(header.lower()) for header in recorded["headers"]}
        self.found[name] = [
            *self.names.differences(recorded["path"], path, "path"),
            *self.names.differences(recorded["headers"], kept, "headers"),
            *self.names.differences(recorded["body"], body, "body"),
        ]

    def _calls_of_stuck(self) -> None:
        """In v2.11.0 the receiver's name leads to a private address for this server, and nothing is sent."""
        statement = """select event, status, url, "responseCode", "responseBody", "responseHeaders"
            from "WebhookCall" where "requestBody"->'payload'->>'id' = '220' order by "createdAt", id"""
        recorded = recording(self.version, "61-webhookcall-rows")["response"]["body"]
        wait_for(lambda: len(self._all(statement)) >= len(recorded))
        self._compare("61-webhookcall-rows", self._all(statement))

    def _failing_receiver(self, server: Process) -> None:
        self.listen("fail")
        self._drawn_up(server, "", "Refused by the receiver")
        recorded = recording(self.version, "62-webhook-receiver-500")["response"]["body"]
        jobs = """select "jobId", status::text, retried, "maxRetries" from "BackgroundJob"
            where payload->'data'->>'id' = %s and status = 'FAILED' order by "submittedAt" """
        calls = """select event::text, status::text, "responseCode", "responseBody",
            to_char("createdAt", 'YYYY-MM-DD"T"HH24:MI:SS.MS') as "createdAt" from "WebhookCall"
            where "requestBody"->'payload'->>'id' = %s order by "createdAt", id"""
        wait_for(
            lambda: len(self._all(jobs, str(_LAST))) == len(recorded["BackgroundJob_rows"]), server.errors
        )
        attempts = [
            {
                "event": body["event"],
                "createdAt": body["createdAt"],
                "header_names": [name for name in ("X-Documenso-Secret",) if name in headers],
            }
            for _path, headers, body in self.around.receiver.of(_LAST)
        ]
        seen = {
            "attempts_received": attempts,
            "WebhookCall_rows": self._all(calls, str(_LAST)),
            "BackgroundJob_rows": self._all(jobs, str(_LAST)),
        }
        self._compare("62-webhook-receiver-500", seen)

    def _all(self, statement: str, *params: object) -> list[dict[str, Any]]:
        with self.around.connection(self.database) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            return list(cursor.execute(statement.encode(), params).fetchall())

    def _compare(self, name: str, seen: Any) -> None:  # noqa: ANN401 - JSON
        recorded = recording(self.version, name)["response"]["body"]
        self.found[name] = self.names.differences(recorded, seen, "body")


def _begin_a_minute() -> None:
    """Limits are counted by the minute of the clock: do not begin to count at the end of one."""
    wait_for(lambda: time.time() % 60 < 50)
