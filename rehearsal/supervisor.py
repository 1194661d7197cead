"""The process behind a rehearsal: `python -m rehearsal.supervisor`, started by `rehearsal.client`.

It is two processes. The guardian does nothing but wait: for the end of its standard input, whose
other end its parent holds, for SIGTERM or SIGINT, or for the supervisor's end. Then it ends whatever
is left below it, which as a subreaper it inherits, and removes the rehearsal's directory. The
supervisor boots the stack and answers on the control socket; it lives in the private namespace, the
guardian outside, so that nothing is mounted where the guardian removes files.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rehearsal import namespace
from rehearsal.runtime import launch
from rehearsal.site import Credentials, Site, free_net

if TYPE_CHECKING:
    from rehearsal.stack import Stack

_ORDERLY_S = 15.0
_ORPHANS_S = 2.0
_REAP_S = 0.5


def main() -> int:
    """Guard one rehearsal in the directory named on the command line, from beginning to end."""
    root = Path(sys.argv[1])
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    namespace.become_subreaper()
    guardian = os.getpid()
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        _supervise(root, sys.argv[2:], guardian)
    os.close(1)
    _wait_for_the_end(wake, child)
    code = _end_supervisor(child)
    launch.end_descendants(_ORPHANS_S)
    shutil.rmtree(root, ignore_errors=True)
    return code


def _wait_for_the_end(wake: int, child: int) -> None:
    """Return once the parent is gone, a signal asks to end, or the supervisor has ended."""
    while True:
        readable, _, _ = select.select([0, wake], [], [])
        if 0 in readable and not os.read(0, 4096):
            return
        if wake in readable and set(os.read(wake, 4096)) - {signal.SIGCHLD}:
            return
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return


def _end_supervisor(child: int) -> int:
    """Have the supervisor end everything in order; kill it if it takes too long. Return its exit code."""
    os.kill(child, signal.SIGTERM)
    deadline = time.monotonic() + _ORDERLY_S
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status) & 0xFF
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)


def _supervise(root: Path, scene: Sequence[str], guardian: int) -> NoReturn:
    """Be the supervisor."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    namespace.end_with_parent(signal.SIGTERM)
    namespace.become_subreaper()
    if os.getppid() != guardian:
        os._exit(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os._exit(_Supervisor(root, scene, ended).run())


class _Supervisor:
    """Boots the stack in a thread and serves the control socket until it is told to end."""

    def __init__(self, root: Path, scene: Sequence[str], ended: threading.Event) -> None:
        self._stage, self._instance = int(scene[0]), scene[1]
        self._root = root
        self._ended = ended
        self._failed = False
        self._stack: Stack | None = None
        self._report_lock = threading.Lock()

    def run(self) -> int:
        """Return the exit code once everything has ended."""
        try:
            site = self._make_site()
        except OSError as error:
            self._report(failed=str(error))
            return 1
        threading.Thread(target=self._boot, args=(site,), name="boot", daemon=True).start()
        while not self._ended.wait(_REAP_S):
            if self._stack is not None:
                self._stack.runtime.reap()
        if self._stack is not None:
            self._stack.close()
        launch.end_descendants(_ORPHANS_S)
        return 1 if self._failed else 0

    def _make_site(self) -> Site:
        """Make the directories and enter the namespace; the threads to come inherit it from this one."""
        site = Site(self._root, free_net(), os.getuid() == 0, Credentials())
        site.root.chmod(0o755)
        for directory in (site.state, site.host, site.containers):
            directory.mkdir()
            directory.chmod(0o755)
        if site.as_root:
            namespace.enter(site)
        os.chdir("/")
        return site

    def _report(self, **message: object) -> None:
        with self._report_lock, contextlib.suppress(OSError):
            os.write(1, json.dumps(message).encode() + b"\n")

    def _boot(self, site: Site) -> None:
        try:
            from rehearsal.instances import Instance  # noqa: PLC0415 - the guardian does without these
            from rehearsal.stack import Stack  # noqa: PLC0415

            self._stack = stack = Stack(site, self._stage, Instance.parse(self._instance))
            stack.boot(lambda line: self._report(progress=line))
            Control(site.state / "control.sock", stack, self._ended.set)
        except Exception as error:
            self._failed = True
            self._report(failed=f"{error}" or type(error).__name__)
            self._ended.set()
        else:
            self._report(ready=str(stack.target_file))


class Control:
    """The control socket: one JSON object per line in, one out."""

    def __init__(self, path: Path, stack: Stack, end: Callable[[], None]) -> None:
        """Serve `describe`, `list-faults`, `inject`, `revert`, `stage`, `container`, `program` and `stop`.

        Args:
            path: where the socket is made, for this user only.
            stack: what is controlled.
            end: called for `stop`.
        """
        self._stack = stack
        self._end = end
        self._socket = socket.socket(socket.AF_UNIX)
        umask = os.umask(0o177)
        self._socket.bind(str(path))
        os.umask(umask)
        self._socket.listen(8)
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rw", encoding="utf-8") as stream, contextlib.suppress(OSError):
            for line in stream:
                stream.write(json.dumps(self._answer(json.loads(line))) + "\n")
                stream.flush()

    def _answer(self, request: dict[str, Any]) -> dict[str, object]:
        try:
            return {"ok": True, "result": self._do(request)}
        except Exception as error:
            return {"ok": False, "error": f"{error}" or type(error).__name__}

    def _do(self, request: dict[str, Any]) -> object:
        from rehearsal.stack import list_faults  # noqa: PLC0415 - loaded by now

        operation = request["do"]
        if operation == "describe":
            return self._stack.describe()
        if operation == "list-faults":
            return list_faults()
        if operation == "inject":
            self._stack.inject(request["name"])
        elif operation == "revert":
            self._stack.revert(request["name"])
        elif operation == "stage":
            self._stack.go_to_stage(request["stage"])
        elif operation == "container":
            _operate(self._stack.container(request["name"]), request["action"])
        elif operation == "program":
            _operate(self._stack.program(request["name"]), request["action"])
        elif operation == "stop":
            self._end()
        else:
            raise ValueError(f"unknown request {operation!r}")
        return None


_ACTIONS = ("start", "stop", "restart", "recreate", "pause", "resume", "reload", "kill")


def _operate(item: object, action: str) -> None:
    if action not in _ACTIONS:
        raise ValueError(f"unknown action {action!r}; one of {', '.join(_ACTIONS)}")
    getattr(item, action)()


if __name__ == "__main__":
    sys.exit(main())
