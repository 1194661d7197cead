"""Boots a rehearsal from another process and talks to it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from acceptance.errors import UsageError
from acceptance.options import REHEARSED_STAGE
from rehearsal.instances import NONE, Instance

_REPOSITORY = Path(__file__).resolve().parent.parent
_STOP_S = 25.0
_POLL_S = 0.05


class Rehearsal:
    """A running rehearsal.

    Attributes:
        target_file: the target file that describes it.
    """

    def __init__(self, target_file: Path) -> None:
        self.target_file = target_file
        self._root = target_file.resolve().parent
        self._control = self._root / "state" / "control.sock"

    def _ask(self, **request: object) -> Any:  # noqa: ANN401 - JSON
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(self._control))
                with connection.makefile("rw", encoding="utf-8") as stream:
                    stream.write(json.dumps(request) + "\n")
                    stream.flush()
                    line = stream.readline()
        except OSError as error:
            raise UsageError(
                f"no rehearsal answers for {self.target_file} ({error}); it has ended."
            ) from error
        if not line:
            raise UsageError(f"the rehearsal of {self.target_file} ended while it was asked.")
        answer = json.loads(line)
        if not answer["ok"]:
            raise UsageError(answer["error"])
        return answer["result"]

    def describe(self) -> dict[str, Any]:
        """Return what runs: process ids, states, injected faults.

        Raises:
            UsageError: the rehearsal has ended.
        """
        description: dict[str, Any] = self._ask(do="describe")
        return description

    def faults(self) -> list[dict[str, Any]]:
        """Return every fault that can be injected, with the items it reddens.

        Raises:
            UsageError: the rehearsal has ended.
        """
        faults: list[dict[str, Any]] = self._ask(do="list-faults")
        return faults

    def inject(self, name: str) -> None:
        """Inject a fault and wait until it is in force.

        Raises:
            UsageError: there is no such fault, it could not be injected, or the rehearsal has ended.
        """
        self._ask(do="inject", name=name)

    def revert(self, name: str) -> None:
        """Undo a fault and wait until everything works again.

        Raises:
            UsageError: it is not injected, could not be undone, or the rehearsal has ended.
        """
        self._ask(do="revert", name=name)

    def go_to_stage(self, stage: int) -> None:
        """Move to a stage of the website's cutover, forward or back, and wait until it is in force.

        Raises:
            UsageError: there is no such stage, a fault is injected, or the rehearsal has ended.
        """
        self._ask(do="stage", stage=stage)

    def container(self, service: str, action: str) -> None:
        """Do something to a container: start, stop, restart, recreate, pause, resume, kill.

        Raises:
            UsageError: it failed, or the rehearsal has ended.
        """
        self._ask(do="container", name=service, action=action)

    def program(self, name: str, action: str) -> None:
        """Do something to a program of the server: start, stop, restart, pause, resume, reload, kill.

        Raises:
            UsageError: it failed, or the rehearsal has ended.
        """
        self._ask(do="program", name=name, action=action)

    def stop(self) -> None:
        """Have it end, and wait until everything it started and its directory are gone.

        Raises:
            UsageError: it has ended already, or does not end in time.
        """
        self._ask(do="stop")
        if not self.wait(_STOP_S):
            raise UsageError(f"the rehearsal in {self._root} does not end; end its processes by hand.")

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it has ended, whoever ended it; return False if it still runs after the timeout."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while self._root.exists():
            if deadline is not None and time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True


def attach(target_file: Path) -> Rehearsal:
    """Return a rehearsal that was left running, given its target file or a link to it.

    Raises:
        UsageError: none answers there.
    """
    rehearsal = Rehearsal(target_file)
    rehearsal.describe()
    return rehearsal


@contextmanager
def boot(
    progress: Callable[[str], None],
    stage: int = REHEARSED_STAGE,
    documenso: Instance | None = None,
) -> Iterator[Rehearsal]:
    """Boot a rehearsal; it ends, and its directory goes, when the context or this process ends.

    Args:
        progress: called with a line for each part that has come up (`nginx 0.3 s`).
        stage: of the website's cutover; by default the CRM is up and nothing is flipped.
        documenso: the Documenso beside it, if any.

    Raises:
        UsageError: it cannot boot here; the text says why.
    """
    root = Path(tempfile.mkdtemp(prefix="rehearsal-"))
    # The write end stays open in this process only: its end, however it comes, ends the rehearsal.
    process = subprocess.Popen(
        [sys.executable, "-m", "rehearsal.supervisor", str(root), str(stage), str(documenso or NONE)],
        cwd=_REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        yield Rehearsal(_wait_ready(process.stdout, progress))
    finally:
        _end(process, root)


def _wait_ready(stream: IO[bytes], progress: Callable[[str], None]) -> Path:
    for line in stream:
        message = json.loads(line)
        if "progress" in message:
            progress(message["progress"])
        elif "ready" in message:
            return Path(message["ready"])
        else:
            raise UsageError(f"the rehearsal did not come up: {message['failed']}")
    raise UsageError("the rehearsal ended before it was up; look for its messages above.")


def _end(process: subprocess.Popen[bytes], root: Path) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        process.stdout.close()
        shutil.rmtree(root, ignore_errors=True)
