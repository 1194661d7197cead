"""The browser reads and changes nothing; what it shows is told apart from what could not be told."""

from __future__ import annotations

import asyncio
import datetime
import re
import shutil
import ssl
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from playwright.sync_api import Error, sync_playwright

from acceptance import target as targets
from acceptance.check import recording, verify
from acceptance.errors import UnavailableError
from acceptance.evidence.bundle import Bundle
from acceptance.evidence.record import RunRecord
from acceptance.facts.base import Source, Unavailable, known
from acceptance.facts.pages import Guarded, Pages, Payload, Rendered, Trait, drawn, matches, same_colour
from acceptance.guard import Approvals, Guard
from acceptance.ledger import Ledger
from acceptance.outcome import Outcome
from acceptance.report import signoff
from acceptance.secrets import Redactor
from acceptance.sections.base import Endpoint
from acceptance.sections.public import Public
from acceptance.target import Target
from acceptance.transports.browser import (
    PROGRAMS,
    SWITCHED_OFF,
    Browser,
    Element,
    View,
    executable,
    name_rules,
)
from acceptance.transports.http import Http
from acceptance.transports.tls import Tls
from rehearsal.apps.crm import branding
from rehearsal.client import Rehearsal
from selftest import matrix, records
from selftest.local_host import target_for

NAME = "crm.example.test"
ADDRESS = "127.79.6.1"

needs_browser = pytest.mark.skipif(not any(map(shutil.which, PROGRAMS)), reason="this machine has no browser")

PAGES: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/plain": (200, {}, b"<title>Plain</title><h1>plain</h1>"),
    "/writes": (
        200,
        {},
        b"""<h1>writes</h1><script>
        fetch('/change', { method: 'POST' }).catch(() => {})
        fetch('/change', { method: 'DELETE' }).catch(() => {})
        navigator.sendBeacon('/beacon', 'x')
        new WebSocket(`wss://${location.host}/socket`)
        window.open('/popup')
        fetch('/read').catch(() => {})
        </script><form method="post" action="/change"><input name="x"></form>
        <script>document.forms[0].submit()</script>""",
    ),
    "/elsewhere": (200, {}, b"<h1>x</h1><img src='https://pictures.example.test/a.png'>"),
    "/leaves": (302, {"location": "https://other.example.test/login"}, b""),
    **{
        f"/moves/{step}": (200, {}, f"<script>setTimeout(() => location.replace('{onto}'))</script>".encode())
        for step, onto in enumerate(("/moves/1", "/moves/2", "/plain"))
    },
    "/loop": (302, {"location": "/loop"}, b""),
    "/empty-error": (500, {}, b""),
    "/broken": (
        200,
        {},
        b"<h1>x</h1><img src='/missing.png'><script>console.error('told'); undefined.x()</script>",
    ),
    "/hangs": (200, {}, b"<h1>x</h1><img src='/never'>"),
    "/berths": (200, {"set-cookie": "session_token=abc; Path=/"}, b"<h1>x</h1>"),
    "/drawn": (
        200,
        {},
        b"""<style>#blue { background: oklch(0.35 0.07 240) } #clear { background: #0008 }</style>
        <img id="logo" src="/pixel.png" width="240" height="64"><div id="blue">x</div><div id="clear">x</div>
        <div id="hidden" style="visibility: hidden">x</div><svg id="vector" width="40" height="30"></svg>""",
    ),
    "/pixel.png": (200, {"content-type": "image/png"}, branding.PIXEL),
}


@dataclass
class Site:
    """A small TLS server; `asked` is what it was sent, `cookies` what came with it."""

    public: Public
    asked: list[str] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)


def certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """Write a self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, secret = directory / "chain.pem", directory / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return chain, secret


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    chain, key = certificate(tmp_path, NAME)
    stopping = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            served.asked.append(f"{self.command} {self.path}")
            served.cookies.append(self.headers.get("cookie", ""))
            if self.path == "/never":
                stopping.wait()
            status, headers, body = PAGES.get(self.path, (404, {}, b"not found"))
            self.send_response(status)
            for name, value in {"content-type": "text/html", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((ADDRESS, 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    endpoint = Endpoint(address=ADDRESS, port=server.server_port)
    served = Site(Public(name=NAME, connect_https=endpoint, ca_file=str(chain), timeout_s=3))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield served
    finally:
        stopping.set()
        server.shutdown()
        server.server_close()


def using(
    directory: Path, public: Public, work: Callable[[Browser, Http], Awaitable[Any]], *elsewhere: str
) -> Any:  # noqa: ANN401 - whatever the work returns
    """Run a piece of work with a browser and an HTTP client of one run; the ledger is kept."""

    async def run() -> Any:  # noqa: ANN401
        ledger = Ledger(directory / "ledger.jsonl", Redactor())
        guard = Guard(ledger, Approvals(), target_for(directory))
        browser = Browser(public, elsewhere, guard, ledger, Tls(public, ledger).verified_leaf)
        http = Http(public, guard, ledger)
        try:
            return await work(browser, http)
        finally:
            await browser.close()
            await http.close()
            ledger.close()

    return asyncio.run(run())


def view(directory: Path, site: Site, path: str, **selectors: str) -> View:
    found: View = using(directory, site.public, lambda browser, _: browser.view(path, selectors))
    return found


# --- what the browser sends


@pytest.mark.user
@needs_browser
def test_a_page_that_writes_is_held_back(tmp_path: Path, site: Site) -> None:
    seen = view(tmp_path, site, "/writes")
    assert sorted(site.asked) == ["GET /read", "GET /writes"]
    told = " ".join(seen.held_back)
    assert "DELETE https://crm.example.test/change" in told
    assert "POST https://crm.example.test/beacon" in told
    assert "websocket wss://crm.example.test/socket" in told
    assert '"kind": "refused"' in (tmp_path / "ledger.jsonl").read_text(encoding="utf-8")


@needs_browser
def test_nothing_is_asked_of_other_hosts(tmp_path: Path, site: Site) -> None:
    seen = view(tmp_path, site, "/elsewhere")
    assert seen.elsewhere == ("GET https://pictures.example.test/a.png",)
    assert not seen.failed_requests
    assert not seen.console_errors


@needs_browser
def test_what_it_sends_is_in_the_ledger(tmp_path: Path, site: Site) -> None:
    view(tmp_path, site, "/plain")
    assert "GET https://crm.example.test/plain" in (tmp_path / "ledger.jsonl").read_text(encoding="utf-8")


@needs_browser
def test_only_the_owner_of_a_session_sends_its_cookie(tmp_path: Path, site: Site) -> None:
    async def both(browser: Browser, _http: Http) -> None:
        await browser.view("/plain", {}, cookie="__Secure-session_token=abc.def%3D")
        await browser.view("/plain", {})

    using(tmp_path, site.public, both)
    assert site.cookies == ["__Secure-session_token=abc.def%3D", ""]


def test_the_http_client_keeps_no_cookie(tmp_path: Path, site: Site) -> None:
    async def twice(_browser: Browser, http: Http) -> None:
        await http.send("guarded-payload", path="/berths")
        await http.send("guarded-payload", path="/berths")

    using(tmp_path, site.public, twice)
    assert site.cookies == ["", ""]


@needs_browser
def test_a_server_that_is_not_trusted_gets_no_request(tmp_path: Path, site: Site) -> None:
    (tmp_path / "other").mkdir()
    other, _ = certificate(tmp_path / "other", NAME)
    distrusted = site.public.model_copy(update={"ca_file": str(other)})
    with pytest.raises(UnavailableError, match="certificate"):
        using(tmp_path, distrusted, lambda browser, _: browser.start())
    assert site.asked == []


@needs_browser
def test_it_leaves_nothing_behind(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "home").mkdir()
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setattr("acceptance.transports.browser._SHORT", Path(short))
        view(tmp_path, site, "/plain")
        assert list(Path(short).iterdir()) == []
    assert list((tmp_path / "tmp").iterdir()) == []
    assert list((tmp_path / "home").iterdir()) == []


# --- what the browser shows


@needs_browser
def test_an_answer_without_a_body_is_an_answer(tmp_path: Path, site: Site) -> None:
    seen = view(tmp_path, site, "/empty-error")
    assert seen.status == 500
    assert seen.url == "https://crm.example.test/empty-error"
    assert seen.failed_requests == ("HTTP 500 for GET https://crm.example.test/empty-error",)


@needs_browser
def test_leaving_for_another_host_is_seen_and_not_followed(tmp_path: Path, site: Site) -> None:
    seen = view(tmp_path, site, "/leaves")
    assert (seen.status, seen.url) == (302, "https://other.example.test/login")
    assert "ERR_NAME_NOT_RESOLVED" in seen.problem


@needs_browser
def test_a_page_that_goes_on_by_script_is_seen_where_it_stops(tmp_path: Path, site: Site) -> None:
    seen = view(tmp_path, site, "/moves/0")
    assert (seen.status, seen.url) == (200, "https://crm.example.test/plain")


@needs_browser
def test_a_redirect_loop_is_seen(tmp_path: Path, site: Site) -> None:
    seen = view(tmp_path, site, "/loop")
    assert seen.status == 302
    assert "ERR_TOO_MANY_REDIRECTS" in seen.problem


@needs_browser
def test_errors_are_told_once(tmp_path: Path, site: Site) -> None:
    seen = view(tmp_path, site, "/broken")
    assert seen.failed_requests == ("HTTP 404 for GET https://crm.example.test/missing.png",)
    assert [error.split(" (")[0] for error in seen.console_errors] == ["told"]
    (script,) = seen.script_errors
    assert "undefined" in script


@needs_browser
def test_a_page_that_does_not_finish_is_unknown(tmp_path: Path, site: Site) -> None:
    with pytest.raises(UnavailableError, match="did not finish it within 3 s"):
        view(tmp_path, site, "/hangs")


@needs_browser
def test_a_wrong_selector_is_named(tmp_path: Path, site: Site) -> None:
    with pytest.raises(UnavailableError, match=re.escape("'main >> tr' is no CSS selector")):
        view(tmp_path, site, "/plain", rows="main >> tr")


@needs_browser
def test_elements_are_described_as_they_are_drawn(tmp_path: Path, site: Site) -> None:
    names = ("logo", "blue", "clear", "hidden", "vector")
    seen = view(tmp_path, site, "/drawn", **{name: f"#{name}" for name in names})
    (logo,), (blue,), (clear,), (hidden,), (vector,) = (seen.elements[name] for name in names)
    assert (logo.width, logo.height, logo.natural_width, logo.natural_height) == (240, 64, 1, 1)
    assert logo.visible
    assert not drawn(logo)
    assert drawn(vector)
    assert not hidden.visible
    assert re.fullmatch(r"#[0-9a-f]{6}", blue.colours["background-color"])
    assert clear.colours["background-color"] == ""
    assert seen.picture.startswith(b"\x89PNG")


# --- which browser, and where names lead


def test_without_a_browser_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHROME", raising=False)
    monkeypatch.setattr("acceptance.transports.browser.PROGRAMS", ("no-such-browser",))
    with pytest.raises(UnavailableError, match="no Chromium or Chrome") as caught:
        executable()
    assert "apt-get install chromium" in caught.value.remedy
    monkeypatch.setenv("CHROME", str(tmp_path / "absent"))
    with pytest.raises(UnavailableError, match="is no program"):
        executable()
    monkeypatch.setenv("CHROME", "/bin/sh")
    assert executable() == "/bin/sh"


def test_no_other_name_is_resolved() -> None:
    endpoint = Endpoint(address="127.0.0.9", port=8443)
    rehearsed = name_rules(Public(name=NAME, connect_https=endpoint), ())
    assert rehearsed == f"MAP {NAME}:443 127.0.0.9:8443, MAP * ~NOTFOUND"
    real = name_rules(Public(name=NAME), ("fonts.example",))
    assert real == f"MAP * ~NOTFOUND, EXCLUDE fonts.example, EXCLUDE {NAME}"


def test_what_playwright_switches_off_stays_off(tmp_path: Path) -> None:
    said = tmp_path / "said"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {said}\n', encoding="utf-8")
    program.chmod(0o755)
    with sync_playwright() as playwright, pytest.raises(Error):
        playwright.chromium.launch(executable_path=program)
    (line,) = re.findall(r"^--disable-features=(.*)$", said.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(line.split(",")) - set(SWITCHED_OFF) == set()


# --- what is told from it

SOURCE = Source(where="https://crm.example.test/berths in Chromium", again="open it", picture="berths")


def rendered(**values: Any) -> Rendered:  # noqa: ANN401
    given: dict[str, Any] = {
        "asked": "/berths",
        "assumed": False,
        "path": "/berths",
        "http_status": 200,
        "hops": ("200 /berths",),
        "source": SOURCE,
    }
    return Rendered(**{**given, **values})


def guarded(*payloads: tuple[int, int], rows: int = 0, proven: bool | None = None) -> Guarded:
    return Guarded(
        page=rendered(path="/login"),
        at_login=True,
        payloads=tuple(Payload(kind="HTML", http_status=status, data=data) for status, data in payloads),
        rows=rows,
        proven=proven,
    )


def test_what_may_come_of_holding_back_is_no_failure() -> None:
    assert rendered(held_back=("POST /x",)).troubles() == ()
    assert rendered(script_errors=("boom",)).troubles() == ("boom",)
    assert rendered(failed_requests=("HTTP 404",), held_back=("POST /x",)).troubles() == ("HTTP 404",)
    with pytest.raises(UnavailableError, match="was held back"):
        rendered(script_errors=("Failed to fetch",), held_back=("POST /x",)).troubles()
    with pytest.raises(UnavailableError, match=r"pages\.elsewhere|does not name"):
        rendered(elsewhere=("GET https://fonts.example/a",)).troubles()


def test_an_assumed_page_that_is_not_there_is_unknown() -> None:
    assert rendered(http_status=404).status() == 404
    with pytest.raises(UnavailableError, match="assumed name not found"):
        rendered(http_status=404, assumed=True).status()


def test_an_assumed_trait_that_is_not_there_is_unknown() -> None:
    trait = Trait(key="pages.title", wanted="Brand", seen="Other", holds=False, assumed=False)
    assert not trait.judged()
    with pytest.raises(UnavailableError, match="assumed name not found"):
        trait.model_copy(update={"assumed": True}).judged()
    with pytest.raises(UnavailableError, match="does not say"):
        trait.model_copy(update={"wanted": None}).judged()


def test_no_data_is_believed_only_where_it_would_have_been_seen() -> None:
    assert guarded((307, 0), (307, 0)).is_empty()
    assert guarded((200, 0), (200, 0), proven=True).is_empty()
    assert not guarded((200, 3), (307, 0)).is_empty()
    assert not guarded((307, 0), (307, 0), rows=1).is_empty()
    with pytest.raises(UnavailableError, match="only a signed-in page shows"):
        guarded((200, 0), (200, 0)).is_empty()
    with pytest.raises(UnavailableError, match="matches the signed-in page"):
        guarded((307, 0), (307, 0), proven=False).is_empty()
    with pytest.raises(UnavailableError, match="did not answer"):
        guarded((502, 0), (502, 0)).answered()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("#0b3d5c", "#0b3d5c", True),
        ("#0b3d5c", "#0D3D5A", True),
        ("#0b3d5c", "#0b3d60", False),
        ("", "#0b3d5c", False),
        ("#0b3d5c", "", False),
    ],
)
def test_colours_are_compared_as_seen(one: str, other: str, same: bool) -> None:
    assert same_colour(one, other) is same


def test_the_default_expressions_find_rows_and_payloads() -> None:
    expressions = targets.Pages().data
    assert matches('<tr data-berth="1"><tr data-deal-id="2">', expressions) == 2
    assert matches(r'self.__next_f.push([1,"{\"berths\":[{\"id\":1}]}"])', expressions) == 1
    assert matches('{"berths": [{"id": 1}]}', expressions) == 1
    assert matches('<html id="__next_error__"><a href="/login">/login</a>{"berths":[]}', expressions) == 0


def test_a_logo_is_more_than_a_pixel() -> None:
    logo = Element(
        visible=True,
        text="",
        width=240,
        height=64,
        natural_width=240,
        natural_height=64,
        address="",
        colours={},
    )
    assert drawn(logo)
    assert not drawn(None)
    assert not drawn(logo.model_copy(update={"visible": False}))
    assert not drawn(logo.model_copy(update={"natural_width": 1, "natural_height": 1}))
    assert not drawn(logo.model_copy(update={"width": 0, "height": 0}))


# --- the run


@pytest.mark.user
@needs_browser
def test_without_approval_only_the_signed_in_pages_are_unknown(rehearsal: Rehearsal, tmp_path: Path) -> None:
    declared: Target = targets.load(rehearsal.target_file)
    look = matrix.Observer(declared, tmp_path, approved=()).look(["pages"])
    pages = look.facts["pages"]
    assert isinstance(pages, Pages)
    assert known(pages.login).page.http_status == 200
    assert known(pages.guarded).is_empty()
    assert isinstance(pages.berths, Unavailable)
    assert isinstance(pages.deal, Unavailable)
    assert pages.berths.reason == pages.deal.reason == "needs approval: sign-in"
    assert Pages.model_validate_json(pages.model_dump_json()) == pages


def test_without_a_browser_everything_else_is_still_told(
    rehearsal: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHROME", str(tmp_path / "absent"))
    declared = targets.load(rehearsal.target_file)
    look = matrix.Observer(declared, tmp_path, approved=()).look(["pages", "api"])
    assert isinstance(look.facts["pages"], Unavailable)
    assert "is no program" in look.facts["pages"].reason
    assert not isinstance(look.facts["api"], Unavailable)


# --- the reports


def with_picture(directory: Path) -> tuple[RunRecord, bytes]:
    """A run whose one item refers to a screenshot in its bundle."""
    png = branding.LOGO
    bundle = Bundle("selftest", "phase1_verify", Redactor(), directory, replay=False)
    shot = bundle.write_picture("berths", png)
    with recording() as evidence:
        verify(True, expected="berths", seen="12 berths", source=SOURCE)
    item = records.item("pages.berths", Outcome.PASS)
    check = item.checks[0].model_copy(update={"evidence": tuple(evidence)})
    run = records.run(item.model_copy(update={"checks": (check,)}))
    return run.model_copy(update={"screenshots": (shot,)}), png


def test_signoff_shows_the_screenshot_within_its_item(tmp_path: Path) -> None:
    record, png = with_picture(tmp_path)
    html = signoff.render(record, {"berths": png})
    (address,) = re.findall(r'<img src="([^"]*)"', html)
    assert address.startswith("data:image/png;base64,")
    assert 'alt="Screenshot of the page: berths"' in html


def test_signoff_shows_no_other_picture_than_the_records(tmp_path: Path) -> None:
    record, png = with_picture(tmp_path)
    assert "<img" not in signoff.render(record, {"berths": png + b"x"})
    assert "<img" not in signoff.render(record)


def test_the_bundle_holds_the_picture(tmp_path: Path) -> None:
    record, png = with_picture(tmp_path)
    (path,) = tmp_path.glob("selftest/*/" + record.screenshots[0].file)
    assert path.read_bytes() == png
