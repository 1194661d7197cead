"""The two sides that are compared: the suite's host facts, and the same questions asked plainly."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import testinfra.backend
from testinfra.backend.base import CommandResult
from testinfra.host import Host

from acceptance import judge
from acceptance.errors import UsageError
from acceptance.facts.catalogue import NOUNS
from acceptance.guard.commands import CONTAINERS_SAMPLE
from acceptance.outcome import Outcome
from acceptance.sections.base import Endpoint
from acceptance.target import Target
from acceptance.transports.ssh_client import host_key_name
from benchmarks import plain
from rehearsal.client import Rehearsal
from selftest import matrix

HOST_NOUNS = tuple(sorted(name for name, noun in NOUNS.items() if noun.host))

_REPOSITORY = Path(__file__).resolve().parent.parent


def watched_s() -> float:
    """Return how many seconds the suite's declared sample (containers.stable) waits before it looks again."""
    return sum(
        float(seconds) for seconds in re.findall(r"^sleep (\S+)$", CONTAINERS_SAMPLE.script, re.MULTILINE)
    )


@dataclass(frozen=True)
class Answers:
    """What one side saw.

    Attributes:
        items: for each item, whether all of the side's checks passed.
        questions: how many checks were judged, each parametrisation counted.
        round_trips: how often the side waited for the server: batches of the suite, commands of testinfra.
    """

    items: Mapping[str, bool]
    questions: int
    round_trips: int


def host_checks() -> tuple[judge.Check, ...]:
    """Return the suite's checks that need host facts only."""
    return tuple(check for check in matrix.checks() if _asks_host_only(check))


def _asks_host_only(check: judge.Check) -> bool:
    nouns = matrix.nouns_of(check)
    return bool(nouns) and set(nouns) <= set(HOST_NOUNS)


def ask_ours(target: Target, directory: Path) -> Answers:
    """Collect all host facts afresh, judge the host checks, log out.

    Args:
        target: a rehearsal; every action is approved.
        directory: where the ledger is written.
    """
    look = matrix.Observer(target, directory).look(HOST_NOUNS)
    items: dict[str, bool] = {}
    questions = 0
    for check in host_checks():
        for variant in judge.variants(check):
            record = judge.judge(check, look.facts, {"target": target}, variant)
            items[record.item] = items.get(record.item, True) and record.outcome is Outcome.PASS
            questions += 1
    return Answers(items, questions, look.round_trips)


@dataclass(frozen=True)
class Login:
    """How testinfra's own ssh backend logs in.

    Attributes:
        directory: holds its ssh_config and known_hosts.
        control_path: True to share one connection, which testinfra does not by default.
    """

    target: Target
    directory: Path
    control_path: bool = False
    user: str = field(default_factory=lambda: "root" if os.geteuid() == 0 else getpass.getuser())

    @contextlib.contextmanager
    def host(self) -> Iterator[Host]:
        """Give testinfra's view of the server; a shared connection is ended afterwards."""
        endpoint = self.target.server.endpoint
        config = self._write_config(endpoint)
        control = str(self.directory / f"control-{endpoint.port}") if self.control_path else None
        place = f"{self.user}@{endpoint.address}:{endpoint.port}"
        backend = testinfra.backend.get_backend(f"ssh://{place}", ssh_config=str(config), controlpath=control)
        host = Host(backend)
        backend.set_host(host)
        try:
            yield host
        finally:
            if control is not None:
                ending = [
                    "ssh",
                    "-F",
                    str(config),
                    "-o",
                    f"ControlPath={control}",
                    "-O",
                    "exit",
                    f"ssh://{place}",
                ]
                subprocess.run(ending, stderr=subprocess.DEVNULL, check=False)

    def _write_config(self, endpoint: Endpoint) -> Path:
        server = self.target.server
        known_hosts = self.directory / "known_hosts"
        known_hosts.write_text(f"{host_key_name(server)} {server.host_key}\n", encoding="utf-8")
        config = self.directory / f"ssh_config-{endpoint.port}"
        config.write_text(
            f"Host *\n  IdentityFile {server.identity}\n  IdentitiesOnly yes\n  BatchMode yes\n"
            f"  UserKnownHostsFile {known_hosts}\n  HostKeyAlias {host_key_name(server)}\n",
            encoding="utf-8",
        )
        return config


def ask_plain(login: Login) -> Answers:
    """Run every check of `benchmarks.plain`.

    Raises:
        RuntimeError: testinfra could not log in.
    """
    items: dict[str, bool] = {}
    questions = 0
    with login.host() as host, _counted(host) as commands:
        for check in judge.checks_in(plain):
            for variant in judge.variants(check):
                passed = _passes(check, host, login.target, variant.arguments)
                item = judge.item_of(check)
                items[item] = items.get(item, True) and passed
                questions += 1
    return Answers(items, questions, len(commands))


@contextlib.contextmanager
def _counted(host: Host) -> Iterator[list[str]]:
    """Give the list of the commands that testinfra sends while the block lasts."""
    sent: list[str] = []
    run_ssh = host.backend.run_ssh

    def noted(command: str) -> CommandResult:
        sent.append(command)
        return run_ssh(command)

    host.backend.run_ssh = noted
    try:
        yield sent
    finally:
        host.backend.run_ssh = run_ssh


def _passes(check: judge.Check, host: Host, target: Target, arguments: Mapping[str, Any]) -> bool:
    try:
        check(host=host, target=target, **arguments)
    except AssertionError:
        return False
    return True


@contextlib.contextmanager
def root_login(rehearsal: Rehearsal) -> Iterator[None]:
    """Let root log in to the rehearsal with the user's key while the block lasts.

    testinfra cannot give su or sudo a password, and docker and the certificates are root's. A rehearsal that
    an ordinary user runs needs none of this.
    """
    if os.geteuid() != 0:
        yield
        return
    config = Path(rehearsal.describe()["root"]) / "host/etc/ssh/sshd_config"
    before = config.read_text(encoding="utf-8")
    config.write_text(before.replace("PermitRootLogin no", "PermitRootLogin prohibit-password"))
    rehearsal.program("sshd", "restart")
    try:
        yield
    finally:
        config.write_text(before, encoding="utf-8")
        rehearsal.program("sshd", "restart")


def logins(rehearsal: Rehearsal) -> int:
    """Return how many logins the rehearsal's sshd has accepted."""
    log = Path(rehearsal.describe()["root"]) / "host/var/log/auth.log"
    return log.read_text(encoding="utf-8", errors="replace").count("Accepted publickey")


@contextlib.contextmanager
def far(target: Target, delay_ms: float) -> Iterator[Target]:
    """Give the same target at a distance: every round trip to its sshd takes `delay_ms` longer.

    Raises:
        UsageError: the relay did not start.
    """
    near = target.server.endpoint
    where = f"{near.address}:{near.port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.relay", "--to", where, "--delay-ms", str(delay_ms / 2)],
        cwd=_REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        address, _, port = process.stdout.readline().partition(" ")[0].rpartition(":")
        if not address:
            raise UsageError("the relay did not start; look for its message above.")
        connect = Endpoint(address=address, port=int(port))
        yield target.model_copy(update={"server": target.server.model_copy(update={"connect": connect})})
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
