"""What several faults need: edits that undo themselves, reloads that are awaited, knobs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rehearsal.services import nginx

if TYPE_CHECKING:
    from rehearsal.stack import Stack

AFTER_RELOAD_S = 1.3
"""A file edited this long after a reload is certainly newer than the running workers."""


def wait_until(done: Callable[[], bool], what: str, timeout_s: float = 15) -> None:
    """Poll until `done` is true.

    Raises:
        TimeoutError: it did not become true in time.
    """
    deadline = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {timeout_s:g} s")
        time.sleep(0.02)


@contextmanager
def edited(path: Path, old: str, new: str) -> Iterator[None]:
    """Replace every occurrence of a text in a file; afterwards restore content and modification time.

    Raises:
        ValueError: the text does not occur, so the fault would inject nothing.
    """
    text = path.read_text(encoding="utf-8")
    if old not in text:
        raise ValueError(f"{path.name} does not hold {old!r}")
    with replaced(path, text.replace(old, new)):
        yield


@contextmanager
def replaced(path: Path, content: str) -> Iterator[None]:
    """Replace a file's content in place; afterwards restore content and modification time."""
    before, times = path.read_text(encoding="utf-8"), path.stat()
    path.write_text(content, encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@contextmanager
def moved_away(path: Path) -> Iterator[None]:
    """Take a file or link away for a while."""
    aside = path.with_name(f".{path.name}.away")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


def reload_nginx(stack: Stack) -> None:
    """Reload nginx and wait until new workers have taken over.

    Raises:
        TimeoutError: they did not, because the configuration is refused.
    """
    master = stack.program("nginx")
    before = _children(master.pid)
    master.reload()
    wait_until(lambda: bool(_children(master.pid) - before), "nginx's reload")
    time.sleep(0.1)


def _children(pid: int) -> set[str]:
    return set(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())


@contextmanager
def vhost(stack: Stack, old: str, new: str) -> Iterator[None]:
    """Edit the CRM's vhost and reload nginx; likewise back."""
    with edited(nginx.vhost(stack.site), old, new):
        reload_nginx(stack)
        yield
    reload_nginx(stack)


@contextmanager
def unloaded(stack: Stack, old: str, new: str) -> Iterator[None]:
    """Edit the CRM's vhost without reloading nginx; reload it once the edit is undone."""
    time.sleep(AFTER_RELOAD_S)
    with edited(nginx.vhost(stack.site), old, new):
        yield
    reload_nginx(stack)


@contextmanager
def program(stack: Stack, name: str, script: str) -> Iterator[None]:
    """Put a program of the server before the machine's own of that name, for logins and for su.

    Args:
        stack: the rehearsal.
        name: the program's.
        script: what is done first, in POSIX sh; the machine's program then runs with the arguments left.
    """
    path = stack.site.host / "usr" / "bin" / name
    path.write_text(f'#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\nexec {name} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    try:
        yield
    finally:
        path.unlink()


@contextmanager
def knob(stack: Stack, service: str, **values: object) -> Iterator[None]:
    """Turn knobs of a stand-in, and back to healthy."""
    path = stack.site.knobs(service)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values), encoding="utf-8")
    path.chmod(0o644)
    try:
        yield
    finally:
        path.unlink()
