"""The rehearsal boots, answers, and is gone without a trace however it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from acceptance.errors import UsageError
from rehearsal.client import Rehearsal, attach, boot
from rehearsal.runtime.process import RehearsalError
from rehearsal.stack import Step, run_steps
from selftest.rehearsed import as_ordinary_user
from selftest.test_docker_standin import eventually

REPOSITORY = Path(__file__).resolve().parent.parent
HOLDER = """
import json, sys
from rehearsal.client import boot
try:
    with boot(lambda line: print(line, file=sys.stderr)) as rehearsal:
        print(json.dumps(rehearsal.describe()), flush=True)
        sys.stdin.read()
except KeyboardInterrupt:
    sys.exit(130)
"""


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def born(pid: int) -> str:
    """Return what tells a process from a later one of the same number; empty if it is gone."""
    with contextlib.suppress(OSError):
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if state == "Z" else rest[18]
    return ""


def descendants(pid: int) -> set[int]:
    found = {pid}
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                found |= descendants(int(child))
    return found


def shared_memory() -> dict[str, int]:
    """Return each System V segment with the process that made it."""
    lines = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
    return {line[1]: int(line[4]) for line in lines}


@dataclass
class Held:
    """A rehearsal in the hands of another process."""

    holder: subprocess.Popen[str]
    description: dict[str, Any]
    processes: dict[int, str]
    older_segments: set[str]

    @property
    def supervisor(self) -> int:
        return int(self.description["pid"])

    @property
    def root(self) -> Path:
        return Path(self.description["root"])

    def left(self) -> list[str]:
        """Return what remains of it: processes, shared memory, mounts, files."""
        return [
            *(f"process {pid}" for pid, birth in self.processes.items() if born(pid) == birth),
            *(
                f"segment {name}"
                for name, creator in shared_memory().items()
                if name not in self.older_segments and creator in self.processes
            ),
            *(["mounts"] if str(self.root) in Path("/proc/self/mountinfo").read_text() else []),
            *(["directory"] if self.root.exists() else []),
        ]


@contextlib.contextmanager
def held(wrap: Callable[..., list[str]] = lambda *argv: list(argv)) -> Iterator[Held]:
    segments = set(shared_memory())
    holder = subprocess.Popen(
        wrap(sys.executable, "-c", HOLDER),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    stdin, stdout = _streams(holder)
    try:
        description = json.loads(stdout.readline())
        guardian = parent(description["pid"])
        processes = {pid: born(pid) for pid in descendants(guardian)}
        yield Held(holder, description, processes, segments)
    finally:
        with contextlib.suppress(OSError):
            stdin.close()
        stdout.close()
        holder.wait(30)


def _streams(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def end_normally(held: Held) -> None:
    _streams(held.holder)[0].close()


def interrupt(held: Held) -> None:
    held.holder.send_signal(signal.SIGINT)


def kill_holder(held: Held) -> None:
    held.holder.kill()


def terminate_guardian(held: Held) -> None:
    os.kill(parent(held.supervisor), signal.SIGTERM)


def kill_guardian(held: Held) -> None:
    os.kill(parent(held.supervisor), signal.SIGKILL)
    end_normally(held)


def kill_supervisor(held: Held) -> None:
    os.kill(held.supervisor, signal.SIGKILL)


def kill_holder_and_supervisor(held: Held) -> None:
    held.holder.kill()
    os.kill(held.supervisor, signal.SIGKILL)


def ask_to_stop(held: Held) -> None:
    attach(Path(held.description["target_file"])).stop()


@pytest.mark.parametrize(
    "end",
    [
        end_normally,
        interrupt,
        kill_holder,
        terminate_guardian,
        kill_guardian,
        kill_supervisor,
        kill_holder_and_supervisor,
        ask_to_stop,
    ],
)
def test_nothing_is_left(end: Callable[[Held], None]) -> None:
    with held() as rehearsal:
        assert len(rehearsal.processes) > 10
        end(rehearsal)
        assert eventually(lambda: not rehearsal.left(), 20), rehearsal.left()


def test_nothing_is_left_while_it_boots() -> None:
    roots: list[Path] = []
    before = {pid for pid in descendants(os.getpid()) if _is_guardian(pid)}

    def interrupted(_line: str) -> None:
        guardian = next(pid for pid in descendants(os.getpid()) - before if _is_guardian(pid))
        roots.append(Path(Path(f"/proc/{guardian}/cmdline").read_text().split("\0")[3]))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), boot(interrupted):
        pass
    assert not roots[0].exists()
    assert not any(_is_guardian(pid) for pid in descendants(os.getpid()) - {os.getpid()} - before)


def _is_guardian(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "rehearsal.supervisor" in Path(f"/proc/{pid}/cmdline").read_text()
    return False


def test_an_ordinary_user_can_run_it_and_nothing_is_left() -> None:
    with held(as_ordinary_user) as rehearsal:
        states = {each["state"] for each in rehearsal.description["containers"].values()}
        assert states == {"running"}
        owners = {Path(f"/proc/{pid}").stat().st_uid for pid in rehearsal.processes}
        assert len(owners) == 1
        assert 0 not in owners
        end_normally(rehearsal)
        assert eventually(lambda: not rehearsal.left(), 20), rehearsal.left()


@pytest.fixture(scope="module")
def rehearsal() -> Iterator[Rehearsal]:
    with boot(lambda _: None) as booted:
        yield booted


def test_the_app_answers_over_https_through_nginx(rehearsal: Rehearsal) -> None:
    target = tomllib.loads(rehearsal.target_file.read_text())
    public = target["public"]
    context = ssl.create_default_context(cafile=public["ca_file"])
    context.check_hostname = False
    endpoint = public["connect_https"]
    request = urllib.request.Request(
        f"https://{endpoint['address']}:{endpoint['port']}/api/public/health",
        headers={"Host": public["name"]},
    )
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    with opener.open(request, timeout=10) as answer:
        assert json.load(answer)["status"] == "ok"


def test_a_kept_one_can_be_attached_to_through_a_link(rehearsal: Rehearsal, tmp_path: Path) -> None:
    link = tmp_path / "kept.toml"
    link.symlink_to(rehearsal.target_file)
    assert attach(link).describe()["pid"] == rehearsal.describe()["pid"]


def test_containers_can_be_operated(rehearsal: Rehearsal) -> None:
    before = rehearsal.describe()["containers"]["crm-worker"]
    rehearsal.container("crm-worker", "recreate")
    after = rehearsal.describe()["containers"]["crm-worker"]
    assert before["id"] != after["id"]
    assert after["state"] == "running"


def test_every_fault_is_listed_and_an_unknown_one_refused(rehearsal: Rehearsal) -> None:
    assert {"name", "notice", "reddens", "touches"} <= set(rehearsal.faults()[0])
    with pytest.raises(UsageError, match="there is no fault"):
        rehearsal.inject("nonsense")
    with pytest.raises(UsageError, match="not injected"):
        rehearsal.revert(rehearsal.faults()[0]["name"])


@pytest.mark.skipif(os.getuid() != 0, reason="an ordinary user has no namespace of accounts")
def test_the_accounts_exist_in_its_namespace_only(rehearsal: Rehearsal) -> None:
    pid = rehearsal.describe()["pid"]
    assert "stefan:x:61000:" not in Path("/etc/passwd").read_text()
    enter = ["nsenter", f"--mount=/proc/{pid}/ns/mnt", "cat"]
    shown = subprocess.run([*enter, "/etc/passwd"], capture_output=True, text=True, check=True)
    assert "stefan:x:61000:" in shown.stdout
    passwords = subprocess.run(
        [*enter, "/etc/shadow"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    usable = {line.split(":")[0] for line in passwords if not line.split(":")[1].startswith(("*", "!"))}
    assert usable == {"root", "stefan"}


def test_attaching_to_what_has_ended_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no rehearsal answers"):
        attach(tmp_path / "target.toml")


def test_steps_run_in_order_and_the_first_failure_is_named() -> None:
    ran: list[str] = []

    def fail() -> None:
        raise OSError("no such program")

    steps = (
        Step("second", lambda: ran.append("second"), ("first",)),
        Step("first", lambda: ran.append("first")),
        Step("broken", fail, ("second",)),
        Step("never", lambda: ran.append("never"), ("broken",)),
    )
    with pytest.raises(RehearsalError, match="broken: no such program"):
        run_steps(steps, lambda _: None)
    assert ran == ["first", "second"]
