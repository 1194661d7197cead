"""`systemctl` for a machine without systemd: answered from the programs that really run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rehearsal.runtime.process import RunningProgram, Runtime, Unit

_NOT_ACTIVE, _UNKNOWN = 3, 4

Answer = tuple[int, str, str]


@dataclass(frozen=True)
class UnitState:
    """What systemd would know about a unit; times in nanoseconds, 0 for never."""

    name: str
    active: str
    sub: str
    pid: int
    started_ns: int
    exit_code: int
    enabled: bool
    description: str
    loaded: bool = True


class Systemctl:
    """Answers `is-active`, `is-enabled` and `show`."""

    def __init__(self, runtime: Runtime, engine_pid: int) -> None:
        self._runtime = runtime
        self._engine_pid = engine_pid
        self._commands: dict[str, Callable[[list[str]], Answer]] = {
            "is-active": self._is_active,
            "is-enabled": self._is_enabled,
            "show": self._show,
        }

    def answer(self, argv: Sequence[str]) -> Answer:
        """Return exit code, standard output and standard error; codes as systemd's."""
        words = [word for word in argv if word not in ("--no-pager", "--system", "-q", "--quiet")]
        if not words or words[0] not in self._commands:
            return 1, "", f"Unknown command verb {words[0] if words else ''}.\n"
        return self._commands[words[0]](words[1:])

    def _state(self, name: str) -> UnitState:
        if "." not in name:
            name += ".service"
        for program in self._runtime.programs.values():
            if program.spec.unit and f"{program.spec.unit.removesuffix('.service')}.service" == name:
                return _of_program(name, program)
        if name in ("docker.service", "docker.socket"):
            return self._engine(name)
        if name in self._runtime.units:
            return _of_unit(self._runtime.units[name], self._runtime.started_ns)
        return UnitState(name, "inactive", "dead", 0, 0, 0, False, name, loaded=False)

    def _engine(self, name: str) -> UnitState:
        started, description = self._runtime.started_ns, "Docker Application Container Engine"
        if self._runtime.engine_running:
            return UnitState(name, "active", "running", self._engine_pid, started, 0, True, description)
        return UnitState(name, "inactive", "dead", 0, started, 0, True, description)

    def _is_active(self, words: list[str]) -> Answer:
        states = [self._state(name) for name in words]
        code = _NOT_ACTIVE if any(state.loaded for state in states) else _UNKNOWN
        if any(state.active == "active" for state in states):
            code = 0
        return code, "".join(f"{state.active}\n" for state in states), ""

    def _is_enabled(self, words: list[str]) -> Answer:
        states = [self._state(name) for name in words]
        stdout = "".join(
            f"{'enabled' if state.enabled else 'disabled'}\n" for state in states if state.loaded
        )
        stderr = "".join(
            f"Failed to get unit file state for {state.name}: No such file or directory\n"
            for state in states
            if not state.loaded
        )
        return 0 if any(state.enabled for state in states) and not stderr else 1, stdout, stderr

    def _show(self, words: list[str]) -> Answer:
        wanted, names, bare, unix = _show_options(words)
        blocks = []
        for name in names:
            properties = _properties(self._state(name), unix=unix)
            chosen = [key for key in properties if not wanted or key in wanted]
            blocks.append(
                "".join(f"{properties[key] if bare else f'{key}={properties[key]}'}\n" for key in chosen)
            )
        return 0, "\n".join(blocks), ""


def _of_program(name: str, program: RunningProgram) -> UnitState:
    if program.running:
        active, sub = "active", "running"
    elif program.stopped or program.exit_code == 0:
        active, sub = "inactive", "dead"
    else:
        active, sub = "failed", "failed"
    return UnitState(
        name, active, sub, program.pid, program.started_ns, program.exit_code, True, program.spec.name
    )


def _of_unit(unit: Unit, started_ns: int) -> UnitState:
    sub = ("waiting" if unit.name.endswith(".timer") else "exited") if unit.active else "dead"
    active = "active" if unit.active else "inactive"
    return UnitState(unit.name, active, sub, 0, started_ns if unit.active else 0, 0, unit.enabled, unit.name)


def _show_options(words: list[str]) -> tuple[set[str], list[str], bool, bool]:
    wanted: set[str] = set()
    names: list[str] = []
    bare = unix = False
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in ("-p", "--property") and rest:
            wanted.update(rest.pop(0).split(","))
        elif word.startswith("--property="):
            wanted.update(word.partition("=")[2].split(","))
        elif word.startswith("-p"):
            wanted.update(word[2:].split(","))
        elif word == "--value":
            bare = True
        elif word == "--timestamp=unix":
            unix = True
        else:
            names.append(word)
    return wanted, names, bare, unix


def _properties(state: UnitState, *, unix: bool) -> dict[str, str]:
    active_since = _timestamp(state.started_ns if state.active == "active" else 0, unix=unix)
    return {
        "Type": "notify",
        "Restart": "no",
        "MainPID": str(state.pid),
        "Result": "success" if state.active != "failed" else "exit-code",
        "NRestarts": "0",
        "ExecMainStartTimestamp": _timestamp(state.started_ns, unix=unix),
        "ExecMainPID": str(state.pid),
        "ExecMainStatus": str(state.exit_code),
        "Id": state.name,
        "Names": state.name,
        "Description": state.description,
        "LoadState": "loaded" if state.loaded else "not-found",
        "ActiveState": state.active,
        "SubState": state.sub,
        "UnitFileState": ("enabled" if state.enabled else "disabled") if state.loaded else "",
        "ActiveEnterTimestamp": active_since,
    }


def _timestamp(nanoseconds: int, *, unix: bool) -> str:
    if not nanoseconds:
        return ""
    seconds = nanoseconds // 1_000_000_000
    return f"@{seconds}" if unix else f"{datetime.fromtimestamp(seconds, UTC):%a %Y-%m-%d %H:%M:%S} UTC"
