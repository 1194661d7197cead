"""Runs a command as an ordinary user: `as_user.py COMMAND …`, started by root.

The user exists only inside a private mount namespace, and works in a copy of the project that lies
where the project lies, so that every path stays the same and nothing of the real one can be changed.
When the command has ended, nothing of it is left.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
NAME = "ordinary"
UID = 61500
LEFT_OUT = (".git", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", "__pycache__")


def hidden_parent(path: Path) -> Path | None:
    """Return the topmost directory above a path that others may not enter; None if there is none."""
    return next((parent for parent in reversed(path.parents) if not parent.stat().st_mode & 0o001), None)


def bind(source: Path, at: Path) -> str:
    """Return the shell commands that show one directory at another place."""
    return f"mkdir -p {shlex.quote(str(at))}\nmount --bind {shlex.quote(str(source))} {shlex.quote(str(at))}"


def script(work: Path, shown: dict[Path, Path], command: list[str]) -> str:
    """Return what runs inside the new mount namespace.

    Args:
        work: a directory with the files `passwd`, `group`, `shadow` and the directory `home`.
        shown: for each place the directory that the user sees there, outer places first; it holds
            every directory the command needs from below one that others may not enter.
        command: what the user runs.
    """
    held = {place: work / "held" / str(number) for number, place in enumerate(shown)}
    lines = ["set -eu", "umask 022", "mount --make-rprivate / 2>/dev/null || true"]
    lines += [bind(source, held[place]) for place, source in shown.items()]
    hidden = dict.fromkeys(parent for place in shown if (parent := hidden_parent(place)))
    lines += [f"mount -t tmpfs -o mode=0755 tmpfs {shlex.quote(str(parent))}" for parent in hidden]
    lines += [bind(held[place], place) for place in shown]
    lines += [f"mount --bind {shlex.quote(str(work / name))} /etc/{name}" for name in ACCOUNT_FILES]
    lines.append(f"cd {shlex.quote(str(PROJECT))}")
    identity = f"setpriv --reuid {UID} --regid {UID} --clear-groups --no-new-privs"
    environment = f"env HOME={shlex.quote(str(work / 'home'))} USER={NAME} LOGNAME={NAME} SHELL=/bin/sh"
    lines.append(f"exec {identity} {environment} {shlex.join(command)}")
    return "\n".join(lines) + "\n"


ACCOUNT_FILES = ("passwd", "group", "shadow")


def accounts(work: Path) -> None:
    """Write the machine's account files with the ordinary user added."""
    added = {
        "passwd": f"{NAME}:x:{UID}:{UID}::{work / 'home'}:/bin/sh",
        "group": f"{NAME}:x:{UID}:",
        "shadow": f"{NAME}:*:19000:0:99999:7:::",
    }
    for name, line in added.items():
        existing = Path("/etc", name)
        (work / name).write_text(
            f"{existing.read_text(encoding='utf-8').rstrip()}\n{line}\n", encoding="utf-8"
        )
        shutil.copystat(existing, work / name)


def give(tree: Path) -> None:
    """Make the ordinary user the owner of everything below a directory."""
    for path in (tree, *tree.rglob("*")):
        os.chown(path, UID, UID, follow_symlinks=False)


def prepare(work: Path) -> dict[Path, Path]:
    """Copy what the user may change; return what is to be shown where."""
    work.chmod(0o755)
    accounts(work)
    (work / "home").mkdir(mode=0o700)
    copy = work / "project"
    shutil.copytree(PROJECT, copy, symlinks=True, ignore=_left_out)
    give(copy)
    give(work / "home")
    shown = {PROJECT: copy, PROJECT / ".venv": PROJECT / ".venv"}
    base = Path(sysconfig.get_config_var("base"))
    if hidden_parent(base):
        shown[base] = base
    return shown


def _left_out(directory: str, names: list[str]) -> set[str]:
    if Path(directory) == PROJECT / "reports":
        return {name for name in names if name != "README.md"}
    return {name for name in names if name in LEFT_OUT}


def main() -> int:
    """Run the command; return its exit code."""
    if os.geteuid() != 0:
        print("as_user.py changes to an ordinary user, so only root can start it.", file=sys.stderr)
        return 4
    work = Path(tempfile.mkdtemp(prefix="ordinary-user-"))
    try:
        text = script(work, prepare(work), sys.argv[1:])
        child = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", text])
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        return child.wait()
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
