"""The website's stand-in does what the plan says of its variables, and each is a no-op when unset."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from playwright.sync_api import sync_playwright

from acceptance import target as targets
from acceptance.errors import UsageError
from acceptance.transports.browser import ONLY_THE_PAGE, executable
from rehearsal.apps import web
from rehearsal.apps.berths import BERTHS, OLD_BERTHS
from rehearsal.apps.outside import nocodb
from rehearsal.apps.web import Answer, Request, as_json
from rehearsal.client import Rehearsal, boot
from rehearsal.site import free_net
from selftest.app_stack import REPOSITORY, Json, free_port, wait_for

MAIL = "website@portnimara.test"
FORM = {"kind": "berth", "name": "A", "email": "visitor@portnimara.test", "recaptchaToken": "human"}
SWITCHES = (
    "CRM_INTAKE_URL",
    "CRM_INTAKE_SECRET",
    "CRM_BERTHS_ENABLED",
    "WEBSITE_INQUIRY_EMAILS_DISABLED",
)
RECIPIENTS = {"berth": ["b1@x.test", "b2@x.test"], "residence": ["r@x.test"], "contact": ["c@x.test"]}


@dataclass
class Crm:
    """Something in the CRM's place that remembers what it was asked."""

    url: str
    asked: list[Request] = field(default_factory=list)
    status: int = 200

    def berths(self, request: Request) -> Answer:
        self.asked.append(request)
        found = [
            {"name": berth.name, "status": berth.status, "length_m": berth.length, "price_eur": berth.price}
            for berth in BERTHS
        ]
        return as_json(found, self.status)

    def intake(self, request: Request) -> Answer:
        self.asked.append(request)
        return as_json({"ok": True}, self.status)


@dataclass
class Surroundings:
    """What the website talks to."""

    net: str
    nocodb_url: str
    smtp_port: int
    crm: Crm

    @property
    def mails(self) -> list[dict[str, Any]]:
        """The mails taken so far."""
        mails: list[dict[str, Any]] = httpx.get(f"{self.nocodb_url}/mails").json()
        return mails

    @property
    def stored(self) -> list[dict[str, Any]]:
        """The inquiries in NocoDB."""
        path = f"/api/v2/tables/{nocodb.INQUIRIES}/records?limit=1000"
        rows: list[dict[str, Any]] = httpx.get(
            f"{self.nocodb_url}{path}", headers={"xc-token": "token"}
        ).json()["list"]
        return rows


@dataclass
class Website:
    """A running website."""

    http: httpx.Client
    log: Path

    def inquire(self, marker: str, utm: str = "", **fields: str) -> httpx.Response:
        """Hand in the form."""
        headers = {"x-utm": utm} if utm else {}
        return self.http.post("/api/inquiry", json={**FORM, "message": marker, **fields}, headers=headers)

    def berths(self) -> list[tuple[str, str]]:
        """The public list."""
        return [(berth["name"], berth["status"]) for berth in self.http.get("/api/berths").json()["berths"]]


@contextmanager
def process(module: str, environment: Mapping[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as stream:
        running = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=REPOSITORY, env={"PATH": os.environ["PATH"], **environment}, stdout=stream, stderr=stream,
        )  # fmt: skip
    try:
        yield
    finally:
        running.terminate()
        running.wait(10)


def answers(url: str) -> Callable[[], bool]:
    def ask() -> bool:
        try:
            return httpx.get(url).status_code > 0
        except httpx.TransportError:
            return False

    return ask


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    net = free_net()
    address, directory = f"{net}.52", tmp_path_factory.mktemp("outside")
    port, smtp_port, crm_port = free_port(address), free_port(address), free_port(f"{net}.31")
    crm = Crm(f"http://{net}.31:{crm_port}")
    routes = {
        ("GET", "/api/public/berths"): crm.berths,
        ("POST", "/api/public/website-inquiries"): crm.intake,
    }
    server = web.Server(f"{net}.31", crm_port, routes, crm.intake)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        "HOSTNAME": address,
        "PORT": str(port),
        "SMTP_PORT": str(smtp_port),
        "MAIL_ACCOUNTS": json.dumps({MAIL: "password"}),
        "NOCODB_TOKEN": "token",
        "RECAPTCHA_SECRET": "secret",
        "RECAPTCHA_TOKEN": "human",
    }
    url = f"http://{address}:{port}"
    with process("rehearsal.apps.outside", environment, directory / "log"):
        wait_for(answers(f"{url}/mails"))
        yield Surroundings(net, url, smtp_port, crm)
    server.shutdown()
    server.server_close()


Start = Callable[..., "Website"]


@pytest.fixture
def start(around: Surroundings, tmp_path: Path) -> Iterator[Start]:
    """Starts the website with the existing variables, and others besides."""
    running: list[Any] = []
    around.crm.asked.clear()
    around.crm.status = 200

    def begin(**variables: str) -> Website:
        address = f"{around.net}.51"
        port = free_port(address)
        environment = {
            "HOST": address,
            "PORT": str(port),
            "NOCODB_URL": around.nocodb_url,
            "NOCODB_TOKEN": "token",
            "SMTP_HOST": f"{around.net}.52",
            "SMTP_PORT": str(around.smtp_port),
            "SMTP_USER": MAIL,
            "SMTP_PASS": "password",
            "ALERT_RECIPIENTS_BERTHS": "b1@x.test, b2@x.test",
            "ALERT_RECIPIENTS_RESIDENCES": "r@x.test",
            "ALERT_RECIPIENTS_CONTACT": "c@x.test",
            "RECAPTCHA_SECRET": "secret",
            "REHEARSAL_SITEVERIFY": f"{around.nocodb_url}/recaptcha/api/siteverify",
            **variables,
        }
        log = tmp_path / f"log{len(running)}"
        running.append(process("rehearsal.apps.website", environment, log))
        running[-1].__enter__()
        wait_for(lambda: "Listening" in log.read_text(), log.read_text)
        return Website(httpx.Client(base_url=f"http://{address}:{port}", timeout=20), log)

    yield begin
    for each in running:
        each.__exit__(None, None, None)


def dual_write(around: Surroundings) -> dict[str, str]:
    return {"CRM_INTAKE_URL": around.crm.url, "CRM_INTAKE_SECRET": "shared"}


def mails_about(around: Surroundings, marker: str) -> list[dict[str, Any]]:
    """The mails about the inquiry with that marker, once both are there."""
    (inquiry,) = (row for row in around.stored if row["message"] == marker)
    known = inquiry["submissionId"]

    def found() -> list[dict[str, Any]]:
        return [mail for mail in around.mails if known in mail["subject"] + mail["text"]]

    wait_for(lambda: len(found()) == 2)
    return found()


@pytest.mark.parametrize("switched", ["nothing", "blank", "address", "secret", "berths"])
def test_unset_is_a_no_op(around: Surroundings, start: Start, switched: str) -> None:
    variables = {
        "nothing": {},
        "blank": dict.fromkeys(SWITCHES, " "),
        "address": {"CRM_INTAKE_URL": around.crm.url},
        "secret": {"CRM_INTAKE_SECRET": "shared"},
        "berths": {"CRM_BERTHS_ENABLED": "1", "CRM_INTAKE_SECRET": "shared"},
    }[switched]
    website = start(**variables)
    answer = website.inquire(f"unset {switched}", '{"utm_source": "a"}')
    confirmation, alert = mails_about(around, f"unset {switched}")
    assert (answer.status_code, answer.json()["ok"]) == (200, True)
    assert confirmation["recipients"] == [FORM["email"]]
    assert alert["recipients"] == RECIPIENTS["berth"]
    assert {confirmation["account"], alert["account"]} == {MAIL}
    assert website.berths() == [(berth.name, berth.status) for berth in OLD_BERTHS]
    assert around.crm.asked == []
    assert "Error" not in website.log.read_text()


def test_dual_write(around: Surroundings, start: Start) -> None:
    website = start(**dual_write(around))
    website.inquire("with utm", '{"utm_source": "a"}')
    wait_for(lambda: len(around.crm.asked) == 1)
    website.inquire("without utm")
    wait_for(lambda: len(around.crm.asked) == 2)
    with_utm, without = around.crm.asked
    (stored,) = (row for row in around.stored if row["message"] == "with utm")
    assert with_utm.path == "/api/public/website-inquiries"
    assert with_utm.headers["x-webhook-secret"] == "shared"
    assert with_utm.headers["x-utm"] == '{"utm_source": "a"}'
    assert with_utm.document() == {name: value for name, value in stored.items() if name != "Id"}
    assert "recaptchaToken" not in with_utm.document()
    assert without.headers["x-utm"] is None
    assert website.berths() == [(berth.name, berth.status) for berth in OLD_BERTHS]


def test_the_visitor_does_not_notice_a_crm_that_refuses(around: Surroundings, start: Start) -> None:
    around.crm.status = 401
    website = start(**dual_write(around))
    assert website.inquire("refused").status_code == 200
    where = f'[POST] "{around.crm.url}/api/public/website-inquiries"'
    wait_for(lambda: f"FetchError: {where}: 401 Unauthorized" in website.log.read_text())
    gone = start(**{**dual_write(around), "CRM_INTAKE_URL": f"http://{around.net}.99:1"})
    assert gone.inquire("nobody there").status_code == 200
    wait_for(lambda: "<no response> fetch failed" in gone.log.read_text())


@pytest.mark.parametrize(
    ("value", "on"), [("1", True), ("true", True), ("YES", True), ("0", False), ("on", False)]
)
def test_flags(around: Surroundings, start: Start, value: str, on: bool) -> None:
    website = start(**dual_write(around), CRM_BERTHS_ENABLED=value, WEBSITE_INQUIRY_EMAILS_DISABLED=value)
    expected = BERTHS if on else OLD_BERTHS
    assert website.berths() == [(berth.name, berth.status) for berth in expected]
    before = len(around.mails)
    website.inquire(f"flag {value}")
    wait_for(lambda: any(request.method == "POST" for request in around.crm.asked))
    if on:
        assert len(around.mails) == before
    else:
        assert len(mails_about(around, f"flag {value}")) == 2


def test_nocodb_stays_the_fallback_of_the_feed(around: Surroundings, start: Start) -> None:
    around.crm.status = 500
    website = start(**dual_write(around), CRM_BERTHS_ENABLED="1")
    assert website.berths() == [(berth.name, berth.status) for berth in OLD_BERTHS]
    assert f'[GET] "{around.crm.url}/api/public/berths": 500' in website.log.read_text()


@pytest.mark.parametrize("kind", ["residence", "contact"])
def test_the_staff_s_recipients_go_by_kind(around: Surroundings, start: Start, kind: str) -> None:
    start().inquire(f"about {kind}", kind=kind)
    assert mails_about(around, f"about {kind}")[1]["recipients"] == RECIPIENTS[kind]


def test_what_is_refused_goes_nowhere(around: Surroundings, start: Start) -> None:
    before = len(around.stored)
    website = start(**dual_write(around))
    robot = website.inquire("robot", recaptchaToken="robot")
    assert (robot.status_code, robot.json()["statusMessage"]) == (400, "reCAPTCHA verification failed")
    assert website.inquire("odd", kind="odd").status_code == 400
    assert (len(around.stored), around.crm.asked) == (before, [])
    unreachable = start(**dual_write(around), NOCODB_TOKEN="wrong")
    assert unreachable.inquire("primary gone").status_code == 500
    assert "[request error] [unhandled] [POST] /api/inquiry" in unreachable.log.read_text()
    assert around.crm.asked == []


@dataclass
class Public:
    """The booted rehearsal's website, as a visitor and the database see it."""

    rehearsal: Rehearsal

    def __post_init__(self) -> None:
        target = targets.load(self.rehearsal.target_file)
        assert target.website is not None
        assert target.website.inquiry.token is not None
        self.public = target.website.public
        self.docker = target.server.tools.docker
        self.token = Path(target.website.inquiry.token.removeprefix("file:")).read_text()
        self.http = httpx.Client(verify=ssl.create_default_context(cafile=self.public.ca_file), timeout=20)

    def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:  # noqa: ANN401
        place = self.public.https
        return self.http.request(
            method,
            f"https://{place.address}:{place.port}{path}",
            headers={"host": self.public.name, **arguments.pop("headers", {})},
            extensions={"sni_hostname": self.public.name},
            **arguments,
        )

    def inquire(self, marker: str) -> None:
        """Hand in the form after landing from a campaign."""
        form = {**FORM, "message": marker, "recaptchaToken": self.token}
        answer = self.ask("POST", "/api/inquiry", json=form, headers={"x-utm": '{"utm_source": "spring"}'})
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers

    def rows(self, marker: str) -> list[tuple[str, Json]]:
        """The CRM's rows with that marker."""
        net = self.public.https.address.rpartition(".")[0]
        password = self.rehearsal.target_file.resolve().parent / "secrets" / "postgres_reader_password"
        with psycopg.connect(
            host=f"{net}.33", user="acceptance_reader", password=password.read_text(), dbname="pn_crm"
        ) as connection:
            return connection.execute(
                "select kind, utm from website_submissions where payload ->> 'message' = %s", (marker,)
            ).fetchall()

    def senders(self, marker: str) -> list[str]:
        """The accounts that sent mails with that marker to the staff."""
        net = self.public.https.address.rpartition(".")[0]
        mails = httpx.get(f"http://{net}.52:8080/mails").json()
        return [mail["account"] for mail in mails if marker in mail["text"]]


@pytest.fixture(scope="module")
def visitor() -> Iterator[Public]:
    with boot(lambda _line: None, 0) as rehearsal:
        yield Public(rehearsal)


@pytest.mark.user
def test_a_walk_through_all_stages_and_back(visitor: Public) -> None:
    seen: list[tuple[int | None, list[tuple[str, Json]], str, int]] = []
    for stage in (0, 1, 2, 3, 4, 5, 1):
        visitor.rehearsal.go_to_stage(stage)
        marker = f"walk {stage} {len(seen)}"
        visitor.inquire(marker)
        wait_for(lambda marker=marker: bool(visitor.senders(marker)))  # type: ignore[misc]
        berths = len(visitor.ask("GET", "/api/berths").json()["berths"])
        (sender,) = {account.partition("@")[0] for account in visitor.senders(marker)}
        seen.append((targets.load(visitor.rehearsal.target_file).stage, visitor.rows(marker), sender, berths))
    arrived = [("berth", {"utm_source": "spring"})]
    assert seen == [
        (0, [], "website", 11),
        (1, [], "website", 11),
        (2, arrived, "website", 11),
        (3, arrived, "crm", 11),
        (4, arrived, "crm", 12),
        (5, arrived, "crm", 12),
        (1, [], "website", 11),
    ]


def test_the_page_forwards_what_it_was_landed_on_with(around: Surroundings, start: Start) -> None:
    website = start(**dual_write(around))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable(), chromium_sandbox=False, args=[ONLY_THE_PAGE]
        )
        page = browser.new_page(base_url=str(website.http.base_url))
        page.goto("/?utm_source=spring&utm_medium=mail&other=1")
        page.fill("[name=name]", "A")
        page.fill("[name=email]", FORM["email"])
        page.fill("[name=message]", "in a browser")
        page.evaluate("document.querySelector('[name=recaptchaToken]').value = 'human'")
        page.click("button")
        page.wait_for_function("document.querySelector('[role=status]').textContent")
        shown, cookies = page.locator("li").count(), page.context.cookies()
        browser.close()
    wait_for(lambda: any(request.method == "POST" for request in around.crm.asked))
    utm = around.crm.asked[-1].headers["x-utm"]
    assert json.loads(utm) == {"utm_source": "spring", "utm_medium": "mail"}
    assert (shown, cookies) == (len(OLD_BERTHS), [])


def test_a_project_of_its_own(visitor: Public) -> None:
    def docker(*arguments: str) -> str:
        return subprocess.run([visitor.docker, *arguments], capture_output=True, text=True, check=True).stdout

    names = {
        project: docker(
            "ps", "--filter", f"label=com.docker.compose.project={project}", "--format", "{{.Names}}"
        ).split()
        for project in ("website", "pn-crm")
    }
    (inspected,) = json.loads(docker("inspect", "website-website-1"))
    assert names["website"] == ["website-website-1"]
    assert len(names["pn-crm"]) == 4
    assert any(entry.startswith("NOCODB_URL=https://") for entry in inspected["Config"]["Env"])
    assert not any(entry.startswith("REHEARSAL") for entry in inspected["Config"]["Env"])
    assert list(inspected["NetworkSettings"]["Networks"]) == ["website_default"]
    assert "Listening on http://" in docker("logs", "website-website-1")


def test_a_stage_is_not_left_while_a_fault_is_injected(visitor: Public) -> None:
    visitor.rehearsal.inject("api-berths-error")
    try:
        with pytest.raises(UsageError, match="revert api-berths-error"):
            visitor.rehearsal.go_to_stage(2)
    finally:
        visitor.rehearsal.revert("api-berths-error")
    with pytest.raises(UsageError, match="there is no stage 6"):
        visitor.rehearsal.go_to_stage(6)
