"""The way onto the server: what each refusal of ssh, su and sudo means, and how the clocks are compared."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from acceptance import judge
from acceptance import target as targets
from acceptance.errors import UnavailableError
from acceptance.facts import ssh_login as facts
from acceptance.facts.base import Unavailable, known
from acceptance.facts.ssh_login import Clock
from acceptance.guard.commands import ACCOUNT, CLOCK, ROOT_IDENTITY, Command, call
from acceptance.outcome import Outcome
from acceptance.target import Server, Target, Tools
from acceptance.transports.host import Result
from acceptance.transports.ssh import SshHost
from acceptance.transports.ssh_client import LoginError, PrivilegeError, explain_login, says_no
from rehearsal.client import Rehearsal
from selftest import matrix
from selftest.sshd_fixture import AS_ROOT, Sshd, free_port, new_key, running_sshd
from tests.preflight import test_access as checks

needs_root = pytest.mark.skipif(not AS_ROOT, reason="accounts for su and sudo need a mount namespace")

OTHER = Command("other", "true", "self-test")


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with running_sshd() as running:
        yield running


@pytest.fixture(scope="module")
def target(rehearsal: Rehearsal) -> Target:
    return targets.load(rehearsal.target_file)


def failure(server: Server, wanted: Command = ACCOUNT, password: str = "") -> UnavailableError:
    """Return why a command has no answer on that server."""

    async def go() -> UnavailableError:
        async with SshHost(server, password=lambda: password, authorise=lambda _: None) as host:
            with pytest.raises(UnavailableError) as caught:
                await host.run(call(wanted))
            return caught.value

    return asyncio.run(go())


# what ssh's messages mean


SERVER = Server(address="192.0.2.7", user="stefan", identity="id", host_key="ssh-ed25519 AAAAC3Nz")
UNPINNED = SERVER.model_copy(update={"host_key": None})
CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
The fingerprint for the ED25519 key sent by the remote host is
SHA256:kZPctIXmg63pniYAHO6Tubl3d/8zgELPoNkcfoBpFe8.
Host key verification failed.
"""
OTHER_TYPE = "No RSA host key is known for 192.0.2.7 and you have requested strict checking.\n"


def entry_and_key(server: Server, stderr: str, rc: int = 255) -> tuple[bool | None, bool | None]:
    """Return whether the login and the host key are right; None where it cannot be told."""
    error = explain_login(server, stderr, rc)
    entry, key = facts._entry(error), facts._host_key(server, error)
    return (
        None if isinstance(entry, Unavailable) else entry.value.accepted,
        None if isinstance(key, Unavailable) else key.value.matches,
    )


@pytest.mark.parametrize(
    ("stderr", "login", "key"),
    [
        (CHANGED, None, False),
        (OTHER_TYPE, None, False),
        ("Host key verification failed.\n", None, None),
        ("stefan@192.0.2.7: Permission denied (publickey).\n", False, True),
        ("ssh: connect to host 192.0.2.7 port 22: Connection refused\n", False, None),
        ("ssh: connect to host 192.0.2.7 port 22: Connection timed out\n", None, None),
        ("ssh: connect to host 192.0.2.7 port 22: No route to host\n", None, None),
        ("ssh: connect to host 192.0.2.7 port 22: Network is unreachable\n", None, None),
        ("ssh: Could not resolve hostname server: Name or service not known\n", None, None),
        ("kex_exchange_identification: read: Connection reset by peer\n", None, None),
        ('Load key "id": invalid format\nstefan@192.0.2.7: Permission denied (publickey).\n', None, None),
        ("something new\n", None, None),
    ],
)
def test_only_the_servers_own_answer_is_red(stderr: str, login: bool | None, key: bool | None) -> None:
    assert entry_and_key(SERVER, stderr) == (login, key)


def test_a_key_that_nobody_pinned_is_no_wrong_key() -> None:
    assert entry_and_key(UNPINNED, OTHER_TYPE) == (None, None)
    assert entry_and_key(UNPINNED, CHANGED) == (None, False)


def test_an_account_without_a_shell_is_no_login() -> None:
    assert entry_and_key(SERVER, "This account is currently not available.\n", 1) == (False, True)


def test_the_presented_key_is_named() -> None:
    error = explain_login(SERVER, CHANGED, 255)
    key = known(facts._host_key(SERVER, error))
    assert key.seen == "another key, SHA256:kZPctIXmg63pniYAHO6Tubl3d/8zgELPoNkcfoBpFe8"


def test_the_fingerprint_is_openssh_s(tmp_path: Path) -> None:
    public = new_key(tmp_path / "key")
    shown = subprocess.run(
        ["ssh-keygen", "-lf", str(tmp_path / "key.pub")], capture_output=True, text=True, check=True
    )
    assert facts.fingerprint(public) == shown.stdout.split()[1]
    assert facts.fingerprint("no key") == ""


# a closed port


def judged(target: Target, tmp_path: Path, **changes: object) -> dict[str, Outcome]:
    """Return the outcome of each check of access at a target that is changed that way."""
    changed = target.model_copy(update=changes)
    look = matrix.Observer(changed, tmp_path).look(["ssh_login", "outside"])
    return {
        check.__name__: judge.judge(check, look.facts, {"target": changed}).outcome
        for check in judge.checks_in(checks)
    }


UNANSWERED = {Outcome.UNKNOWN} if os.getuid() == 0 else {Outcome.UNKNOWN, Outcome.NOT_APPLICABLE}


def test_a_closed_port_counts_only_if_another_one_answers(target: Target, tmp_path: Path) -> None:
    closed = free_port(target.server.address)
    server = target.server.model_copy(update={"port": closed})
    silent = target.outside.model_copy(update={"control": free_port(target.server.address)})
    seen = judged(target, tmp_path, server=server)
    assert seen.pop("test_key_login_works") is Outcome.FAIL
    assert set(seen.values()) <= UNANSWERED
    nothing = judged(target, tmp_path, server=server, outside=silent)
    assert set(nothing.values()) <= UNANSWERED


@pytest.mark.user
def test_what_needs_another_account_is_judged_only_where_there_is_one(target: Target, tmp_path: Path) -> None:
    seen = judged(target, tmp_path)
    accounts = {"test_login_is_not_root", "test_login_is_not_in_group_docker", "test_way_up_leads_to_root"}
    other = Outcome.PASS if os.getuid() == 0 else Outcome.NOT_APPLICABLE
    assert {name: seen.pop(name) for name in accounts} == dict.fromkeys(accounts, other)
    assert set(seen.values()) == {Outcome.PASS}


# a key with a passphrase


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An agent that holds nothing yet."""
    place = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(place)], stdout=subprocess.DEVNULL)
    try:
        while not place.exists() and process.poll() is None:
            pass
        monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
        yield
    finally:
        process.terminate()
        process.wait(5)


def locked(key: Path, copy: Path) -> None:
    """Make a copy of a key with a passphrase."""
    shutil.copy(key, copy)
    shutil.copy(key.with_name(f"{key.name}.pub"), copy.with_name(f"{copy.name}.pub"))
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "a passphrase", "-f", str(copy)], check=True)


@pytest.mark.usefixtures("agent")
def test_a_locked_key_is_not_a_refused_one(sshd: Sshd, tmp_path: Path) -> None:
    key, copy = Path(sshd.root) / "client_key", tmp_path / "locked"
    locked(key, copy)
    server = sshd.server(identity=str(copy))
    error = failure(server)
    assert isinstance(error, LoginError)
    assert (error.trouble, error.remedy) == ("other", f"run: ssh-add {copy}")
    with _removed(Path(sshd.root) / "authorized_keys"):
        subprocess.run(["ssh-add", "-q", str(key)], check=True)
        refused = failure(server)
    assert isinstance(refused, LoginError)
    assert refused.trouble == "key-refused"


@contextlib.contextmanager
def _removed(keys: Path) -> Iterator[None]:
    content = keys.read_text(encoding="utf-8")
    keys.write_text("", encoding="utf-8")
    try:
        yield
    finally:
        keys.write_text(content, encoding="utf-8")


# the way up


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("su: Authentication failure", True),
        ("sudo: 1 incorrect password attempt", True),
        ("sudo: a password is required", True),
        ("stefan is not in the sudoers file.", True),
        ("Sorry, user stefan is not allowed to execute '/bin/sh' as root on vm.", True),
        ("su: the target file names no password", False),
        ("/bin/sh: 1: exec: /usr/bin/sudo: not found", False),
        ("no answer within 20 s", False),
        ("", False),
    ],
)
def test_says_no(words: str, refused: bool) -> None:
    assert says_no(words) is refused


@needs_root
def test_a_wrong_password_is_a_refusal_and_a_missing_program_is_not(sshd: Sshd) -> None:
    wrong = failure(sshd.server("su"), ROOT_IDENTITY, "not the password")
    absent = failure(
        sshd.server("sudo").model_copy(update={"tools": Tools(sudo="/usr/bin/nothing")}),
        ROOT_IDENTITY,
        sshd.login_password,
    )
    nobody = failure(sshd.server("sudo", user="nina"), ROOT_IDENTITY, sshd.login_password)
    unset = failure(sshd.server("su"), ROOT_IDENTITY)
    errors = (wrong, absent, nobody, unset)
    assert [isinstance(error, PrivilegeError) and error.refused for error in errors] == [
        True,
        False,
        True,
        False,
    ]


@needs_root
def test_a_way_up_that_leads_elsewhere_is_not_root(sshd: Sshd, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    elsewhere = Path(sshd.root) / "sudo-to-nobody"
    elsewhere.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n')
    elsewhere.chmod(0o755)
    server = sshd.server("sudo").model_copy(update={"tools": Tools(sudo=str(elsewhere))})
    error = failure(server, ROOT_IDENTITY)
    assert isinstance(error, PrivilegeError)
    assert error.refused
    assert "leads to uid 61000" in error.reason


# the clock


def clock(least: float, most: float) -> Clock:
    return Clock(at=datetime(2026, 1, 1, tzinfo=UTC), ahead_least_s=least, ahead_most_s=most)


@pytest.mark.parametrize(
    ("least", "most", "agrees"),
    [(-0.1, 0.1, True), (-4.9, 4.9, True), (5.0, 5.2, False), (-30, -29, False), (3600, 3601, False)],
)
def test_clocks(least: float, most: float, agrees: bool) -> None:
    assert clock(least, most).agrees is agrees


@pytest.mark.parametrize(("least", "most"), [(-8, 0.5), (4.9, 5.1), (-6, 6)])
def test_a_slow_way_leaves_it_open(least: float, most: float) -> None:
    with pytest.raises(UnavailableError, match="leaves open"):
        _ = clock(least, most).agrees


def test_the_bound_is_the_way_there_and_back() -> None:
    result = Result(call(CLOCK), 0, b"1000.5\n", "", sent=1000.0, seconds=0.8)
    seen = facts.read_clock(result)
    assert (seen.ahead_least_s, seen.ahead_most_s) == (-0.3, 0.5)
    with pytest.raises(UnavailableError, match="not understood"):
        facts.read_clock(Result(call(CLOCK), 0, b"1000.N\n", ""))


def test_the_clock_is_asked_first(sshd: Sshd) -> None:
    async def go() -> tuple[Result, Result]:
        async with SshHost(sshd.server(), password=str, authorise=lambda _: None) as host:
            other, asked = await host.run(call(OTHER), call(CLOCK))
            return other, asked

    other, asked = asyncio.run(go())
    assert other.sent == asked.sent
    assert asked.seconds < other.seconds


# the account


def account(text: str) -> facts.Account:
    return facts.read_account(Result(call(ACCOUNT), 0, text.encode(), ""))


def test_account() -> None:
    assert account("1000\nstefan\nstefan docker\n").groups == ("docker", "stefan")
    for answer in ("", "stefan\n", "1000\nstefan\n"):
        with pytest.raises(UnavailableError, match="not understood"):
            account(answer)
