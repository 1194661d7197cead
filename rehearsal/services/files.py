"""Files, directories and short-lived programs of the services, each with its owner and mode."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from rehearsal.site import Account


def make_directory(path: Path, *, mode: int = 0o755, account: Account | None = None) -> Path:
    """Create a directory with its missing parents (0755) whatever the umask, and return it.

    Several threads may do so at once.

    Raises:
        OSError: it cannot be created or given away.
    """
    for missing in [each for each in reversed(path.parents) if not each.exists()]:
        missing.mkdir(exist_ok=True)
        missing.chmod(0o755)
    path.mkdir(mode=mode, exist_ok=True)
    if account is not None:
        os.chown(path, account.uid, account.gid)
    path.chmod(mode)
    return path


def write(path: Path, content: str | bytes, *, mode: int = 0o644, account: Account | None = None) -> Path:
    """Write a file that never has wider permissions than `mode`, and return its path.

    Raises:
        OSError: it cannot be written or given away.
    """
    if not path.parent.exists():
        make_directory(path.parent)
    data = content.encode() if isinstance(content, str) else content
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        if account is not None:
            os.fchown(stream.fileno(), account.uid, account.gid)
        os.fchmod(stream.fileno(), mode)
        stream.write(data)
    return path


def run_as(account: Account, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> str:
    """Run a program to its end under an account and return what it printed.

    Raises:
        OSError: it is missing or exited with an error; the message holds its last line.
    """
    switch: dict[str, object] = {}
    if os.getuid() == 0 and account.uid != 0:
        switch = {"user": account.uid, "group": account.gid, "extra_groups": []}
    done = subprocess.run(
        argv,
        env=dict(env or {"PATH": os.defpath}),
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        **switch,  # type: ignore[call-overload]
    )
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise OSError(f"{argv[0]} exited with {done.returncode}: {' '.join(last)}")
    return str(done.stdout)


def accepts(address: str, port: int) -> bool:
    """Tell whether something accepts TCP connections there."""
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False
