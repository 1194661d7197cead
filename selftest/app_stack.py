"""A throwaway PostgreSQL, a Redis and the stand-in applications as real processes, on loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import psycopg
import redis

from rehearsal.apps.crm import seed
from rehearsal.site import free_net

Json: TypeAlias = Any
"""Decoded JSON."""

NOBODY = 65534
PASSWORD = "correct horse 1"
EMAIL = "stefan@example.test"
INTAKE_SECRET = "intake-secret-of-the-test"
DOCUMENSO_SECRET = "documenso-secret-of-the-test"
REPOSITORY = Path(__file__).resolve().parent.parent
RECORDINGS = Path(__file__).resolve().parent / "recordings" / "peers"


@dataclass(frozen=True)
class File:
    """One row of stored_files."""

    key: str
    size: int
    content_type: str
    sha256: str


@dataclass
class Process:
    """A running stand-in: where it answers, what it wrote, and its knobs."""

    process: subprocess.Popen[bytes]
    url: str
    directory: Path
    stdout: Path
    stderr: Path
    knobs: Path

    def turn(self, **values: object) -> None:
        """Set the knobs, absent ones back to healthy."""
        scratch = self.knobs.with_suffix(".new")
        scratch.write_text(json.dumps(values))
        scratch.replace(self.knobs)

    def errors(self) -> str:
        """What it wrote to standard error so far."""
        return self.stderr.read_text(encoding="utf-8")


@dataclass
class Stack:
    """PostgreSQL and Redis, and the environment by which applications find them."""

    directory: Path
    net: str
    dsn: str
    redis_url: str
    postgres_log: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, module: str, name: str, environment: Mapping[str, str] | None = None) -> Process:
        """Start an application; wait until it has printed something."""
        address, port = f"{self.net}.31", free_port(f"{self.net}.31")
        directory = self.directory / name
        directory.mkdir()
        stdout, stderr, knobs = directory / "stdout", directory / "stderr", directory / "knobs.json"
        variables = {
            "PATH": os.environ["PATH"],
            "HOSTNAME": address,
            "PORT": str(port),
            "NODE_ENV": "development",
            "APP_URL": f"http://{address}:{port}",
            "BETTER_AUTH_SECRET": "auth-secret-of-the-test",
            "DATABASE_URL": self.dsn,
            "REDIS_URL": self.redis_url,
            "WEBSITE_INTAKE_SECRET": INTAKE_SECRET,
            "DOCUMENSO_WEBHOOK_SECRET": DOCUMENSO_SECRET,
            "REHEARSAL_KNOBS": str(knobs),
            **(environment or {}),
        }
        with stdout.open("wb") as out, stderr.open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", module], cwd=REPOSITORY, env=variables, stdout=out, stderr=err
            )
        self.processes.append(process)
        running = Process(process, f"http://{address}:{port}", directory, stdout, stderr, knobs)
        wait_for(lambda: bool(stdout.read_bytes()), running.errors)
        return running

    def rows(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(sql.encode(), params)
            return cursor.fetchall() if cursor.description else []

    def redis(self) -> redis.Redis:
        """A client of the Redis."""
        return redis.Redis.from_url(self.redis_url, decode_responses=True)


def wait_for(ready: Callable[[], bool], explain: Callable[[], str] = str, seconds: float = 30) -> None:
    """Poll until ready.

    Raises:
        TimeoutError: it never was; the text of `explain` tells more.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(explain())
        time.sleep(0.02)


def free_port(address: str) -> int:
    """A port of that address that nobody uses."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def recording(name: str) -> Json:
    """A recorded exchange of the real software."""
    return json.loads((RECORDINGS / name).read_text(encoding="utf-8"))


def client(process: Process, **headers: str) -> httpx.Client:
    """An HTTP client that follows no redirect and sends nothing of its own accord that matters."""
    return httpx.Client(base_url=process.url, headers=headers, timeout=20)


@contextmanager
def running() -> Iterator[Stack]:
    """Boot PostgreSQL and Redis, loaded with the seed; end everything that was started."""
    with database() as stack:
        _start_redis(stack)
        seed.load(stack.dsn, admin_email=EMAIL, admin_password=PASSWORD, files=[_file()])
        yield stack


@contextmanager
def database() -> Iterator[Stack]:
    """Boot PostgreSQL alone, with nothing in it; end everything that was started."""
    directory = Path(tempfile.mkdtemp(prefix="apps-"))
    directory.chmod(0o755)
    net = free_net()
    stack = Stack(directory, net, "", "", directory / "postgres.log")
    try:
        _start_postgres(stack)
        yield stack
    finally:
        for process in reversed(stack.processes):
            _end(process)
        shutil.rmtree(directory, ignore_errors=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Have it end by itself, so that PostgreSQL removes its shared memory; kill what does not."""
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _file() -> File:
    return File("documents/a.pdf", 5, "application/pdf", "0" * 64)


def _start_postgres(stack: Stack) -> None:
    programs = max(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4])
    ).parent
    data = stack.directory / "pgdata"
    data.mkdir()
    if os.geteuid() == 0:
        os.chown(data, NOBODY, NOBODY)
    prefix = _unprivileged()
    environment = {"PATH": os.environ["PATH"], "HOME": str(data), "LC_ALL": "C"}
    initdb = [*prefix, str(programs / "initdb"), "-D", str(data), "-U", "crm", "-A", "trust", "--no-sync"]
    subprocess.run(
        [*initdb, "--encoding=UTF8", "--no-locale"], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    address, port = f"{stack.net}.33", free_port(f"{stack.net}.33")
    options = {"listen_addresses": address, "port": str(port), "unix_socket_directories": "", "fsync": "off"}
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    with stack.postgres_log.open("wb") as log:
        postgres = [*prefix, str(programs / "postgres"), "-D", str(data), *settings]
        stack.processes.append(subprocess.Popen(postgres, env=environment, stdout=log, stderr=log))
    stack.dsn = f"postgres://crm:unused@{address}:{port}/postgres"
    wait_for(lambda: b"database system is ready" in stack.postgres_log.read_bytes())


def _start_redis(stack: Stack) -> None:
    address, port = f"{stack.net}.34", free_port(f"{stack.net}.34")
    command = ["redis-server", "--bind", address, "--port", str(port), "--requirepass", "pw", "--save", ""]
    stack.processes.append(
        subprocess.Popen(command, cwd=stack.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    )
    stack.redis_url = f"redis://:pw@{address}:{port}"

    def answers() -> bool:
        try:
            return bool(stack.redis().ping())
        except redis.ConnectionError:
            return False

    wait_for(answers)


def _unprivileged() -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
