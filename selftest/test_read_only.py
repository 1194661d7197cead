"""A run without approvals changes nothing, and what is not declared never leaves this machine."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from websockets.asyncio.server import ServerConnection, serve

from acceptance import target
from acceptance.access import Access
from acceptance.errors import RefusedError, UnavailableError
from acceptance.facts.catalogue import NOUNS
from acceptance.guard import Approvals, Guard, declarations
from acceptance.guard.commands import NGINX_TEST, Command, call
from acceptance.guard.messages import CONNECT, Message
from acceptance.guard.requests import Request
from acceptance.ledger import Ledger
from acceptance.loop import Loop
from acceptance.secrets import Redactor, Secrets
from acceptance.sections.base import Endpoint
from acceptance.target import Target
from acceptance.transports.testinfra_backend import get_host
from rehearsal.client import Rehearsal
from rehearsal.services import postgres, s3
from rehearsal.site import HOSTNAME, Site
from selftest import matrix, snapshot, warm
from selftest.rehearsed import site_of

REPOSITORY = Path(__file__).parent.parent

FOOTPRINTS = {
    "a line in nginx's access log": ("host/var/log/nginx/access.log",),
    "a login in the authentication log, wtmp and lastlog": (
        "host/var/log/auth.log",
        "/var/log/wtmp",
        "/var/log/lastlog",
        "/run/utmp",
    ),
    "a line in the registry's access log": ("registry/registry.log",),
    "a line in the storage's and its proxy's access log": ("host/var/log/nginx/access.log", "s3/rclone.log"),
}
"""Where the rehearsal keeps what the declarations say is left behind; each of them may grow, nothing else."""


@pytest.fixture
def still(rehearsal: Rehearsal) -> Iterator[Rehearsal]:
    """The rehearsal without anybody else who writes."""
    rehearsal.container("crm-worker", "pause")
    try:
        yield rehearsal
    finally:
        rehearsal.container("crm-worker", "resume")


def declared(judged: Target) -> tuple[str, ...]:
    """Return the files that may grow, by the declared footprints; each is really declared."""
    left = [each.footprint for each in declarations(judged)]
    missing = [words for words in FOOTPRINTS if not any(words in footprint for footprint in left)]
    assert missing == []
    return tuple(path for paths in FOOTPRINTS.values() for path in paths)


GATE = ("readiness", "--stage", "5", "--watch", "2s")
"""The gate with the items of the four before it; so it looks at whatever any of them looks at."""


def test_a_run_without_approvals_leaves_only_the_declared_footprints(
    still: Rehearsal, tmp_path: Path
) -> None:
    judged = target.load(still.target_file)
    before = snapshot.take(still)
    where = ("--target", str(still.target_file), "--reports", str(tmp_path))
    done = warm.run("pytest", "-p", "no:cacheprovider", "-m", *GATE, "--no-approvals", *where)
    after = snapshot.take(still)
    outcomes = json.loads((tmp_path / "latest" / "verdict.json").read_text(encoding="utf-8"))["items"]
    assert sum(item["outcome"] == "pass" for item in outcomes) > 60, done.stdout
    looked_at = {path.stem for path in (tmp_path / "latest" / "facts").iterdir()}
    assert {name for check in matrix.checks() for name in matrix.nouns_of(check)} - looked_at == set()
    assert snapshot.differences(before, after, declared(judged)) == []
    assert "host/var/log/auth.log" in snapshot.differences(before, after)
    assert "host/var/log/nginx/access.log" in snapshot.differences(before, after)


# the proof itself must be able to fail


def _sql(site: Site, text: str) -> None:
    with psycopg.connect(postgres.superuser_dsn(site), autocommit=True) as connection:
        connection.execute(text.encode())


def _redis(site: Site, *command: str) -> None:
    with redis.Redis(site.address("redis"), password=site.credentials.redis_password) as client:
        client.execute_command(*command)


def _log(site: Site, change: Callable[[str], str]) -> None:
    path = site.host / "var/log/nginx/access.log"
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


Write = Callable[[Site], object]

WRITES: dict[str, tuple[str, Write, Write]] = {
    "a row": (
        "database pn_crm: public.ports",
        lambda site: _sql(site, "update ports set name = name || ' x' where id = 1"),
        lambda site: _sql(site, "update ports set name = replace(name, ' x', '') where id = 1"),
    ),
    "a table": (
        "database pn_crm: public.mischief",
        lambda site: _sql(site, "create table mischief (id integer)"),
        lambda site: _sql(site, "drop table mischief"),
    ),
    "a large object": (
        "database pn_crm: large objects",
        lambda site: _sql(site, "select lo_create(4711)"),
        lambda site: _sql(site, "select lo_unlink(4711)"),
    ),
    "a role": (
        "database pn_crm: roles",
        lambda site: _sql(site, "create role mischief"),
        lambda site: _sql(site, "drop role mischief"),
    ),
    "an object": (
        f"bucket {s3.BUCKET}: mischief",
        lambda site: s3.client(site).put_object(Bucket=s3.BUCKET, Key="mischief", Body=b"x"),
        lambda site: s3.client(site).delete_object(Bucket=s3.BUCKET, Key="mischief"),
    ),
    "a key": (
        "redis mischief",
        lambda site: _redis(site, "SET", "mischief", "x"),
        lambda site: _redis(site, "DEL", "mischief"),
    ),
    "a file": (
        "host/etc/nginx/conf.d/mischief.conf",
        lambda site: (site.nginx / "conf.d/mischief.conf").touch(),
        lambda site: (site.nginx / "conf.d/mischief.conf").unlink(),
    ),
    "a mode": (
        "host/opt/pn-crm/.env",
        lambda site: (site.deploy / ".env").chmod(0o644),
        lambda site: (site.deploy / ".env").chmod(0o600),
    ),
    "a log that is rewritten": (
        "host/var/log/nginx/access.log",
        lambda site: _log(site, lambda text: "x" + text),
        lambda site: _log(site, lambda text: text[1:]),
    ),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_deliberate_write_is_noticed(still: Rehearsal, write: str) -> None:
    name, do, undo = WRITES[write]
    site = site_of(still)
    before = snapshot.take(still)
    do(site)
    try:
        noticed = snapshot.differences(before, snapshot.take(still), declared(target.load(still.target_file)))
    finally:
        undo(site)
    assert name in noticed


# attempts to write

TOUCH = Command("touch", "touch /tmp/mischief", "mischief")
SHOUT = Message("shout", '42["shout"]', "mischief")
DELETE = Request("registry-delete", "DELETE", "/v2/.*", "mischief")


async def _open(access: Access, path: str) -> None:
    async with access.websocket.open(path):
        pass


async def _show(access: Access, name: str, method: str) -> None:
    access.guard.page(name, method, "/")


async def _inquire(access: Access) -> None:
    assert access.target.website is not None
    path = access.target.website.inquiry.path
    inquiry = b'{"name": "acceptance-0123456789abcdef"}'
    await access.site("website").send("test-inquiry", method="POST", path=path, content=inquiry)


Attempt = Callable[[Access], Awaitable[object]]

ATTEMPTS: dict[tuple[str, str], Attempt] = {
    ("ssh", "touch"): lambda access: access.host.run(call(TOUCH)),
    ("ssh", "nginx-test"): lambda access: access.host.run(
        call(NGINX_TEST, access.target.server.tools.nginx, access.target.nginx.config)
    ),
    ("ssh", "ssh-tunnel"): lambda access: access.host.forward("-R 1:localhost:1", 5432),
    ("http", "delete-berth"): lambda access: access.http.send(
        "delete-berth", method="DELETE", path="/api/public/berths/1"
    ),
    ("http", "berths"): lambda access: access.http.send("berths", method="DELETE", path="/api/public/berths"),
    ("http", "health-public"): lambda access: access.http.send("health-public", path="/api/public/other"),
    ("http", "intake-wrong-secret"): lambda access: access.http.send(
        "intake-wrong-secret", method="POST", path=access.target.api.intake, content=b'{"name": "x"}'
    ),
    ("http", "sign-in"): lambda access: access.http.send(
        "sign-in",
        method="POST",
        path="/api/auth/sign-in/email",
        content=b'{"email": "a@b.example", "password": "x"}',
    ),
    ("http", "test-inquiry"): _inquire,
    ("http", "gitea-version"): lambda access: access.site("gitea").send(
        "gitea-version", method="POST", path="/api/v1/version"
    ),
    ("dns", "A"): lambda access: access.dns.ask("elsewhere.example", "A"),
    ("ports", "every-port"): lambda access: access.ports.knock("every-port"),
    ("browser", "page-get"): lambda access: _show(access, "page-get", "DELETE"),
    ("postgres", "drop_everything"): lambda access: access.postgres.query("drop_everything"),
    ("postgres", "../../rehearsal/apps/crm/schema"): lambda access: access.postgres.query(
        "../../rehearsal/apps/crm/schema"
    ),
    ("redis", "SET"): lambda access: access.redis.send([("SET", "mischief", "x")]),
    ("s3", "PutObject"): lambda access: access.storage.send("PutObject", Key="mischief"),
    ("s3", "GetObject"): lambda access: access.storage.send("GetObject", Key="mischief"),
    ("websocket", "upgrade-request"): lambda access: _open(access, "/elsewhere/?EIO=4&transport=websocket"),
    ("registry", "registry-delete"): lambda access: access.registry._send(
        DELETE, "registry.example", "https://registry.example/v2/x/manifests/latest", {}, None
    ),
}


class Attempts:
    """A run's access to the rehearsal without approvals, and the ledger of what was tried."""

    def __init__(self, judged: Target, directory: Path) -> None:
        self._path = directory / "ledger.jsonl"
        self._ledger = Ledger(self._path, Redactor())
        guard = Guard(self._ledger, Approvals(), judged)
        self.access = Access(judged, Secrets(Redactor()), guard, self._ledger, NOUNS)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()]

    @property
    def refused(self) -> list[tuple[str, str]]:
        return [(line["transport"], line["name"]) for line in self.lines() if line["kind"] == "refused"]


def test_what_is_not_declared_is_refused_before_anything_leaves(still: Rehearsal, tmp_path: Path) -> None:
    tried = Attempts(target.load(still.target_file), tmp_path)

    async def all_of_them() -> list[BaseException | object]:
        try:
            return await asyncio.gather(
                *(attempt(tried.access) for attempt in ATTEMPTS.values()), return_exceptions=True
            )
        finally:
            await tried.access.close()

    before = snapshot.take(still)
    ends = asyncio.run(all_of_them())
    after = snapshot.take(still)
    reasons = dict(zip(ATTEMPTS, ends, strict=True))
    for which in (("ssh", "nginx-test"), ("http", "sign-in"), ("http", "test-inquiry")):
        assert isinstance(reasons[which], UnavailableError)
        assert str(reasons.pop(which)).startswith("needs approval: ")
    assert all(isinstance(end, RefusedError) for end in reasons.values()), reasons
    assert sorted(tried.refused) == sorted(ATTEMPTS)
    assert len(tried.lines()) == len(ATTEMPTS)
    assert snapshot.differences(before, after) == []


def test_a_message_that_is_not_declared_does_not_arrive(still: Rehearsal, tmp_path: Path) -> None:
    judged = target.load(still.target_file)
    arrived: list[str | bytes] = []

    async def listen(connection: ServerConnection) -> None:
        arrived.extend([message async for message in connection])

    async def talk() -> Attempts:
        address = f"{site_of(still).net}.99"
        async with serve(listen, address, 0, ssl=_server_tls(site_of(still))) as server:
            port = server.sockets[0].getsockname()[1]
            public = judged.public.model_copy(update={"connect_https": Endpoint(address=address, port=port)})
            tried = Attempts(judged.model_copy(update={"public": public}), tmp_path)
            async with tried.access.websocket.open("/socket.io/?EIO=4&transport=websocket") as (_, socket):
                assert socket is not None
                with pytest.raises(RefusedError, match="websocket: shout is not declared"):
                    await socket.send(SHOUT)
                await socket.send(CONNECT)
            await tried.access.close()
            return tried

    tried = asyncio.run(talk())
    assert arrived == ["40"]
    assert tried.refused == [("websocket", "shout")]


def _server_tls(site: Site) -> ssl.SSLContext:
    live = site.letsencrypt / "live" / HOSTNAME
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(live / "fullchain.pem", live / "privkey.pem")
    return context


def test_testinfra_runs_nothing_of_its_own(still: Rehearsal, tmp_path: Path) -> None:
    tried = Attempts(target.load(still.target_file), tmp_path)
    before = snapshot.take(still)
    loop = Loop()
    try:
        host = get_host(tried.access.host, loop)
        for command in ("touch /tmp/mischief", "systemctl restart nginx", "test -e %s; reboot"):
            with pytest.raises(RefusedError, match="is not declared"):
                host.run(command, "x")
    finally:
        loop.run(tried.access.close())
        loop.close()
    assert tried.refused == 3 * [("ssh", "testinfra")]
    assert "touch /tmp/mischief" in tried.lines()[0]["detail"]
    assert snapshot.differences(before, snapshot.take(still)) == []


CHECK = '''
import pytest

@pytest.mark.item("nginx.enabled")
def test_mischief(host):
    """A check that writes."""
    host.run("touch /tmp/mischief")
'''


def test_a_check_that_tries_to_write_is_unknown_and_in_the_ledger(still: Rehearsal, tmp_path: Path) -> None:
    (tmp_path / "test_mischief.py").write_text(CHECK, encoding="utf-8")
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["acceptance.plugin"]\n', encoding="utf-8")
    before = snapshot.take(still)
    warm.run(
        *("pytest", "-p", "no:cacheprovider", "-m", "phase1_verify"),
        *("--rootdir", str(REPOSITORY), "-c", str(REPOSITORY / "pytest.ini"), "--no-approvals"),
        *("--target", str(still.target_file), "--reports", str(tmp_path / "reports")),
        str(tmp_path / "test_mischief.py"),
    )
    bundle = tmp_path / "reports" / "latest"
    items = json.loads((bundle / "verdict.json").read_text(encoding="utf-8"))["items"]
    judged = next(item for item in items if item["id"] == "nginx.enabled")
    assert judged["outcome"] == "unknown"
    assert "is not declared" in judged["reason"]
    ledger = [json.loads(line) for line in (bundle / "ledger.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["kind"], line["name"]) for line in ledger] == [("refused", "testinfra")]
    assert snapshot.differences(before, snapshot.take(still)) == []
