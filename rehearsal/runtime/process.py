"""The process runtime: programs and containers as supervised processes of this machine."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from rehearsal.runtime import clock
from rehearsal.runtime.launch import Child, Launch, reap_orphans
from rehearsal.runtime.log import JsonFile, NoLog, Pump
from rehearsal.runtime.relay import Relay, Relays
from rehearsal.runtime.spec import Container, Program
from rehearsal.site import Site

State = Literal["created", "running", "paused", "restarting", "exited"]

HEALTH_INTERVAL_S = 1.0
HEALTH_RETRIES = 3
HEALTH_START_PERIOD_S = 2.0

_STARTING_INTERVAL_S = 0.1
_FIRST_BACKOFF_S = 0.1
_LONGEST_BACKOFF_S = 60.0
_SETTLED_S = 10.0
_GRACE_S = 10.0


class RehearsalError(Exception):
    """Something of the rehearsal could not be started; the text says what and shows its last output."""


@dataclass(frozen=True)
class Probe:
    """One run of a health check."""

    start_ns: int
    end_ns: int
    complaint: str | None


class Health:
    """What Docker remembers about a health check: last five probes, streak of failures, status."""

    def __init__(self) -> None:
        self.status: Literal["starting", "healthy", "unhealthy"] = "starting"
        self.failing_streak = 0
        self.probes: deque[Probe] = deque(maxlen=5)

    def record(self, probe: Probe) -> None:
        """Add a probe's result."""
        self.probes.append(probe)
        if probe.complaint is None:
            self.status, self.failing_streak = "healthy", 0
            return
        self.failing_streak += 1
        if self.failing_streak >= HEALTH_RETRIES:
            self.status = "unhealthy"


def _await(done: Callable[[], bool], ended: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and not ended():
        if done():
            return True
        time.sleep(0.01)
    return False


class RunningProgram:
    """A program of the server itself.

    Attributes:
        started_ns, finished_ns: when it was last started and when it ended; 0 for not yet.
        exit_code: of its last end; 128 + n for signal n.
        stopped: True if the operator stopped it.
    """

    def __init__(self, spec: Program) -> None:
        self.spec = spec
        self.started_ns = 0
        self.finished_ns = 0
        self.exit_code = 0
        self.stopped = False
        self._child: Child | None = None

    @property
    def pid(self) -> int:
        """The main process, 0 if it is not running."""
        child = self._child
        return 0 if child is None or child.gone.is_set() else child.pid

    @property
    def running(self) -> bool:
        """True while its main process lives."""
        return self.pid != 0

    def start(self, timeout_s: float = 20) -> None:
        """Start it and wait until it serves.

        Raises:
            RehearsalError: it ended or did not become ready in time.
        """
        if self.running:
            return
        spec = self.spec
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        launch = Launch(spec.argv, spec.account, spec.env, spec.cwd)
        with spec.log.open("ab") as log:
            self.started_ns, self.finished_ns, self.stopped = clock.now(), 0, False
            self._child = Child(lambda: launch.start(log, log), self._ended)
        if not _await(spec.ready, self._child.gone.is_set, timeout_s):
            tail = spec.log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RehearsalError(f"{spec.name} does not serve; the end of its log:\n{tail}")

    def _ended(self, _child: Child, code: int) -> None:
        self.exit_code, self.finished_ns = code, clock.now()

    def stop(self, grace_s: float = _GRACE_S) -> None:
        """Stop it as an operator: SIGTERM, after the grace time SIGKILL."""
        self.stopped = True
        if self._child is not None:
            self._child.end(signal.SIGTERM, grace_s)

    def restart(self) -> None:
        """Stop and start it; a new process."""
        self.stop()
        self.start()

    def reload(self) -> None:
        """Have it read its configuration again.

        Raises:
            RehearsalError: it knows no reload.
        """
        if self.spec.reload is None:
            raise RehearsalError(f"{self.spec.name} cannot reload")
        if self._child is not None:
            self._child.signal_leader(self.spec.reload)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to all its processes."""
        if self._child is not None:
            self._child.signal(number)

    def pause(self) -> None:
        """Stop all its processes in their tracks."""
        self.kill(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        self.kill(signal.SIGCONT)


class RunningContainer:
    """One container: a supervised process with Docker's life cycle.

    Attributes:
        spec: what it was created from.
        id: 64 hexadecimal digits, new for each creation.
        state: Docker's word for it.
        restart_count: automatic restarts since the operator last started it.
        started_ns, finished_ns: of the last run; 0 for never.
        health: None without a health check.
    """

    def __init__(self, spec: Container, site: Site, pump: Pump, relays: Relays) -> None:
        self._site = site
        self._pump = pump
        self._relays = relays
        self._lock = threading.RLock()
        self._relay: Relay | None = None
        self._child: Child | None = None
        self._timer: threading.Timer | None = None
        self._create(spec)

    def _create(self, spec: Container) -> None:
        self.spec = spec
        self.id = secrets.token_hex(32)
        self.created_ns = clock.now()
        self.started_ns = 0
        self.finished_ns = 0
        self.exit_code = 0
        self.oom_killed = False
        self.restart_count = 0
        self.state: State = "created"
        self.health: Health | None = None
        self._stopping = False
        self._backoff_s = 0.0
        directory = self._site.containers / spec.service / self.id
        self.log = JsonFile(directory / f"{self.id}-json.log") if spec.log_driver == "json-file" else NoLog()

    @property
    def pid(self) -> int:
        """The main process, 0 if there is none."""
        child = self._child
        return 0 if child is None or child.gone.is_set() else child.pid

    @property
    def log_path(self) -> str:
        """The log file; empty if the driver keeps none."""
        return str(self.log.path) if isinstance(self.log, JsonFile) else ""

    def _launch(self) -> None:
        spec = self.spec
        if self._relay is None and spec.published:
            self._relay = self._relays.open(spec.address, spec.published)
        launch = Launch(spec.argv, spec.account, {**spec.inherit_env, **spec.env}, spec.cwd, spec.stop_signal)
        stdout, stderr = self._pump.pipe("stdout", self.log), self._pump.pipe("stderr", self.log)
        try:
            self.started_ns = clock.now()
            self._child = Child(lambda: launch.start(stdout, stderr), self._ended)
        finally:
            os.close(stdout)
            os.close(stderr)
        self.state, self.exit_code = "running", 0
        self._stopping = self.oom_killed = False
        if spec.health is not None:
            self.health = Health()
            threading.Thread(
                target=self._watch, args=(self._child, self.health, spec.health), name="health", daemon=True
            ).start()

    def _watch(self, child: Child, health: Health, check: Callable[[], str | None]) -> None:
        while not child.gone.wait(_STARTING_INTERVAL_S if health.status == "starting" else HEALTH_INTERVAL_S):
            if self.state == "paused":
                continue
            start = clock.now()
            complaint = check()
            if health.status == "starting" and complaint is not None and not self._overdue(start):
                continue
            if not child.gone.is_set():
                health.record(Probe(start, clock.now(), complaint))

    def _overdue(self, now: int) -> bool:
        return now - self.started_ns > HEALTH_START_PERIOD_S * 1_000_000_000

    def _ended(self, child: Child, code: int) -> None:
        with self._lock:
            if child is not self._child:
                return
            self._child = None
            self.exit_code, self.finished_ns = code, clock.now()
            self._close_relay()
            if self._stopping:
                self.state = "exited"
            else:
                self._restart_later()

    def _restart_later(self) -> None:
        ran_s = (self.finished_ns - self.started_ns) / 1_000_000_000
        if ran_s >= _SETTLED_S or not self._backoff_s:
            self._backoff_s = _FIRST_BACKOFF_S
        else:
            self._backoff_s = min(self._backoff_s * 2, _LONGEST_BACKOFF_S)
        self.state = "restarting"
        self.restart_count += 1
        self._timer = threading.Timer(self._backoff_s, self._restart_now)
        self._timer.daemon = True
        self._timer.start()

    def _restart_now(self) -> None:
        with self._lock:
            if self.state == "restarting":
                self._launch()

    def _close_relay(self) -> None:
        if self._relay is not None:
            self._relays.close(self._relay)
            self._relay = None

    def start(self, timeout_s: float | None = 30) -> None:
        """Start it as an operator.

        Args:
            timeout_s: how long it may take until it is ready; None not to wait.

        Raises:
            RehearsalError: it ended or did not become ready in time.
            OSError: a published port is taken.
        """
        with self._lock:
            if self.state in ("running", "paused"):
                return
            self._cancel_timer()
            self.restart_count, self._backoff_s = 0, 0.0
            self._launch()
        if timeout_s is not None:
            self.wait_ready(timeout_s)

    def wait_ready(self, timeout_s: float = 30) -> None:
        """Wait until it serves and its health check, if it has one, has passed once.

        Raises:
            RehearsalError: it ended or did not become ready in time.
        """

        def well() -> bool:
            return self.spec.ready() and (self.health is None or self.health.status == "healthy")

        if not _await(well, lambda: self.state in ("exited", "restarting"), timeout_s):
            raise RehearsalError(
                f"container {self.spec.service} does not serve; the end of its log:\n{self._tail()}"
            )

    def _tail(self) -> str:
        entries = list(self.log.entries())[-25:] if isinstance(self.log, JsonFile) else []
        return b"".join(entry.text for entry in entries).decode()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def stop(self, grace_s: float = _GRACE_S) -> None:
        """Stop it as an operator: its stop signal, after the grace time SIGKILL; it stays exited."""
        with self._lock:
            self._stopping = True
            self._cancel_timer()
            child = self._child
            if child is None:
                self.state = "exited"
                return
        child.end(self.spec.stop_signal, grace_s)
        _await(lambda: self.state == "exited", lambda: False, grace_s)

    def restart(self, timeout_s: float | None = 30) -> None:
        """Stop and start the same container: same id and log, new start time."""
        self.stop()
        self.start(timeout_s)

    def recreate(
        self,
        spec: Container | None = None,
        *,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = 30,
    ) -> None:
        """Remove it and create it anew, as `docker compose up` does after a change: new id, new log.

        Args:
            spec: the new specification; the present one if not given.
            env: its new environment, if that changed.
            timeout_s: as for `start`.
        """
        self.stop()
        with self._lock:
            old = self._site.containers / self.spec.service / self.id
            if isinstance(self.log, JsonFile):
                self.log.close()
            shutil.rmtree(old, ignore_errors=True)
            spec = spec or self.spec
            self._create(spec if env is None else replace(spec, env=env))
        self.start(timeout_s)

    def kill(self, number: int = signal.SIGKILL, *, out_of_memory: bool = False) -> None:
        """Send a signal to all its processes; the restart policy then applies.

        Args:
            number: the signal.
            out_of_memory: have `OOMKilled` say that the kernel did it.
        """
        with self._lock:
            self.oom_killed = out_of_memory
            if self._child is not None:
                self._child.signal(number)

    def pause(self) -> None:
        """Freeze its processes, as `docker pause` does."""
        with self._lock:
            if self._child is not None:
                self._child.signal(signal.SIGSTOP)
                self.state = "paused"

    def resume(self) -> None:
        """Let them go on."""
        with self._lock:
            if self._child is not None and self.state == "paused":
                self._child.signal(signal.SIGCONT)
                self.state = "running"


@dataclass
class Unit:
    """A systemd unit that is no process of ours, like a timer: what `systemctl` shows is declared."""

    name: str
    active: bool = True
    enabled: bool = True


class Runtime:
    """Everything that runs for one rehearsal.

    Attributes:
        programs: by name. containers: by service. units: declared systemd units by name.
        started_ns: when the runtime, which is the container engine, came up.
        engine_running: False while the engine refuses connections.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.programs: dict[str, RunningProgram] = {}
        self.containers: dict[str, RunningContainer] = {}
        self.units: dict[str, Unit] = {}
        self.started_ns = clock.now()
        self.engine_running = False
        self._pump = Pump()
        self._relays = Relays()

    def run_program(self, spec: Program) -> RunningProgram:
        """Start a program and wait until it serves.

        Raises:
            RehearsalError: it does not come up.
        """
        program = self.programs[spec.name] = RunningProgram(spec)
        program.start()
        return program

    def run_container(self, spec: Container, timeout_s: float | None = 30) -> RunningContainer:
        """Create and start a container and wait until it is ready.

        Raises:
            RehearsalError: it does not come up.
            OSError: a published port is taken.
        """
        container = RunningContainer(spec, self.site, self._pump, self._relays)
        self.containers[spec.service] = container
        container.start(timeout_s)
        return container

    def reap(self) -> None:
        """Collect orphans that ended."""
        programs = {program.pid for program in self.programs.values()}
        reap_orphans(programs | {container.pid for container in self.containers.values()})

    def close(self, grace_s: float = 3) -> None:
        """End everything that was started, all at once."""
        items: list[RunningContainer | RunningProgram] = [
            *self.containers.values(),
            *self.programs.values(),
        ]
        threads = [threading.Thread(target=item.stop, args=(grace_s,), daemon=True) for item in items]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(grace_s * 2)
