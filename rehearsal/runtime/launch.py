"""Starts one process under an account, so that it ends with the thread that started it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rehearsal.site import Account

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_ENVIRONMENT = {"PATH": PATH, "LANG": "C.UTF-8", "TZ": "UTC"}


@dataclass(frozen=True)
class Launch:
    """How to start a process.

    Attributes:
        env: added to PATH, LANG and TZ; nothing is taken from this process's environment.
        death_signal: sent to it when this process dies.
    """

    argv: Sequence[str]
    account: Account
    env: Mapping[str, str]
    cwd: Path | None = None
    death_signal: int = signal.SIGTERM

    def start(self, stdout: int | IO[bytes], stderr: int | IO[bytes]) -> subprocess.Popen[bytes]:
        """Start it in its own session.

        setpriv changes the account first and asks for the death signal then, because changing the
        account clears it.

        Raises:
            OSError: setpriv (util-linux) is missing, or the directory does not exist.
        """
        setpriv = shutil.which("setpriv", path=PATH)
        if setpriv is None:
            raise FileNotFoundError("setpriv is not installed; it is part of util-linux")
        account: list[str] = []
        if os.getuid() == 0:
            account = [f"--reuid={self.account.uid}", f"--regid={self.account.gid}", "--clear-groups"]
        death = signal.Signals(self.death_signal).name.removeprefix("SIG")
        return subprocess.Popen(
            [setpriv, f"--pdeathsig={death}", *account, "--", *self.argv],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={**_ENVIRONMENT, **self.env},
            cwd=self.cwd or "/",
            start_new_session=True,
        )


class Child:
    """A started process with the thread that waits for it.

    The thread lives as long as the process: Linux sends the death signal when the *thread* that
    forked ends, not only when the whole process does.

    Attributes:
        pid: the process's, and its process group's.
    """

    def __init__(
        self, start: Callable[[], subprocess.Popen[bytes]], ended: Callable[[Child, int], None]
    ) -> None:
        """Start it.

        Args:
            start: starts the process; runs in the new thread.
            ended: called in that thread with the exit code (128 + n for signal n) once it has ended.

        Raises:
            OSError: it could not be started.
        """
        self.pid = 0
        self.gone = threading.Event()
        self._lock = threading.Lock()
        self._ended = ended
        self._error: OSError | None = None
        self._started = threading.Event()
        threading.Thread(target=self._run, args=(start,), name="child", daemon=True).start()
        self._started.wait()
        if self._error is not None:
            raise self._error

    def _run(self, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        try:
            process = start()
        except OSError as error:
            self._error = error
            self._started.set()
            return
        self.pid = process.pid
        self._started.set()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            self._signal(signal.SIGKILL)
            code = process.wait()
            self.gone.set()
        self._ended(self, code if code >= 0 else 128 - code)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def signal(self, number: int) -> None:
        """Send a signal to the process's group, unless it has ended."""
        with self._lock:
            if not self.gone.is_set():
                self._signal(number)

    def signal_leader(self, number: int) -> None:
        """Send a signal to the process alone, unless it has ended."""
        with self._lock:
            if not self.gone.is_set():
                os.kill(self.pid, number)

    def end(self, number: int, grace_s: float) -> None:
        """Ask it to end with a signal, and kill its group after the grace time."""
        self.signal_leader(number)
        self.signal(signal.SIGCONT)
        if not self.gone.wait(grace_s):
            self.signal(signal.SIGKILL)
            self.gone.wait(grace_s)


def reap_orphans(known: set[int]) -> None:
    """Collect ended descendants that nobody waits for; a subreaper inherits them.

    Args:
        known: processes somebody does wait for.
    """
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in known:
            return
        with contextlib.suppress(ChildProcessError):
            os.waitpid(ended.si_pid, os.WNOHANG)


def children() -> list[int]:
    """Return the process ids of this process's children, ended ones included."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return found


def end_descendants(grace_s: float) -> None:
    """End everything below this process; it must be a subreaper, so that orphans become its children.

    Args:
        grace_s: how long they may take to end by themselves before they are killed.
    """
    deadline = time.monotonic() + grace_s
    while True:
        reap_orphans(set())
        remaining = children()
        if not remaining:
            return
        if time.monotonic() >= deadline:
            for pid in remaining:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
