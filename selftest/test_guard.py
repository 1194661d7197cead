"""Everything that may be sent is declared, printed, and refused otherwise; approvals count once."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import secrets
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from acceptance import cli, target
from acceptance.errors import RefusedError, UnavailableError, UsageError
from acceptance.facts.base import Unavailable
from acceptance.facts.catalogue import NOUNS, actions_of
from acceptance.guard import (
    Approvals,
    Guard,
    actions,
    declarations,
    declared_actions,
    declared_commands,
    declared_requests,
    messages,
    queries,
    root_helper,
    sql_role,
)
from acceptance.guard.approvals import asked
from acceptance.guard.commands import (
    CONTAINERS_INSPECT,
    IMAGES_INSPECT,
    NGINX_INCLUDES,
    NGINX_TEST,
    NGINX_TREE,
    Call,
    Command,
    call,
)
from acceptance.guard.messages import Message
from acceptance.ledger import Ledger
from acceptance.secrets import Redactor
from acceptance.target import Server, Target
from acceptance.transports.ssh import SshHost
from rehearsal.client import Rehearsal, boot
from rehearsal.services import postgres
from selftest import matrix, warm
from selftest.matrix import Observer
from selftest.rehearsed import site_of

REPOSITORY = Path(__file__).parent.parent
PRODUCTION = target.load(target.path_of("production"))

DOCKER = "<docker>"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="sudo needs the namespace that root's rehearsal has")


class Book:
    """A ledger in a file, and what it says."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "ledger.jsonl"
        self.ledger = Ledger(self._path, Redactor())

    def lines(self, kind: str = "") -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if kind in ("", line["kind"])]


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path)


def guard_of(book: Book, *approved: str) -> Guard:
    return Guard(book.ledger, Approvals(approved, "Ada", "OPS-7"), PRODUCTION)


# the declarations


def test_each_declaration_says_what_why_and_what_it_leaves_behind() -> None:
    listed = declarations(PRODUCTION)
    for each in listed:
        assert all((each.transport, each.name, each.sends, each.privilege, each.purpose, each.footprint)), (
            each
        )
    names = [(each.transport, each.name) for each in listed]
    assert len(names) == len(set(names))


def test_each_action_is_declared_and_does_something() -> None:
    used = {command.action for command in declared_commands()}
    used |= {request.action for request in declared_requests().values()}
    assert used - {""} == set(declared_actions())
    assert set(actions_of(NOUNS)) == set(declared_actions())
    assert actions_of(["pages"]) == ("sign-in",)


def test_each_query_says_what_it_is_for_and_what_it_reads() -> None:
    for query in queries.declared().values():
        assert query.purpose, query.name
        assert query.footprint, query.name
        tables = set(re.findall(r"(?:from|join) \{(\w+)\}", query.text))
        assert bool(tables) == bool(query.needs), query.name


# the guard


@pytest.mark.parametrize(
    "wrong",
    [
        Call(Command("rm", "rm -rf /tmp/x", "mischief")),
        Call(replace(NGINX_TREE, script="touch /tmp/x"), ("/etc/nginx", "/etc/letsencrypt")),
        call(NGINX_TREE, "/root", "/etc/letsencrypt"),
        call(NGINX_TREE, "/etc/nginx"),
        call(CONTAINERS_INSPECT, "/tmp/docker", "pn-crm"),
    ],
)
def test_a_command_that_is_not_declared_is_refused(book: Book, wrong: Call) -> None:
    with pytest.raises(RefusedError, match=rf"^ssh: {wrong.command.name}.* is not declared"):
        guard_of(book, *actions()).command(wrong)
    assert [line["name"] for line in book.lines("refused")] == [wrong.command.name]


def test_a_declared_command_passes(book: Book) -> None:
    assert guard_of(book).command(call(NGINX_TREE, "/etc/nginx", "/etc/letsencrypt")) == "read"
    assert book.lines() == []


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("page-get", ("GET", "/login", None, "https")),
        ("delete-berth", ("DELETE", "/api/public/berths", None, "https")),
        ("berths", ("DELETE", "/api/public/berths", None, "https")),
        ("berths", ("GET", "/api/public/berths/1", None, "https")),
        ("berths", ("GET", "/api/public/berths", b"{}", "https")),
        ("berths", ("GET", "/api/public/berths", None, "http")),
        ("intake-wrong-secret", ("POST", "/api/public/website-inquiries", b'{"name": "x"}', "https")),
        ("intake-wrong-secret", ("POST", "/api/admin/users", b"{}", "https")),
        ("sign-in-wrong-password", ("POST", "/api/auth/sign-in/email", b'{"email": "a@b.com"}', "https")),
    ],
)
def test_a_request_that_is_not_declared_is_refused(book: Book, name: str, sent: tuple[Any, ...]) -> None:
    method, path, content, scheme = sent
    with pytest.raises(RefusedError, match=f"^http: {name} {method}"):
        guard_of(book, *actions()).request(name, method, path, content=content, scheme=scheme)
    assert [line["name"] for line in book.lines("refused")] == [name]


def test_websockets_are_opened_and_spoken_to_as_declared_only(book: Book) -> None:
    guard = guard_of(book)
    guard.upgrade("/socket.io/?EIO=4&transport=websocket")
    guard.message(messages.PROBE)
    with pytest.raises(RefusedError, match="upgrade-request /elsewhere/"):
        guard.upgrade("/elsewhere/?EIO=4&transport=websocket")
    with pytest.raises(RefusedError, match="shout"):
        guard.message(Message("shout", '42["shout"]', "mischief"))
    assert [line["name"] for line in book.lines("refused")] == ["upgrade-request", "shout"]


# approvals

TEST_NGINX = call(NGINX_TEST, "/usr/sbin/nginx", "/etc/nginx/nginx.conf")


def test_without_approval_nothing_passes_and_the_reason_says_so(book: Book) -> None:
    with pytest.raises(UnavailableError, match="needs approval: nginx-test"):
        guard_of(book, "sign-in").command(TEST_NGINX)
    assert [line["result"] for line in book.lines("refused")] == ["needs approval: nginx-test"]


def test_an_approval_counts_once(book: Book) -> None:
    guard = guard_of(book, "nginx-test")
    assert guard.command(TEST_NGINX) == "mutation"
    with pytest.raises(RefusedError, match="more than the approval of nginx-test covers"):
        guard.command(TEST_NGINX)
    assert [line["name"] for line in book.lines("refused")] == ["nginx-test"]


def test_who_approved_is_in_the_ledger_before_anything_is_done(book: Book) -> None:
    guard_of(book, "sign-in")
    assert [(line["name"], line["detail"], line["result"]) for line in book.lines("approval")] == [
        ("sign-in", "for production", "Ada; ticket OPS-7")
    ]


def test_what_is_no_action_cannot_be_approved(book: Book) -> None:
    with pytest.raises(UsageError, match="--approve reboot: there is no such action; use one of nginx-test"):
        guard_of(book, "reboot")


@pytest.mark.parametrize(("typed", "granted"), [("sign-in", True), ("", False), ("yes", False), ("y", False)])
def test_an_action_is_approved_by_typing_its_name(typed: str, granted: bool) -> None:
    questions: list[str] = []

    def ask(question: str) -> str:
        questions.append(question)
        return typed

    assert asked([("sign-in", "sign in once")], "production", ask) == (("sign-in",) if granted else ())
    assert "production" in questions[0]


GATE = ("pytest", "-p", "no:cacheprovider", "-m", "phase1_verify")


def test_approving_and_approving_nothing_contradict_each_other(tmp_path: Path) -> None:
    both = ("--approve", "sign-in", "--no-approvals", "--reports", str(tmp_path))
    done = warm.run(*GATE, *both)
    assert done.returncode == 4
    assert "contradict" in done.stdout + done.stderr


@pytest.fixture(scope="module")
def rehearsal() -> Iterator[Rehearsal]:
    """A rehearsal of its own: the database role that is made here would show in others' schema checks."""
    with boot(lambda _line: None) as booted:
        yield booted


def other_target(
    rehearsal: Rehearsal, directory: Path, change: Callable[[str], str], name: str = "staging"
) -> Path:
    text = rehearsal.target_file.read_text(encoding="utf-8")
    path = directory / f"{name}.toml"
    path.write_text(change(text), encoding="utf-8")
    return path


def not_a_rehearsal(text: str) -> str:
    return text.replace('name = "rehearsal"\nrehearsal = true\n', 'name = "staging"\n')


def test_an_approval_is_recorded_with_its_approver_and_ticket(rehearsal: Rehearsal, tmp_path: Path) -> None:
    judged = other_target(rehearsal, tmp_path, not_a_rehearsal)
    words = ("--approve", "nginx-test", "--approved-by", "Ada Lovelace", "--ticket", "OPS-7")
    warm.run(*GATE, "-k", "test_nginx", "--target", str(judged), "--reports", str(tmp_path), *words)
    bundle = (tmp_path / "latest").resolve()
    verdict = json.loads((bundle / "verdict.json").read_text(encoding="utf-8"))
    assert (verdict["approved"], verdict["approved_by"], verdict["ticket"]) == (
        ["nginx-test"],
        "Ada Lovelace",
        "OPS-7",
    )
    record = json.loads((bundle / "record.json").read_text(encoding="utf-8"))
    assert (record["approved_by"], record["ticket"]) == ("Ada Lovelace", "OPS-7")
    page = (bundle / "signoff.html").read_text(encoding="utf-8")
    assert "nginx-test (Ada Lovelace), ticket OPS-7" in page
    ledger = (bundle / "ledger.jsonl").read_text(encoding="utf-8")
    assert '"kind": "approval", "name": "nginx-test"' in ledger
    assert ledger.count('"kind": "mutation"') == 1


@pytest.mark.parametrize("name", [(), ("--approved-by", " ")])
def test_nothing_is_approved_for_a_real_target_by_nobody(tmp_path: Path, name: tuple[str, ...]) -> None:
    reports = tmp_path / "reports"
    words = ("--target", "production", "--approve", "sign-in", "--reports", str(reports), *name)
    done = warm.run(*GATE, *words)
    assert done.returncode == 4
    assert done.stderr.splitlines() == [
        "ERROR: --approve sign-in: production is no rehearsal; say who approved it with --approved-by NAME.",
        "",
    ]
    assert not reports.exists()


def test_on_a_terminal_each_action_that_is_needed_is_asked_for(rehearsal: Rehearsal, tmp_path: Path) -> None:
    judged = other_target(rehearsal, tmp_path, not_a_rehearsal)
    where = ("--target", str(judged), "--reports", str(tmp_path))
    shown = at_a_terminal(
        [sys.executable, "-m", *GATE, "-k", "test_nginx", *where],
        {"Type nginx-test to approve it for staging": "nginx-test\n"},
    )
    assert "Type sign-in" not in shown
    verdict = json.loads((tmp_path / "latest" / "verdict.json").read_text(encoding="utf-8"))
    assert verdict["approved"] == ["nginx-test"]
    assert verdict["approved_by"] == "the operator at the terminal"


def at_a_terminal(command: list[str], answers: dict[str, str]) -> str:
    """Run a command on a terminal of its own, answer what it asks, and return what it showed."""
    master, slave = pty.openpty()
    process = subprocess.Popen(command, cwd=REPOSITORY, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    shown = ""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if not select.select([master], [], [], 1)[0]:
            continue
        try:
            shown += os.read(master, 65536).decode("utf-8", errors="replace")
        except OSError:
            break
        for question in [question for question in answers if question in shown]:
            os.write(master, answers.pop(question).encode())
    os.close(master)
    process.wait(timeout=30)
    assert not answers, shown
    return shown


# what is printed


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["commands", *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("form", [(), ("--markdown",)])
def test_the_list_holds_every_declaration(capsys: pytest.CaptureFixture[str], form: tuple[str, ...]) -> None:
    text = printed(capsys, "--target", "production", *form)
    for each in declarations(PRODUCTION):
        assert each.name in text
        assert all(line.rstrip() in text for line in each.sends.splitlines())
        assert each.purpose.replace("|", r"\|" if form else "|") in text
    assert "--approve nginx-test" in text
    assert "HEAD https://code.letsbe.solutions/v2/letsbe/pn-new-crm/crm-app/manifests/latest" in text


def test_printing_resolves_no_secret(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    trap = tmp_path / "resolved"
    text = target.path_of("production").read_text(encoding="utf-8")
    judged = tmp_path / "trapped.toml"
    judged.write_text(re.sub(r'"env:PN_\w+"', f'"cmd:touch {trap}"', text), encoding="utf-8")
    for form in ([], ["--markdown"], ["--sudoers"], ["--root-helper"], ["--sql-role"]):
        printed(capsys, "--target", str(judged), *form)
    assert not trap.exists()


def test_a_run_does_nothing_that_the_list_lacks(rehearsal: Rehearsal, tmp_path: Path) -> None:
    judged = target.load(rehearsal.target_file)
    Observer(judged, tmp_path).look(NOUNS)
    listed = {
        ("ssh" if each.transport == "testinfra" else each.transport, each.name)
        for each in declarations(judged)
    }
    book = Book(tmp_path)
    done = {(line["transport"], line["name"]) for line in book.lines("read") + book.lines("mutation")}
    assert done <= listed
    assert {transport for transport, _ in done} >= {
        "ssh",
        "http",
        "tls",
        "websocket",
        "postgres",
        "redis",
        "s3",
    }


# least privilege on the server


def with_helper(text: str, path: Path) -> str:
    privilege = f'privilege = {{ method = "sudo", helper = "{path}" }}'
    return re.sub(r"privilege = \{.*\}", privilege, text)


@pytest.fixture(scope="module")
def helped(rehearsal: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Target:
    """The rehearsal with the printed helper and the printed sudoers installed."""
    site = site_of(rehearsal)
    path = site.root / "pn-acceptance-read"
    directory = tmp_path_factory.mktemp("helped")
    judged = target.load(other_target(rehearsal, directory, lambda text: with_helper(text, path)))
    path.write_text(root_helper.script(judged), encoding="utf-8")
    path.chmod(0o755)
    rule = directory / "pn-acceptance"
    rule.write_text(root_helper.sudoers(judged), encoding="utf-8")
    rule.chmod(0o440)
    subprocess.run(["visudo", "-c", "-f", str(rule)], check=True, capture_output=True)
    installed = site.state / "etc" / "sudoers.d" / rule.name
    installed.write_bytes(rule.read_bytes())
    installed.chmod(0o440)
    return judged


@as_root
def test_the_helper_is_enough_for_every_privileged_fact(helped: Target, tmp_path: Path) -> None:
    on_the_server = [name for name, noun in NOUNS.items() if noun.host and not matrix.of_documenso(noun)]
    look = Observer(helped, tmp_path).look(["watch", *on_the_server])
    assert not [fact for fact in look.facts.values() if isinstance(fact, Unavailable)]
    book = Book(tmp_path)
    names = {line["name"] for line in book.lines("read")}
    assert {command.name for command in root_helper.reads(helped)} <= names
    assert "ssh-root" not in names
    named_files = look.facts["nginx"].model_dump()["named_files"]
    assert named_files["state"] == "known"
    assert look.facts["ssh_login"].model_dump()["root"]["value"]["uid"] == 0


def test_the_helper_holds_nothing_that_reads_any_file() -> None:
    assert NGINX_INCLUDES.privileged
    assert NGINX_INCLUDES not in root_helper.reads(PRODUCTION)
    assert f"\n{NGINX_INCLUDES.name})" not in root_helper.script(PRODUCTION)


def answer(server: Server, call_: Call) -> str:
    """Return why a call over SSH has no answer; empty if it has one."""

    async def go() -> str:
        async with SshHost(server, password=str, authorise=lambda _call: None) as host:
            try:
                await host.run(call_)
            except UnavailableError as error:
                return error.reason
            return ""

    return asyncio.run(go())


@as_root
@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        (Command("touch", "touch /tmp/x", "mischief", privileged=True), ("/tmp/x",), "is no declared read"),
        (NGINX_TEST, ("/usr/sbin/nginx", "/tmp/evil.conf"), "is no declared read"),
        (CONTAINERS_INSPECT, ("/tmp/evil", "pn-crm"), "may not be asked about /tmp/evil"),
        (CONTAINERS_INSPECT, (), "takes 2 arguments"),
        (IMAGES_INSPECT, (DOCKER, "--help"), "may not be asked about --help"),
        (IMAGES_INSPECT, (DOCKER, f"sha256:{64 * 'a'}\n--help"), "holds a line break"),
        (replace(CONTAINERS_INSPECT, name="x;touch /tmp/x"), (), "is no declared read"),
    ],
)
def test_the_helper_refuses_everything_else(
    helped: Target, command: Command, arguments: tuple[str, ...], said: str
) -> None:
    given = [helped.server.tools.docker if argument == DOCKER else argument for argument in arguments]
    assert said in answer(helped.server, call(command, *given))


@as_root
def test_sudo_allows_the_login_nothing_but_this_very_helper(helped: Target) -> None:
    asked_ = call(CONTAINERS_INSPECT, helped.server.tools.docker, helped.compose.project)
    path = Path(str(helped.server.privilege.helper))
    privilege = helped.server.privilege.model_copy(update={"helper": "/bin/sh"})
    assert "password is required" in answer(helped.server.model_copy(update={"privilege": privilege}), asked_)
    printed_ = path.read_bytes()
    try:
        path.write_bytes(printed_ + b"# changed\n")
        assert "no root privilege for containers-inspect: sudo: " in answer(helped.server, asked_)
    finally:
        path.write_bytes(printed_)
    assert answer(helped.server, asked_) == ""


# least privilege in the database

ROLE = "selftest_reader"

WRITES = (
    "insert into ports default values",
    "update ports set id = id",
    "delete from ports",
    "create table mischief (id integer)",
    "create temporary table mischief (id integer)",
    "create schema mischief",
    "select lo_create(0)",
    "select lo_creat(-1)",
    "select lo_from_bytea(0, 'x')",
    "select * from session",
    "select value, id from system_settings",
)


@pytest.fixture(scope="module")
def role(rehearsal: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The rehearsal with the role that the printed SQL makes."""
    site = site_of(rehearsal)
    judged = target.load(rehearsal.target_file)
    password = tmp_path_factory.mktemp("role") / "password"
    password.write_text(secrets.token_hex(16), encoding="utf-8")
    with psycopg.connect(postgres.superuser_dsn(site), autocommit=True) as connection:
        connection.execute(sql_role.sql(judged, ROLE).encode())
        connection.execute(f"alter role {ROLE} password '{password.read_text('utf-8')}'".encode())
        yield judged.model_copy(
            update={
                "postgres": judged.postgres.model_copy(update={"user": ROLE, "password": f"file:{password}"})
            }
        )
        connection.execute(f"drop owned by {ROLE}".encode())
        connection.execute(f"drop role {ROLE}".encode())


def test_the_role_can_run_every_query(role: Target, tmp_path: Path) -> None:
    look = Observer(role, tmp_path).look(
        ["database_settings", "schema", "storage", "port_settings", "inquiry"]
    )
    states = {name: fact.model_dump(mode="json") for name, fact in look.facts.items()}
    assert '"unavailable"' not in json.dumps(states)
    answered = {line["name"]: line["result"] for line in Book(tmp_path).lines("read")}
    for name in queries.declared():
        assert re.fullmatch(r"\d+ rows", answered.get(name, "was not run")), (name, answered.get(name))


@pytest.mark.parametrize("statement", WRITES)
def test_the_role_cannot_write_whatever_it_sets(role: Target, rehearsal: Rehearsal, statement: str) -> None:
    password = Path(str(role.postgres.password).removeprefix("file:")).read_text(encoding="utf-8")
    dsn = make_conninfo(postgres.reader_dsn(site_of(rehearsal)), user=ROLE, password=password)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")
        assert connection.execute("show transaction_read_only").fetchone() == ("off",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_the_other_roles_keep_their_rights(role: Target, rehearsal: Rehearsal) -> None:
    with psycopg.connect(postgres.superuser_dsn(site_of(rehearsal))) as connection:
        connection.execute(f"set role {postgres.OWNER}")
        connection.execute("create temporary table kept (id integer)")
        connection.execute("create table kept_too (id integer)")
        connection.execute("select lo_create(0)")
        connection.rollback()
    assert role.postgres.user == ROLE
