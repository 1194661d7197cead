"""Runs a command as an ordinary user: `as_user.py COMMAND …`, started by root with the project's Python.

The user exists only inside a private mount namespace, and works in a copy of the project that lies
where the project lies, so that every path stays the same and nothing of the real one can be changed.
When the command has ended, nothing of it is left.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from rehearsal.namespace import make_private, replace_file

PROJECT = Path(__file__).resolve().parent.parent
ENVIRONMENT = Path(sys.prefix)
NAME = "ordinary"
UID = 61500
ACCOUNT_FILES = {
    "passwd": f"{NAME}:x:{UID}:{UID}::{{home}}:/bin/sh",
    "group": f"{NAME}:x:{UID}:",
    "shadow": f"{NAME}:*:20000:0:99999:7:::",
}
LEFT_OUT = (".git", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", "__pycache__")


def prepare(work: Path) -> None:
    """Lay out what the user needs: a home directory, a copy of the project, account files.

    Raises:
        OSError: something cannot be copied.
    """
    work.chmod(0o755)
    (work / "home").mkdir(mode=0o700)
    copy = work / "project"
    shutil.copytree(PROJECT, copy, symlinks=True, ignore=_left_out)
    if ENVIRONMENT.is_relative_to(PROJECT):
        (copy / ENVIRONMENT.relative_to(PROJECT)).mkdir(parents=True, exist_ok=True)
    for path in (work / "home", copy, *copy.rglob("*")):
        os.chown(path, UID, UID, follow_symlinks=False)
    for name, line in ACCOUNT_FILES.items():
        existing = Path("/etc", name)
        text = existing.read_text(encoding="utf-8").rstrip("\n")
        (work / name).write_text(f"{text}\n{line.format(home=work / 'home')}\n", encoding="utf-8")
        shutil.copystat(existing, work / name)


def _left_out(directory: str, names: list[str]) -> set[str]:
    if Path(directory) == PROJECT / "reports":
        return {name for name in names if name != "README.md"}
    return {name for name in names if name in LEFT_OUT}


def become(work: Path) -> None:
    """Turn this process into one of the ordinary user, in the copy of the project.

    Raises:
        OSError: the machine does not allow root to make a mount namespace.
    """
    make_private([Path(sys.base_prefix), ENVIRONMENT, PROJECT, work])
    environment = os.open(ENVIRONMENT, os.O_PATH)
    replace_file(PROJECT, work / "project")
    if ENVIRONMENT.is_relative_to(PROJECT):
        replace_file(ENVIRONMENT, Path(f"/proc/self/fd/{environment}"))
    os.close(environment)
    for name in ACCOUNT_FILES:
        replace_file(Path("/etc", name), work / name)
    os.chdir(PROJECT)
    os.setgroups([])
    os.setresgid(UID, UID, UID)
    os.setresuid(UID, UID, UID)
    os.environ.update(HOME=str(work / "home"), USER=NAME, LOGNAME=NAME, SHELL="/bin/sh")


def run(work: Path, command: list[str]) -> int:
    """Run the command as the user and return its exit code."""
    child = os.fork()
    if child == 0:
        try:
            become(work)
            os.execvp(command[0], command)
        except OSError as error:
            print(f"as_user.py: {error}", file=sys.stderr)
        os._exit(4)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> int:
    """Run the command given as arguments; return its exit code, or 4 if it cannot be run."""
    if os.geteuid() != 0:
        print("as_user.py changes to an ordinary user, so only root can start it.", file=sys.stderr)
        return 4
    work = Path(tempfile.mkdtemp(prefix="ordinary-user-"))
    try:
        prepare(work)
        return run(work, sys.argv[1:])
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    sys.exit(main())
