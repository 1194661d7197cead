"""A rehearsal whose server shows secrets wherever it can, and markup with them."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
from psycopg.types.json import Jsonb

from rehearsal.client import Rehearsal, boot
from rehearsal.namespace import REPOSITORY
from rehearsal.runtime import clock
from rehearsal.services import documents, nginx, pki, postgres
from rehearsal.services.files import write
from rehearsal.site import APP, HOSTNAME, WORKER, Site
from selftest.canaries import forms, secret
from selftest.rehearsed import site_of

MARKUP = (
    "<script>fired()</script>",
    '"><img src=x onerror=fired()>',
    "</details></td></table><svg onload=fired()>",
    '<a href="javascript:fired()">x</a>',
    "]]></system-out><script>fired()</script>",
    "' onmouseover='fired()' x='",
    "--><iframe srcdoc='<script>parent.fired()</script>'>",
    "\u202egnp.exe\u2066 \x1b[2J\x1b]0;fired\x07 \x9b31m",
)
"""What acts on a page, a parser, a terminal or the eye. `fired` is what a browser under test listens for."""

SCRIPT, IMAGE, CLOSING, LINK, CDATA, HANDLER, FRAME, CONTROL = MARKUP
NUL = "\x00"
HALF = "\ud800"
"""Half of a character: JSON can say it, UTF-8 cannot."""

_SOURCES = (
    "environment",
    "log",
    "header",
    "body",
    "page",
    "console",
    "certificate",
    "row",
    "object",
    "label",
    "key",
    "nginx",
    "banner",
    "local",
    "website",
)
_GIVEN = (
    "intake_secret",
    "admin_password",
    "postgres_reader_password",
    "redis_password",
    "s3_access_key",
    "s3_secret_key",
    "gitea_token",
    "registry_token",
    "recaptcha_token",
)
_UNKNOWN = ("dsn", "bearer", "basic", "jwt", "pem", "cookie", "password", "intake header")


@dataclass(frozen=True)
class Planted:
    """What was planted.

    Attributes:
        given: secrets of the target's references; the suite knows them from the beginning.
        met: of variables whose names say so, and of signing in; it knows them once it has met them.
        unknown: secrets that only their place gives away.
    """

    given: dict[str, str]
    met: dict[str, str]
    unknown: dict[str, str]

    @property
    def all(self) -> dict[str, str]:
        """Every canary by its name."""
        return self.given | self.met | self.unknown

    @property
    def places(self) -> tuple[str, ...]:
        """Each unknown secret at a place that gives it away."""
        own = self.unknown
        jwt = f"eyJhbGciOiJIUzI1NiJ9.{base64.urlsafe_b64encode(own['jwt'].encode()).decode().rstrip('=')}"
        return (
            f"postgres://crm:{own['dsn']}@db:5432/crm",
            f"Authorization: Bearer {own['bearer']}",
            f"Basic {base64.b64encode(b'crm:' + own['basic'].encode()).decode()}",
            f"{jwt}.{own['jwt']}",
            f"Set-Cookie: session={own['cookie']}; Path=/",
            f'{{"password":"{own["password"]}"}}',
            f"X-Intake-Secret: {own['intake header']}",
            f"-----BEGIN PRIVATE KEY-----\\n{own['pem']}\\n-----END PRIVATE KEY-----",
        )

    @property
    def anchored(self) -> str:
        """The same in one line."""
        return " ".join(self.places)


def plan(site: Site) -> Planted:
    """Make up canaries, and name the rehearsal's own secrets as such."""
    names = (*_GIVEN, "root_password") if site.as_root else _GIVEN
    met = {name: secret() for name in (*_SOURCES, "session cookie", "session token")}
    met["passphrase"] = secret()
    met["odd"] = f"{secret(12)}p\"a'ss<&>%\\$ü/+={secret(9)}"
    return Planted(
        {name: (site.secrets / name).read_text(encoding="utf-8") for name in names},
        met,
        {name: secret() for name in _UNKNOWN},
    )


class _Answers(BaseHTTPRequestHandler):
    """Answers every request with what it brought, and with canaries."""

    protocol_version = "HTTP/1.1"
    server: Peer

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        secrets = [self.headers.get(name, "") for name in ("x-intake-secret", "cookie", "authorization")]
        brought = " ".join(filter(None, [*secrets, body]))
        path = urlsplit(self.path).path
        if self.server.refuses:
            self._refuse(path, brought)
        elif path == "/api/public/health":
            self._health(brought)
        elif path == "/api/auth/sign-in/email" and ".invalid" not in body:
            self._sign_in()
        elif self.command == "GET" and path.startswith(("/api/", "/socket.io")):
            form = list(forms(self.server.met["body"]).values())
            self._send(500, f"{form[next(self.server.turn) % len(form)]} {brought} {LINK}")
        elif self.command == "POST":
            code = f"{self.server.met['body']} {CLOSING}"
            self._send(401, json.dumps({"code": code, "message": brought}))
        else:
            self._send(200, self._page(brought), "text/html")

    def _refuse(self, path: str, brought: str) -> None:
        if path == "/api/public/berths":
            self.wfile.write(f"HTTP/1.1 200 OK\r\n{self.server.planted.anchored}\r\n\r\n".encode())
            self.close_connection = True
            return
        places = self.server.planted.places
        start = next(self.server.turn) % len(places)
        self._send(503, f"{brought} {' '.join(places[start:])} {IMAGE}", "text/html")

    def _health(self, brought: str) -> None:
        if brought:
            self._send(200, f"<p>{quote(brought, safe='')}</p>{IMAGE}", f"text/html; x={SCRIPT}")
            return
        state = {
            "status": f"{SCRIPT} {self.server.met['body']} {HALF}",
            "checks": {f"{IMAGE}{NUL}{HALF}": "no"},
        }
        self._send(200, json.dumps(state), "application/json")

    def _sign_in(self) -> None:
        known = self.server.met
        cookie = f"__Secure-better-auth.session_token={known['session cookie']}; Path=/; HttpOnly; Secure"
        self._send(200, json.dumps({"token": known["session token"]}), "application/json", cookie)

    def _page(self, brought: str) -> str:
        known = self.server.met
        told = json.dumps(f"{known['console']} {self.server.planted.anchored}").replace("</", "<\\/")
        return (
            f"<!DOCTYPE html><title>{known['page']} &lt;script>fired()&lt;/script></title>"
            f"<form><input type=email><input type=password><button>in</button></form><p>{brought}</p>"
            f"<img src='/missing/{known['page']}'>"
            f"<script>console.error({told}); throw new Error({told} + '<img src=x onerror=fired()>')</script>"
        )

    def _send(self, status: int, body: str, kind: str = "text/plain", cookie: str = "") -> None:
        data = body.encode()
        self.send_response(status)
        header = "x" if self.server.refuses else self.server.met["header"]
        token = self.server.planted.unknown["cookie"]
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.send_header("strict-transport-security", f"{header} {IMAGE}")
        self.send_header("location", f"javascript:fired()?{header}&token={token}")
        if cookie:
            self.send_header("set-cookie", cookie)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


class Peer(ThreadingHTTPServer):
    """A web server that shows what it should not.

    Args:
        planted: what it shows.
        certificate: file with certificate, chain and key; None for plain HTTP.
        refuses: whether it fails every request, telling why.
    """

    daemon_threads = True

    def __init__(self, planted: Planted, certificate: Path | None, *, refuses: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.planted = planted
        self.met = planted.met
        self.refuses = refuses
        self.turn = iter(range(10**9))
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away."""

    @property
    def endpoint(self) -> str:
        """Where it is, as a target file says it."""
        return f'{{ address = "127.0.0.1", port = {self.server_address[1]} }}'


_DOCKER = """\
#!{python} -IS
import json, subprocess, sys
plant = {plant!r}
arguments = sys.argv[1:]
if arguments[0] != "inspect":
    sys.exit(subprocess.run([{docker!r}, *arguments]).returncode)
done = subprocess.run([{docker!r}, *arguments], stdout=subprocess.PIPE)
found = json.loads(done.stdout)
for one in found:
    service = one["Config"]["Labels"]["com.docker.compose.service"]
    if service == {app!r}:
        one["Config"]["Env"] += plant["env"]
    if service == {website!r}:
        one["Config"]["Env"] += plant["website"]
    if service == {worker!r}:
        one["Config"]["Image"] = plant["image"]
        one["State"]["Status"] = plant["state"]
    one["Config"]["Labels"].update(plant["labels"])
    one["Name"] += plant["name"]
    one["Mounts"].append(dict(Type="volume", Name=plant["mount"], Destination=plant["mount"]))
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Hostile:
    """A rehearsal with hostile peers, described twice.

    Attributes:
        showing: the target file of a server that answers, and shows secrets.
        refusing: of one that fails whatever is asked, and shows secrets doing so.
        text: a file with canaries and markup, for checks that break.
    """

    planted: Planted
    showing: Path
    refusing: Path
    text: Path


@contextmanager
def hostile() -> Iterator[Hostile]:
    """Boot a rehearsal and plant canaries and markup everywhere."""
    with boot(lambda _line: None) as rehearsal:
        site = site_of(rehearsal)
        planted = plan(site)
        certificate = _certificate(site, planted)
        _plant_in_files(site, planted)
        _plant_in_database(site, planted)
        _plant_in_log(site, planted)
        rehearsal.program("sshd", "restart")
        with (
            Peer(planted, certificate, refuses=False) as shows,
            Peer(planted, None, refuses=False) as plain,
            Peer(planted, certificate, refuses=True) as refuses,
        ):
            tools = _showing_tools(site, planted), _refusing_tools(site, planted)
            yield Hostile(
                planted,
                _target(rehearsal, "showing", tools[0], shows, plain),
                _target(rehearsal, "refusing", tools[1], refuses, refuses),
                write(site.root / "text", _text(planted)),
            )
            for peer in (shows, plain, refuses):
                peer.shutdown()


def _text(planted: Planted) -> str:
    told = [f"{name}: {form}" for name, form in forms(planted.met["local"]).items()]
    return "\n".join([*told, planted.anchored, *MARKUP, *planted.given.values(), *planted.met.values()])


def _certificate(site: Site, planted: Planted) -> Path:
    """Issue what the peers serve, put it into the lineage too, and return it with its key."""
    names = [f"{planted.met['certificate']}<i>", HOSTNAME, f"{IMAGE}.test", "registry.portnimara.test"]
    issued = pki.issue(site, [*names, "s3.portnimara.test"], days_left=5)
    pki.install(site, issued)
    renewal, told = pki.renewal_file(site), f"= {planted.met['certificate']} {CDATA}\n"
    renewal.write_text(renewal.read_text("utf-8").replace("= nginx\n", told), "utf-8")
    return write(site.root / "peer.pem", issued.cert_pem + issued.chain_pem + issued.key_pem, mode=0o600)


def _plant_in_files(site: Site, planted: Planted) -> None:
    known = planted.met
    lines = [f"{name.upper().replace(' ', '_')}_TOKEN={known[name]}" for name in _SOURCES]
    lines.append(f"NEXT_PRIVATE_SIGNING_PASSPHRASE={known['passphrase']}")
    with (site.deploy / ".env").open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    own = site.nginx / "sites-enabled" / "<img src=x onerror=fired()>.conf"
    directive = f'"{CLOSING.replace(chr(34), "")} {known["nginx"]}" {shlex.quote(planted.anchored)};'
    own.write_text(f'server {{\n  server_name "{known["nginx"]}{NUL}";\n  {directive}\n}}\n', "utf-8")
    vhost = nginx.vhost(site)
    proxy = f'proxy_set_header X-Real-IP "{known["nginx"]} {SCRIPT}";'
    text = vhost.read_text("utf-8").replace("proxy_set_header X-Real-IP $remote_addr;", proxy)
    vhost.write_text(text, "utf-8")
    banner = write(site.host / "etc" / "banner", f"{known['banner']} {planted.anchored} {IMAGE}\n")
    with documents.plan(site).open("a", encoding="utf-8") as file:
        file.write("\n".join([*planted.places, *known.values(), *planted.given.values()]) + "\n")
    with (site.host / "etc/ssh/sshd_config").open("a", encoding="utf-8") as file:
        file.write(f"Banner {banner}\n")


def _plant_in_database(site: Site, planted: Planted) -> None:
    with psycopg.connect(postgres.superuser_dsn(site)) as connection:
        value = Jsonb(f"{planted.met['row']} {planted.anchored} {SCRIPT}")
        connection.execute("update system_settings set value = %s where key = 'storage_backend'", (value,))
        connection.execute(
            "update stored_files set key = %s || key where id = (select min(id) from stored_files)",
            (f"{planted.met['object']}/{IMAGE}/",),
        )


def _plant_in_log(site: Site, planted: Planted) -> None:
    """Append errors to the application's log, with a secret in each of its forms."""
    (log,) = (site.containers / APP).glob("*/*-json.log")
    texts = [f'error: column "x{form}" does not exist' for form in forms(planted.met["log"]).values()]
    told = [f"unhandledRejection: {planted.anchored} {markup}" for markup in MARKUP]
    met = planted.met
    refused = f"ECONNREFUSED {planted.given['intake_secret']} {met['odd']} {met['passphrase']} {NUL} {HALF}"
    with log.open("a", encoding="utf-8") as file:
        for text in [*texts, *told, refused]:
            entry = {"log": f"{text}\n", "stream": "stderr", "time": clock.short(clock.now())}
            file.write(json.dumps(entry) + "\n")


def _showing_tools(site: Site, planted: Planted) -> dict[str, str]:
    known = planted.met
    plant = {
        "env": [
            f"ODD_PASSWORD={known['odd']}",
            *(f"{name.upper().replace(' ', '_')}_TOKEN={known[name]}" for name in _SOURCES),
            f"{known['key']}_{IMAGE}=1",
            f"PLAIN=https://crm:{known['environment']}@host/ {SCRIPT}",
        ],
        "website": [
            f"WEBSITE_TOKEN={known['website']}",
            f"CRM_INTAKE_URL=https://x:{known['website']}@crm.test",
        ],
        "image": f"registry.test/{known['label']}/{IMAGE}:latest",
        "state": f"{known['label']} {CDATA} {HALF}",
        "labels": {f"{known['key']} {SCRIPT}": known["label"]},
        "name": IMAGE + known["label"],
        "mount": f"/{known['key']}{CLOSING}",
    }
    docker = site.host / "usr/bin/docker"
    script = _DOCKER.format(
        python=sys.executable, plant=plant, docker=str(docker), app=APP, worker=WORKER, website="website"
    )
    return {"docker": str(write(docker.with_name("docker-showing"), script, mode=0o755))}


def _refusing_tools(site: Site, planted: Planted) -> dict[str, str]:
    said = f"{planted.given['intake_secret']} {planted.anchored} {' '.join(MARKUP)}"
    scripts = {
        "docker": f"printf '%s\\n' {shlex.quote(said)} >&2; exit 1",
        "systemctl": f"printf '%s\\n' {shlex.quote(said)}; exit 1",
        "su": f'read -r password; echo "su: no, $password {IMAGE.replace(chr(34), "")}" >&2; exit 1',
    }
    directory = site.host / "usr/bin"
    return {
        tool: str(write(directory / f"{tool}-refusing", f"#!/bin/sh\n{script}\n", mode=0o755))
        for tool, script in scripts.items()
    }


def _target(rehearsal: Rehearsal, name: str, tools: dict[str, str], secure: Peer, plain: Peer) -> Path:
    text = rehearsal.target_file.read_text(encoding="utf-8")
    table = re.findall(r"^tools = \{ (.*) \}$", text, re.MULTILINE)[0]
    kept = [entry for entry in table.split(", ") if entry.split(" = ")[0] not in tools]
    written = ", ".join([*kept, *(f"{tool} = {json.dumps(path)}" for tool, path in tools.items())])
    text = re.sub(r"^tools = .*$", lambda _: f"tools = {{ {written} }}", text, flags=re.MULTILINE)
    text = re.sub(r"^connect_https = .*$", f"connect_https = {secure.endpoint}", text, flags=re.MULTILINE)
    text = re.sub(r"^connect_http = .*$", f"connect_http = {plain.endpoint}", text, flags=re.MULTILINE)
    if secure.refuses:
        text = re.sub(r"^connect = .*$", f"connect = {secure.endpoint}", text, flags=re.MULTILINE)
    return write(rehearsal.target_file.with_name(f"{name}.toml"), text, mode=0o600)


_BREAKS = '''\
"""Checks that are mistakes, with secrets in hand."""

import logging
import sys
import warnings
from pathlib import Path

import pytest

TEXT = Path(__TEXT__).read_text(encoding="utf-8")


@pytest.fixture
def talkative():
    told = TEXT
    print(told)
    yield told
    print(told, file=sys.stderr)


@pytest.fixture
def broken():
    told = TEXT
    raise RuntimeError(told)


@pytest.mark.item("nginx.valid")
def test_exception(talkative, containers, nginx):
    """It breaks."""
    local = {"told": talkative}
    print(local, containers, nginx)
    logging.getLogger("some.library").warning("told %s", talkative)
    warnings.warn(talkative, stacklevel=1)
    try:
        raise OSError(talkative)
    except OSError as error:
        raise RuntimeError(talkative, local) from error


@pytest.mark.item("nginx.valid")
def test_difference(talkative):
    """It compares."""
    assert {"told": talkative} == {"told": talkative[:-3] + "x"}


@pytest.mark.item("nginx.valid")
def test_setup(broken):
    """It does not get so far."""


@pytest.mark.item("nginx.valid")
@pytest.mark.parametrize("value", __MARKUP__)
def test_id(value):
    """<script>fired()</script>"><img src=x onerror=fired()>"""
    raise ValueError(value)
'''

_MISTAKE = """\
from pathlib import Path

def pytest_runtest_logreport(report):
    if "test_id" not in report.nodeid:
        return
    told = Path(__TEXT__).read_text(encoding="utf-8")
    raise RuntimeError(told)
"""


@dataclass(frozen=True)
class Outcome:
    """What a run left: its exit code, what it printed, and every file that it wrote."""

    code: int
    output: str
    directory: Path

    @property
    def bundle(self) -> Path:
        """The run's directory."""
        return (self.directory / "reports" / "latest").resolve()


@dataclass(frozen=True)
class Runs:
    """Runs of the whole gate against a hostile rehearsal.

    Attributes:
        showing: as verbose as pytest can be, with checks that break.
        refusing: plain.
        broken: with the output of checks that break as they print it, ended by a mistake in a plugin.
        killed: as soon as it had written a fact.
    """

    planted: Planted
    showing: Outcome
    refusing: Outcome
    broken: Outcome
    killed: Outcome


_MEETING = ("tests/verify/test_containers.py", "tests/verify/test_realtime.py")
"""Tests whose facts make every secret known."""


@contextmanager
def runs(directory: Path) -> Iterator[Runs]:
    """Run the gate against a hostile rehearsal in each way, all at the same time."""
    with hostile() as place:
        checks = write(directory / "checks" / "test_mistakes.py", _filled(_BREAKS, place.text))
        write(directory / "plugins" / "mistaken.py", _filled(_MISTAKE, place.text))
        wordy = ("-vv", "--showlocals", "--tb=long", "-rA", "--durations=3", "--log-cli-level=DEBUG")
        files = directory / "showing"
        own = (f"--log-file={files}/own.log", "--log-file-level=DEBUG", f"--junitxml={files}/own.xml")
        ways = {
            "showing": (place.showing, (*wordy, *own, "tests", str(checks))),
            "refusing": (place.refusing, ()),
            "broken": (
                place.showing,
                ("-s", "--full-trace", *wordy, "-p", "mistaken", *_MEETING, str(checks)),
            ),
            "killed": (place.showing, ("--watch", "10m")),
        }
        begun = {name: _begun(directory, name, target, options) for name, (target, options) in ways.items()}
        _kill(directory / "killed", begun["killed"])
        ended = {name: _ended(directory / name, process) for name, process in begun.items()}
        yield Runs(place.planted, **ended)


def _filled(template: str, text: Path) -> str:
    return template.replace("__TEXT__", repr(str(text))).replace("__MARKUP__", repr(list(MARKUP)))


def _begun(directory: Path, name: str, target: Path, options: tuple[str, ...]) -> subprocess.Popen[str]:
    (directory / name).mkdir(parents=True)
    gate = ("-m", "readiness", "--target", str(target), "--reports", str(directory / name / "reports"))
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *gate, *options],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(directory / "plugins")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def _kill(directory: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 100
    while not list(directory.glob("reports/latest/facts/*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()


def _ended(directory: Path, process: subprocess.Popen[str]) -> Outcome:
    output, _ = process.communicate(timeout=120)
    return Outcome(process.returncode, output, directory)
