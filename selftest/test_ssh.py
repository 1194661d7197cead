"""The SSH transport against a real sshd, real su and real sudo."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from acceptance.errors import RefusedError, UnavailableError
from acceptance.guard.commands import Call, Command, call
from acceptance.target import Privilege, Server
from acceptance.transports.host import Result
from acceptance.transports.ssh import SshHost
from acceptance.transports.ssh_client import explain_login
from benchmarks.relay import Relay
from selftest.sshd_fixture import ACCOUNTS, AS_ROOT, Sshd, free_port, new_key, running_sshd

T = TypeVar("T")

WHO = Command("who", "id -u", "self-test")
WHO_AS_ROOT = Command("who-as-root", "id -u", "self-test", privileged=True)
WHO_BY_ANY = Command("who-by-any", "id -u", "self-test", privileged=True, plain_too=True)
ECHO = Command("echo", 'printf %s "$1"', "self-test")
ECHO_AS_ROOT = Command("echo-as-root", 'printf %s "$1"', "self-test", privileged=True)
SLOW = Command("slow", "echo begun; sleep 20", "self-test", timeout_s=30)

needs_root = pytest.mark.skipif(not AS_ROOT, reason="accounts for su and sudo need a mount namespace")


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with running_sshd() as running:
        yield running


def allow(_: Call) -> None:
    """Let every call pass: what is declared is not what these tests are about."""


def host_at(server: Server, password: str = "", authorise: Callable[[Call], object] = allow) -> SshHost:
    return SshHost(server, password=lambda: password, authorise=authorise)


def on(server: Server, use: Callable[[SshHost], Coroutine[Any, Any, T]], password: str = "") -> T:
    async def go() -> T:
        async with host_at(server, password) as host:
            return await use(host)

    return asyncio.run(go())


async def text_of(host: SshHost, *calls: Call) -> str:
    return "".join(result.text for result in await host.run(*calls))


async def reason_of(host: SshHost, *calls: Call) -> UnavailableError:
    with pytest.raises(UnavailableError) as caught:
        await host.run(*calls)
    return caught.value


async def within_a_second(look: Callable[[], T]) -> T:
    """Return the first answer that is true, or the last one."""
    for _ in range(100):
        if found := look():
            return found
        await asyncio.sleep(0.01)
    return look()


def login_error(server: Server) -> UnavailableError:
    return on(server, lambda host: reason_of(host, call(WHO)))


def test_one_login_whatever_is_asked(sshd: Sshd) -> None:
    before = sshd.logins

    async def use(host: SshHost) -> tuple[int, int]:
        async def collect(name: str) -> None:
            async with host.collector():
                await host.run(call(ECHO, name))
                await host.run(call(ECHO, f"{name} again"), call(WHO))

        await asyncio.gather(*(collect(str(number)) for number in range(20)))
        await host.forward(sshd.address, sshd.port)
        return host.logins, host.round_trips

    assert on(sshd.server(), use) == (1, 2)
    assert sshd.logins - before == 1


def test_nothing_is_left_behind(sshd: Sshd) -> None:
    async def go() -> tuple[Path, list[int]]:
        async with host_at(sshd.server()) as host:
            await host.run(call(WHO))
            socket = await host.forward(sshd.address, sshd.port)
            pids = [client._process.pid for client in host._clients]
            assert all(_runs(pid) for pid in pids)
        await host.close()
        return socket, pids

    socket, pids = asyncio.run(go())
    assert not socket.parent.parent.exists()
    assert not any(_runs(pid) for pid in pids)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_login_ends_with_us_even_if_we_are_killed(sshd: Sshd, tmp_path: Path) -> None:
    directory = tmp_path / "directory"
    pid = os.fork()
    if pid == 0:
        try:
            asyncio.run(_log_in_and_die(sshd.server(), directory.write_text))
        finally:
            os._exit(1)
    os.waitpid(pid, 0)
    shutil.rmtree(directory.read_text())
    assert asyncio.run(within_a_second(lambda: sshd.log.count("Disconnected from user") == sshd.logins))


async def _log_in_and_die(server: Server, tell: Callable[[str], object]) -> None:
    host = host_at(server)
    await host.run(call(WHO))
    tell(str(host._directory))
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_refused_session_is_no_second_login() -> None:
    """OpenSSH's client would log in anew over MaxSessions, without a word (seen with 9.2)."""
    with running_sshd("MaxSessions 1\n") as strict:
        error = on(strict.server("su"), lambda host: reason_of(host, call(WHO_AS_ROOT)), "any")
        assert strict.logins == 1
    assert (
        error.reason == "no root privilege: Session open refused by peer (MaxSessions of the server's sshd?)"
    )


def test_operator_s_known_hosts_file_is_used_without_a_pin(sshd: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known hosts 100%"
    known.write_text(f"[crm.example]:2222 {sshd.host_key}\n")
    pinned = sshd.server()
    server = pinned.model_copy(
        update={
            "host_key": None,
            "known_hosts": str(known),
            "address": "crm.example",
            "port": 2222,
            "connect": pinned.endpoint,
        }
    )
    assert on(server, lambda host: text_of(host, call(ECHO, "in"))) == "in"


def test_nothing_sent_for_a_refused_call(sshd: Sshd) -> None:
    before = sshd.logins

    def refuse(which: Call) -> None:
        if which.command is not WHO:
            raise RefusedError(which.command.name)

    async def go() -> tuple[int, int]:
        async with host_at(sshd.server(), authorise=refuse) as host:
            with pytest.raises(RefusedError, match="echo"):
                await host.run(call(WHO), call(ECHO, "x"))
            with pytest.raises(RefusedError, match="NUL"):
                await host.run(call(ECHO, "a\0b"))
            return host.logins, host.round_trips

    assert asyncio.run(go()) == (0, 0)
    assert sshd.logins == before


def test_port_closed(sshd: Sshd) -> None:
    error = login_error(sshd.server(port=free_port(sshd.address)))
    assert "refused the connection" in error.reason


def test_no_answer(sshd: Sshd) -> None:
    async def go() -> UnavailableError:
        held: list[asyncio.StreamWriter] = []

        async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            held.append(writer)

        silent = await asyncio.start_server(hold, sshd.address, 0)
        port = silent.sockets[0].getsockname()[1]
        async with host_at(sshd.server(port=port, timeout_s=1)) as host:
            error = await reason_of(host, call(WHO))
        for writer in held:
            writer.close()
        silent.close()
        return error

    assert "no answer from" in asyncio.run(go()).reason


def test_name_that_does_not_resolve(sshd: Sshd) -> None:
    error = login_error(sshd.server().model_copy(update={"address": "nowhere.invalid"}))
    assert error.reason == "no SSH login: the name nowhere.invalid cannot be resolved"


def test_host_key_changed(sshd: Sshd, tmp_path: Path) -> None:
    error = login_error(sshd.server(host_key=new_key(tmp_path / "other")))
    assert "is not the pinned one" in error.reason
    assert "somebody may be in between" in error.remedy


def test_host_key_unknown(sshd: Sshd, tmp_path: Path) -> None:
    server = sshd.server().model_copy(update={"host_key": None, "known_hosts": str(tmp_path / "none")})
    assert "is not known" in login_error(server).reason


def test_key_refused(sshd: Sshd, tmp_path: Path) -> None:
    new_key(tmp_path / "stranger")
    error = login_error(sshd.server(identity=str(tmp_path / "stranger")))
    assert error.reason.startswith("no SSH login: the server refused the key")


def test_key_missing(sshd: Sshd) -> None:
    before = sshd.log
    assert "there is no key file /nonexistent" in login_error(sshd.server(identity="/nonexistent")).reason
    assert sshd.log == before


def test_key_readable_by_others(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "open").write_bytes((Path(sshd.root) / "client_key").read_bytes())
    (tmp_path / "open").chmod(0o644)
    error = login_error(sshd.server(identity=str(tmp_path / "open")))
    assert "may be read by others" in error.reason
    assert "chmod 600" in error.remedy


def test_no_key_at_all(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "garbage").write_text("no key\n")
    (tmp_path / "garbage").chmod(0o600)
    assert "cannot be read" in login_error(sshd.server(identity=str(tmp_path / "garbage"))).reason


def test_no_ssh_client(sshd: Sshd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "OpenSSH client cannot be started" in login_error(sshd.server()).reason


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (
            "Received disconnect from 192.0.2.1 port 22:2: Too many authentication failures\r\n"
            "Disconnected from 192.0.2.1 port 22",
            "the server refused the login after too many keys",
        ),
        ("ssh: connect to host crm port 22: Connection timed out", "no answer from"),
        ("ssh: connect to host crm port 22: No route to host", "there is no route to"),
        ("kex_exchange_identification: Connection closed by remote host", "closed the connection before"),
        (
            "Unable to negotiate with 192.0.2.1 port 22: no matching host key type found.",
            "no algorithm in common",
        ),
        ("Something new\n", "Something new"),
        ("", "no message"),
    ],
)
def test_meaning_of_what_ssh_says(sshd: Sshd, stderr: str, reason: str) -> None:
    error = explain_login(sshd.server(), stderr, 255)
    assert reason in error.reason
    assert error.remedy


def test_account_without_a_shell(sshd: Sshd) -> None:
    error = explain_login(sshd.server(), "This account is currently not available.\n", 1)
    assert "gets no shell that runs commands" in error.reason


def test_failed_login_is_not_tried_again(sshd: Sshd, tmp_path: Path) -> None:
    new_key(tmp_path / "stranger")
    before = sshd.log.count("Connection from")

    async def use(host: SshHost) -> int:
        await reason_of(host, call(WHO))
        await reason_of(host, call(ECHO, "x"))
        with pytest.raises(UnavailableError, match="no SSH login"):
            await host.forward("127.0.0.1", 1)
        return host.logins

    assert on(sshd.server(identity=str(tmp_path / "stranger")), use) == 0
    assert sshd.log.count("Connection from") - before == 1


def test_connection_cut_in_the_middle(sshd: Sshd) -> None:
    async def go() -> tuple[str, list[str]]:
        async with Relay((sshd.address, sshd.port), 0) as relay:
            server = sshd.server().model_copy(update={"connect": None, "port": relay.address[1]})
            async with host_at(server.model_copy(update={"address": relay.address[0]})) as host:
                first = await text_of(host, call(ECHO, "whole"))
                hanging = asyncio.create_task(reason_of(host, call(SLOW)))
                await asyncio.sleep(0.3)
                await relay.cut()
                broken = await hanging
                later = await reason_of(host, call(WHO))
                assert (await text_of(host, call(ECHO, "whole"))) == "whole"
                assert relay.connections == 1
                return first, [broken.reason, later.reason]

    first, reasons = asyncio.run(go())
    assert first == "whole"
    assert all(reason.startswith("the connection broke before slow answered") for reason in reasons)
    assert "banner" not in reasons[0]


def test_method_none_runs_privileged_commands_as_the_login_user(sshd: Sshd) -> None:
    async def use(host: SshHost) -> tuple[str, bool]:
        return await text_of(host, call(WHO), call(WHO_AS_ROOT)), await host.can_be_root()

    text, root = on(sshd.server(), use)
    plain, privileged = text.split()
    assert plain == privileged
    assert not root


@needs_root
def test_su(sshd: Sshd) -> None:
    async def use(host: SshHost) -> tuple[str, str, int]:
        text = await text_of(host, call(WHO), call(WHO_AS_ROOT), call(ECHO_AS_ROOT, "it's\n$(id) `id`"))
        return text, await text_of(host, call(ECHO, "second")), host.round_trips

    assert on(sshd.server("su"), use, sshd.root_password) == ("61000\n0\nit's\n$(id) `id`", "second", 2)


@needs_root
def test_su_with_a_wrong_password_is_tried_once_and_plain_calls_go_on(sshd: Sshd) -> None:
    before = sshd.su_calls

    async def use(host: SshHost) -> tuple[list[str], str]:
        plain, privileged = await asyncio.gather(text_of(host, call(WHO)), reason_of(host, call(WHO_AS_ROOT)))
        again = await reason_of(host, call(ECHO_AS_ROOT, "x"))
        assert not await host.can_be_root()
        return [privileged.reason, again.reason], plain + await text_of(host, call(ECHO, "on"))

    reasons, plain = on(sshd.server("su"), use, "wrong")
    assert reasons == ["no root privilege: su: Authentication failure"] * 2
    assert plain == "61000\non"
    assert sshd.su_calls - before == 1


@needs_root
def test_what_can_do_without_root_is_run_by_root_where_that_works(sshd: Sshd) -> None:
    async def use(host: SshHost) -> tuple[str, int]:
        return await text_of(host, call(WHO), call(WHO_BY_ANY)), host.round_trips

    assert on(sshd.server("su"), use, sshd.root_password) == ("61000\n0\n", 1)
    assert on(sshd.server("su"), use, "wrong") == ("61000\n61000\n", 1)


@needs_root
def test_what_can_do_without_root_is_run_without_the_helper_too(sshd: Sshd) -> None:
    async def use(host: SshHost) -> tuple[str, str]:
        return await text_of(host, call(WHO_BY_ANY)), (await reason_of(host, call(WHO_AS_ROOT))).reason

    helped = sshd.server().model_copy(update={"privilege": Privilege(method="sudo", helper="/nonexistent")})
    who, reason = on(helped, use)
    assert who == "61000\n"
    assert reason.startswith("no root privilege for who-as-root")


@needs_root
def test_su_without_a_password_is_not_even_tried(sshd: Sshd) -> None:
    before = sshd.su_calls
    error = on(sshd.server("su"), lambda host: reason_of(host, call(WHO_AS_ROOT)))
    assert error.reason == "no root privilege: su: the target file names no password"
    assert sshd.su_calls == before


@needs_root
@pytest.mark.parametrize("user", ["stefan", "nora", "otto", "root"])
def test_sudo_with_and_without_asking_for_a_password(sshd: Sshd, user: str) -> None:
    """NOPASSWD of everything (nora) or of the shell alone (otto) must not feed the password to it."""

    async def use(host: SshHost) -> list[Result]:
        return list(await host.run(call(WHO_AS_ROOT), call(ECHO_AS_ROOT, "x")))

    evil = Path(sshd.root) / "shared" / f"evil-{user}"
    password = sshd.login_password if user == "stefan" else f"touch {evil}"
    results = on(sshd.server("sudo", user=user), use, password)
    assert [(result.text, result.stderr) for result in results] == [("0\n", ""), ("x", "")]
    assert not evil.exists()


@needs_root
def test_sudo_without_a_password(sshd: Sshd) -> None:
    def reason(user: str) -> str:
        return on(sshd.server("sudo", user=user), lambda host: reason_of(host, call(WHO_AS_ROOT))).reason

    assert on(sshd.server("sudo", user="nora"), lambda host: text_of(host, call(WHO_AS_ROOT))) == "0\n"
    assert reason("stefan") == "no root privilege: sudo: a password is required"


@needs_root
def test_sudo_with_a_wrong_password_is_tried_once(sshd: Sshd) -> None:
    error = on(sshd.server("sudo"), lambda host: reason_of(host, call(WHO_AS_ROOT)), "wrong")
    assert error.reason == "no root privilege: sudo: 1 incorrect password attempt"


@needs_root
def test_sudo_not_granted(sshd: Sshd) -> None:
    assert not ACCOUNTS["nina"]
    error = on(
        sshd.server("sudo", user="nina"), lambda host: reason_of(host, call(WHO_AS_ROOT)), sshd.login_password
    )
    assert error.reason == "no root privilege: nina is not in the sudoers file."


@needs_root
def test_password_is_in_no_argument_of_any_process(sshd: Sshd) -> None:
    seen = Command("processes", "cat /proc/[0-9]*/cmdline 2>/dev/null", "self-test", privileged=True)
    text = on(sshd.server("su"), lambda host: text_of(host, call(seen)), sshd.root_password)
    assert "su\0root\0-c" in text
    assert sshd.root_password not in text


def test_password_with_a_line_break_is_refused(sshd: Sshd) -> None:
    error = on(sshd.server("su"), lambda host: reason_of(host, call(WHO_AS_ROOT)), "a\nb")
    assert error.reason == "no root privilege: the password holds a line break"


async def _echo_line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()


def test_tunnel(sshd: Sshd) -> None:
    async def use(host: SshHost) -> tuple[bytes, Path]:
        server = await asyncio.start_server(_echo_line, sshd.address, 0)
        port = server.sockets[0].getsockname()[1]
        path = await host.forward(sshd.address, port)
        assert path == await host.forward(sshd.address, port)
        assert path.name == f".s.PGSQL.{port}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"through\n")
        answer = await reader.readline()
        writer.close()
        server.close()
        return answer, path

    assert on(sshd.server(), use)[0] == b"through\n"


def test_tunnel_to_a_closed_port_tells_why(sshd: Sshd) -> None:
    async def use(host: SshHost) -> str:
        path = await host.forward(sshd.address, free_port(sshd.address), name="socket")
        assert host.tunnel_trouble() == ""
        reader, writer = await asyncio.open_unix_connection(str(path))
        assert await reader.read() == b""
        writer.close()
        return await within_a_second(host.tunnel_trouble)

    assert on(sshd.server(), use) == "connect failed: Connection refused"


def test_tunnel_s_address_cannot_smuggle_anything(sshd: Sshd) -> None:
    async def use(host: SshHost) -> None:
        with pytest.raises(RefusedError):
            await host.forward("a b", 1)

    on(sshd.server(), use)


def test_waiting_calls_are_told_when_the_host_closes(sshd: Sshd) -> None:
    async def go() -> str:
        host = host_at(sshd.server())
        await host.run(call(WHO))
        hanging = asyncio.create_task(reason_of(host, call(SLOW)))
        await asyncio.sleep(0.2)
        await host.close()
        return (await hanging).reason

    assert "was closed" in asyncio.run(go())
