"""testinfra's own modules on top of our connection, on a real sshd."""

from __future__ import annotations

import hashlib
import inspect
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import testinfra
import testinfra.modules.file
import testinfra.modules.group
import testinfra.modules.package
import testinfra.modules.process
import testinfra.modules.service
import testinfra.modules.socket
import testinfra.modules.systeminfo
import testinfra.modules.user

from acceptance.errors import RefusedError, UnavailableError
from acceptance.guard.commands import Call
from acceptance.guard.testinfra import COMMANDS, SHAPES
from acceptance.loop import Loop
from acceptance.transports.ssh import SshHost
from acceptance.transports.testinfra_backend import get_host
from selftest.sshd_fixture import AS_ROOT, Sshd, running_sshd

needs_root = pytest.mark.skipif(not AS_ROOT, reason="another account needs a mount namespace")


def declared(which: Call) -> None:
    assert which.command in COMMANDS


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with running_sshd() as running:
        yield running


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    running = Loop()
    yield running
    running.close()


@pytest.fixture(scope="module")
def connection(sshd: Sshd, loop: Loop) -> Iterator[SshHost]:
    opened = SshHost(sshd.server(), password=str, authorise=declared)
    yield opened
    loop.run(opened.close())


@pytest.fixture(scope="module")
def host(connection: SshHost, loop: Loop) -> testinfra.host.Host:
    return get_host(connection, loop)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="selftest-files-"))
    root.chmod(0o755)
    (root / "file").write_text("café\n", encoding="utf-8")
    (root / "file").chmod(0o640 if not AS_ROOT else 0o644)
    (root / "a b'c").write_text("", encoding="utf-8")
    (root / "link").symlink_to(root / "file")
    (root / "closed").mkdir()
    (root / "closed" / "inside").write_text("secret", encoding="utf-8")
    (root / "closed").chmod(0o000 if not AS_ROOT else 0o700)
    yield root
    (root / "closed").chmod(0o700)
    shutil.rmtree(root)


def test_files(host: testinfra.host.Host, place: Path) -> None:
    file = host.file(str(place / "file"))
    assert (file.exists, file.is_file, file.is_directory, file.is_symlink) == (True, True, False, False)
    assert file.content_string == "café\n"
    assert file.contains("caf")
    assert not file.contains("tea")
    assert file.size == 6
    assert file.uid == (place / "file").stat().st_uid
    assert file.mode == (place / "file").stat().st_mode & 0o777
    assert file.mtime.timestamp() == int((place / "file").stat().st_mtime)
    assert file.sha256sum == hashlib.sha256("café\n".encode()).hexdigest()
    assert host.file(str(place / "link")).is_symlink
    assert host.file(str(place / "link")).linked_to == str(place / "file")
    assert host.file(str(place / "a b'c")).exists
    assert not host.file(str(place / "file" / "below")).exists
    assert not host.file(str(place / "absent")).exists
    assert "closed" in host.file(str(place)).listdir()


@pytest.mark.parametrize(
    "question", ["exists", "is_file", "is_directory", "content", "mode", "sha256sum", "size"]
)
def test_no_permission_is_no_answer(host: testinfra.host.Host, place: Path, question: str) -> None:
    with pytest.raises(UnavailableError, match="Permission denied"):
        getattr(host.file(str(place / "closed" / "inside")), question)


def test_processes_accounts_and_system(host: testinfra.host.Host) -> None:
    assert host.system_info.type == "linux"
    assert host.user("root").uid == 0
    assert host.group("root").exists
    assert not host.group("no-such-group").exists
    assert not host.user("no-such-user").exists
    assert host.process.filter(comm="sshd")
    assert host.exists("sh")
    assert not host.exists("no-such-program")


def test_listening_port(host: testinfra.host.Host, sshd: Sshd) -> None:
    if not host.exists("/usr/bin/ss") and not host.exists("ss"):
        pytest.skip("ss is not installed")
    assert host.socket(f"tcp://{sshd.address}:{sshd.port}").is_listening


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="not a Debian system")
def test_packages(host: testinfra.host.Host) -> None:
    assert host.package("dpkg").is_installed
    assert host.package("dpkg").version
    assert not host.package("no-such-package").is_installed


def test_services(sshd: Sshd, loop: Loop) -> None:
    systemctl = Path(sshd.root) / "systemctl"
    systemctl.write_text(
        '#!/bin/sh\ncase "$1 $2" in\n'
        '"is-active up") exit 0 ;;\n"is-active down") exit 3 ;;\n'
        '"is-active lost") echo "Failed to connect to bus: No such file" >&2; exit 1 ;;\n'
        '"is-enabled up") echo enabled ;;\n"is-enabled down") echo disabled; exit 1 ;;\nesac\n',
        encoding="utf-8",
    )
    systemctl.chmod(0o755)
    server = sshd.server()
    tools = server.tools.model_copy(update={"systemctl": str(systemctl)})
    connection = SshHost(server.model_copy(update={"tools": tools}), password=str, authorise=declared)
    host = get_host(connection, loop)
    try:
        assert host.service("up").is_running
        assert host.service("up").is_enabled
        assert not host.service("down").is_running
        assert not host.service("down").is_enabled
        with pytest.raises(UnavailableError, match="connect to bus"):
            _ = host.service("lost").is_running
    finally:
        loop.run(connection.close())


@needs_root
def test_root_s_rights_are_used_where_they_work(sshd: Sshd, loop: Loop, place: Path) -> None:
    connection = SshHost(sshd.server("su"), password=lambda: sshd.root_password, authorise=declared)
    try:
        file = get_host(connection, loop).file(str(place / "closed" / "inside"))
        assert file.content_string == "secret"
        assert connection.logins == 1
    finally:
        loop.run(connection.close())


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("rm -rf %s", ("/nonexistent",)),
        ("test -e /etc/passwd", ()),
        ("%s --numeric --listening --tcp", ("/bin/rm",)),
        ("getent shadow %s", ("root",)),
    ],
)
def test_everything_else_is_refused(
    host: testinfra.host.Host, connection: SshHost, command: str, arguments: tuple[str, ...]
) -> None:
    before = connection.round_trips
    with pytest.raises(RefusedError, match=re.escape(command)):
        host.run(command, *arguments)
    assert connection.round_trips == before


def test_only_one_login_and_no_question_twice(host: testinfra.host.Host, connection: SshHost) -> None:
    assert host.file("/etc").is_directory
    before = connection.round_trips
    assert host.file("/etc").is_directory
    assert (connection.logins, connection.round_trips) == (1, before)


def test_reachable_by_testinfra_s_own_table(connection: SshHost, loop: Loop) -> None:
    name = get_host(connection, loop).backend.hostname
    assert testinfra.get_host(f"acceptance://{name}").file("/etc").is_directory


def test_shapes_are_testinfra_s_own() -> None:
    modules = testinfra.modules
    sources = " ".join(
        inspect.getsource(module)
        for module in (
            modules.file,
            modules.group,
            modules.package,
            modules.process,
            modules.service,
            modules.systeminfo,
            modules.user,
            testinfra.host,
        )
    )
    strange = [shape for shape in SHAPES if shape not in sources and "--numeric" not in shape]
    assert strange == ["cat /proc/mounts"]
