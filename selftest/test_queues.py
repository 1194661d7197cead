"""What Redis tells of BullMQ's queues: recordings of both majors replayed into a real server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from acceptance.errors import RefusedError, UnavailableError
from acceptance.facts import queues
from acceptance.facts.queues import Active, Consumer, Queue, Queues, Waiting, consumers, waited_s
from acceptance.ledger import Ledger
from acceptance.secrets import Redactor
from acceptance.transports import redis as transport
from selftest.app_stack import recording, wait_for

RECORDED = recording("bullmq.json")
STAGES = {(major, stage["label"]): stage for major in ("v5", "v6") for stage in RECORDED[major]["stages"]}
PASSWORD = "the-password-of-this-test"
EMAIL = "bull:ZW1haWw="
NEVER = Retry(NoBackoff(), 0)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@dataclass
class Server:
    """A Redis of this test, on a Unix socket as the tunnel makes one."""

    socket: Path
    ledger: Path

    def client(self) -> Any:  # noqa: ANN401 - redis' replies are untyped
        return redis.Redis(
            unix_socket_path=str(self.socket),
            password=PASSWORD,
            decode_responses=True,
            protocol=2,
            driver_info=None,
        )

    def load(self, stage: Mapping[str, Any]) -> None:
        """Write a stage's recorded keys; streams are left out because nothing reads them."""
        client = self.client()
        client.flushall()
        for key, entry in stage["keys"].items():
            value = entry["value"]
            if entry["type"] == "hash":
                client.hset(key, mapping=value)
            elif entry["type"] == "list":
                client.rpush(key, *value)
            elif entry["type"] == "zset":
                client.zadd(key, dict(zip(value[::2], map(float, value[1::2]), strict=True)))
            elif entry["type"] == "string":
                client.set(key, value, px=entry["ttl"] if entry["ttl"] > 0 else None)

    def look(self, prefix: str = "bull", *, assumed: bool = False) -> Queues:
        """Collect the noun."""
        return asyncio.run(self._look(prefix, assumed=assumed))

    async def _look(self, prefix: str, *, assumed: bool) -> Queues:
        ledger = Ledger(self.ledger, Redactor())
        access = _Access(self._transport(ledger), prefix, assumed)
        try:
            return await queues.collect(access)  # type: ignore[arg-type]
        finally:
            await access.redis.close()
            ledger.close()

    def _transport(self, ledger: Ledger, user: str | None = None) -> transport.Queue:
        async def tunnel() -> Path:
            return self.socket

        return transport.Queue(tunnel, user, lambda: PASSWORD, ledger)

    def send(self, *requests: transport.Request, user: str | None = None) -> list[Any]:
        """Send requests through the transport."""

        async def sending() -> list[Any]:
            ledger = Ledger(self.ledger, Redactor())
            queue = self._transport(ledger, user)
            try:
                return await queue.send(requests)
            finally:
                await queue.close()
                ledger.close()

        return asyncio.run(sending())


class _Access:
    """As much of a run's access as the collector uses."""

    def __init__(self, queue: transport.Queue, prefix: str, assumed: bool) -> None:
        self.redis = queue
        self.target = _Target(prefix, assumed)


class _Target:
    def __init__(self, prefix: str, assumed: bool) -> None:
        self.redis = type("Redis", (), {"prefix": prefix})
        self._assumed = assumed

    def is_assumed(self, _key: str) -> bool:
        return self._assumed


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("redis")
    socket = directory / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--requirepass"]
    process = subprocess.Popen([*command, PASSWORD], cwd=directory, stdout=subprocess.DEVNULL)
    try:
        wait_for(socket.exists)
        yield Server(socket, directory / "ledger.jsonl")
    finally:
        process.kill()
        process.wait()


@pytest.fixture(autouse=True)
def empty(server: Server) -> Iterator[None]:
    server.client().flushall()
    yield
    server.client().client_kill_filter(_type="normal")


@pytest.fixture
def connect(server: Server) -> Callable[[str], None]:
    """Opens a connection of a name that blocks as a worker's does."""

    def connecting(name: str) -> None:
        client = redis.Redis(
            unix_socket_path=str(server.socket), password=PASSWORD, client_name=name, retry=NEVER
        )

        def block() -> None:
            with contextlib.suppress(redis.ConnectionError):
                client.bzpopmin("nothing", timeout=60)

        threading.Thread(target=block, daemon=True).start()
        observer = server.client()
        wait_for(
            lambda: any(entry["name"] == name and "b" in entry["flags"] for entry in observer.client_list())
        )

    return connecting


def the(found: Queues, name: str) -> Queue:
    """The queue of that name."""
    (queue,) = (queue for queue in found.all if queue.name == name)
    return queue


@pytest.mark.parametrize("major", ["v5", "v6"])
def test_a_worker_at_work(server: Server, connect: Callable[[str], None], major: str) -> None:
    server.load(STAGES[major, "worker connected, 1 active (held), others queued"])
    connect(EMAIL)
    queue = the(server.look(), "email")
    assert (queue.waiting, queue.prioritized, queue.delayed, queue.active) == (3, 1, 1, 1)
    assert [(job.id, job.locked) for job in queue.active_jobs] == [("1", True)]
    assert queue.stalled_check_ms is not None
    assert not queue.paused
    assert queue.is_busy
    assert queue.is_consumed


@pytest.mark.parametrize("major", ["v5", "v6"])
def test_the_oldest_job_is_found(server: Server, major: str) -> None:
    """By the server's clock: of all recorded jobs, job 2 was added first of those that wait."""
    server.load(STAGES[major, "worker connected, 1 active (held), others queued"])
    client = server.client()
    client.delete("bull:email:delayed")
    added = int(client.hget("bull:email:2", "timestamp"))
    found = server.look()
    oldest = the(found, "email").oldest
    assert oldest is not None
    assert oldest.id == "2"
    assert oldest.seconds == pytest.approx(found.at.timestamp() - added / 1000, abs=0.01)


@pytest.mark.parametrize("major", ["v5", "v6"])
def test_a_paused_queue(server: Server, connect: Callable[[str], None], major: str) -> None:
    """Version 5 moves the jobs to another list, version 6 leaves them; both count as waiting."""
    stage = STAGES[major, "queue paused with one job waiting"]
    assert ("bull:email:paused" in stage["keys"]) == (major == "v5")
    server.load(stage)
    connect(EMAIL)
    queue = the(server.look(), "email")
    assert queue.paused
    assert queue.waiting == 1
    assert queue.is_consumed


def test_workers_are_told_from_listeners() -> None:
    stage = STAGES["v6", "second worker with name option; QueueEvents open"]
    found = consumers(stage["client_list"], "bull")
    assert found == {
        "email": (Consumer(name="", idle_s=0, blocked=True),),
        "named": (Consumer(name="w-1", idle_s=0, blocked=True),),
    }


@pytest.mark.parametrize("prefix", ["{crm}", "we[i]rd*"])
def test_another_prefix(server: Server, connect: Callable[[str], None], prefix: str) -> None:
    server.load(STAGES["v6", "queue with prefix {crm}"])
    client = server.client()
    client.hset(f"{prefix}:pfx:meta", "version", "bullmq:6.7.0")
    connect(f"{prefix}:{base64.b64encode(b'pfx').decode()}")
    found = server.look(prefix)
    assert [queue.name for queue in found.all] == ["pfx"]
    assert found.all[0].is_consumed


def test_a_worker_without_keys_is_found(server: Server, connect: Callable[[str], None]) -> None:
    """As after Redis lost its data: the worker is connected, and meta comes with the next job."""
    connect(EMAIL)
    assert [queue.name for queue in server.look().all] == ["email"]


def test_queue_without_a_worker(server: Server) -> None:
    server.load(STAGES["v6", "2 waiting, 1 delayed, 1 prioritized, 1 scheduler; no worker"])
    found = server.look()
    assert found.unconsumed(found.all, 3600) == (
        "email: no worker is connected; 0 active with 0 locks; no stalled check",
    )


def test_a_listener_is_no_worker(server: Server, connect: Callable[[str], None]) -> None:
    server.load(STAGES["v6", "queue object opened, nothing added"])
    connect(f"{EMAIL}:qe")
    assert not the(server.look(), "email").is_consumed


@pytest.mark.parametrize(("assumed", "begins"), [(False, "Redis holds"), (True, "assumed name not found")])
def test_no_queue_at_all(server: Server, assumed: bool, begins: str) -> None:
    server.client().hset("bull:email:repeat:meta", "name", "meta")
    with pytest.raises(UnavailableError, match=f"^{begins}"):
        server.look(assumed=assumed)


def test_long_lists_are_read_from_both_ends(server: Server) -> None:
    now_ms = int(time.time() * 1000)
    client = server.client()
    client.hset("bull:email:meta", "version", "bullmq:6.7.0")
    pipeline = client.pipeline()
    for number in range(500):
        pipeline.lpush("bull:email:wait", number)
        pipeline.hset(f"bull:email:{number}", "timestamp", now_ms - 1000 * (500 - number))
    pipeline.execute()
    oldest = the(server.look(), "email").oldest
    assert oldest is not None
    assert oldest.id == "0"
    client.hset("bull:email:499", "timestamp", now_ms - 9_000_000)
    oldest = the(server.look(), "email").oldest
    assert oldest is not None
    assert oldest.id == "499"


def test_an_overdue_delayed_job_waits(server: Server) -> None:
    client = server.client()
    client.hset("bull:email:meta", "version", "bullmq:6.7.0")
    due_ms = int(time.time() * 1000) - 400_000
    client.zadd("bull:email:delayed", {"7": due_ms * 4096 + 12, "8": (due_ms + 900_000) * 4096})
    found = server.look()
    oldest = the(found, "email").oldest
    assert oldest is not None
    assert oldest.id == "7"
    assert oldest.seconds == pytest.approx(found.at.timestamp() - due_ms / 1000, abs=0.01)
    assert found.overdue(found.all, 300) != ()
    assert found.overdue(found.all, 4000) == ()


def test_personal_data_is_never_read(server: Server) -> None:
    server.load(STAGES["v6", "2 waiting, 1 delayed, 1 prioritized, 1 scheduler; no worker"])
    sent = monitored(server, server.look)
    assert {" ".join(command[:2]) if command[0] == "CLIENT" else command[0] for command in sent} <= (
        transport.READS | {"AUTH"}
    )
    fields = {field for command in sent if command[0] == "HMGET" for field in command[2:]}
    assert fields == {"paused", "timestamp", "processedOn", "delay", "ats"}


def monitored(server: Server, act: Callable[[], object]) -> list[list[str]]:
    """Every command that arrives at the server meanwhile."""
    seen: list[list[str]] = []
    with server.client().monitor() as monitor:
        act()
        server.client().echo("the end")
        for entry in monitor.listen():
            command = [part.strip('"') for part in re.findall(r'"[^"]*"|\S+', entry["command"])]
            if command[0].upper() == "ECHO":
                break
            seen.append([command[0].upper(), *command[1:]])
    return seen


def test_an_account_that_may_only_read_is_enough(server: Server) -> None:
    rights = ["-@all", "+@read", "+client|list", "+time"]
    server.client().acl_setuser(
        "reader",
        enabled=True,
        passwords=[f"+{PASSWORD}"],
        keys=["*"],
        categories=rights[:2],
        commands=rights[2:],
    )
    requests: list[transport.Request] = [("TIME",), ("CLIENT LIST",), ("SCAN", 0), ("EXISTS", "x")]
    assert server.send(*requests, user="reader")[3] == 0


def test_what_is_not_declared_is_not_sent(server: Server) -> None:
    before = server.ledger.read_text() if server.ledger.exists() else ""
    with pytest.raises(RefusedError, match="HGETALL is not declared"):
        server.send(("TIME",), ("HGETALL", "bull:email:1"))
    (line,) = server.ledger.read_text().removeprefix(before).splitlines()
    assert json.loads(line)["kind"] == "refused"


def test_a_wrong_type_is_unavailable(server: Server) -> None:
    server.client().set("bull:email:wait", "text")
    with pytest.raises(UnavailableError, match="WRONGTYPE"):
        server.send(("TIME",), ("LLEN", "bull:email:wait"))


def timeline() -> Iterator[tuple[str, Queue]]:
    """The recorded life of a worker that was frozen, went on, and was blocked by a job, step by step."""
    label, lines = "", list[str]()
    for line in [*RECORDED["frozen_and_blocked_worker_v6"], "== end"]:
        if line.startswith("== "):
            if label:
                yield label, _step(lines)
            label, lines = line.removeprefix("== ").split(" t=")[0], []
        else:
            lines.append(line)


def _step(lines: list[str]) -> Queue:
    text = "\n".join(lines)
    client = re.search(r"name=(\S+) age=\d+ idle=(\d+) flags=(\S+)", text)
    expires = int(re.findall(r"stalled-check=\S* pttl=(-?\d+)", text)[0])
    active = re.findall(r"active=(\d*)", text)[0]
    locked = re.search(r"lock \d+: \S", text) is not None
    workers = [{"name": client[1], "idle": client[2], "flags": client[3]}] if client else []
    return Queue(
        name="hung",
        paused=False,
        waiting=int(re.findall(r"wait=(\d+)", text)[0]),
        prioritized=0,
        delayed=0,
        active=int(bool(active)),
        oldest=None,
        active_jobs=(Active(id=active, seconds=40, locked=locked),) if active else (),
        stalled_check_ms=expires if expires >= 0 else None,
        consumers=consumers(workers, "bull").get("hung", ()),
    )


def test_a_recorded_worker_that_hangs() -> None:
    assert {label: queue.is_consumed for label, queue in timeline()} == {
        "healthy idle": True,
        "healthy idle +4s": True,
        "idle +12s": True,
        "frozen (SIGSTOP), job added": True,
        "frozen +20s": False,
        "frozen +36s": False,
        "continued": True,
        "event loop blocked by a job": True,
        "blocked +36s": False,
        "after block": True,
        "worker killed": False,
    }


def queue_with(**fields: object) -> Queue:
    """A healthy idle queue but for these fields."""
    healthy = {
        "name": "email",
        "paused": False,
        "waiting": 0,
        "prioritized": 0,
        "delayed": 0,
        "active": 0,
        "oldest": None,
        "active_jobs": (),
        "stalled_check_ms": 20000,
        "consumers": (Consumer(name="", idle_s=3, blocked=True),),
    }
    return Queue.model_validate({**healthy, **fields})


BUSY = Consumer(name="", idle_s=900, blocked=False)


@pytest.mark.parametrize(
    ("fields", "consumed"),
    [
        ({}, True),
        ({"stalled_check_ms": None}, True),
        ({"consumers": ()}, False),
        ({"consumers": (Consumer(name="", idle_s=14, blocked=True),)}, True),
        ({"consumers": (Consumer(name="", idle_s=16, blocked=True),)}, False),
        ({"consumers": (Consumer(name="", idle_s=6, blocked=False),)}, False),
        (
            {"consumers": (BUSY,), "active": 1, "active_jobs": (Active(id="1", seconds=900, locked=True),)},
            True,
        ),
        (
            {
                "consumers": (BUSY,),
                "active": 2,
                "active_jobs": (
                    Active(id="1", seconds=900, locked=True),
                    Active(id="2", seconds=5, locked=False),
                ),
            },
            True,
        ),
        (
            {
                "consumers": (BUSY,),
                "active": 1,
                "active_jobs": (Active(id="1", seconds=900, locked=False),),
                "stalled_check_ms": None,
            },
            False,
        ),
        ({"active": 1, "active_jobs": (Active(id="1", seconds=9, locked=True),), "consumers": ()}, False),
    ],
)
def test_signs_of_life(fields: dict[str, Any], consumed: bool) -> None:
    assert queue_with(**fields).is_consumed is consumed


def found_with(**fields: object) -> Queues:
    """One such queue, looked at at a fixed time."""
    return Queues(at=NOW, prefix="bull", all=(queue_with(**fields),))


def test_a_worker_that_was_just_started_is_excused() -> None:
    found = found_with(consumers=())
    with pytest.raises(UnavailableError, match="the worker started 12 s ago; not there yet: email"):
        found.unconsumed(found.all, 12)
    assert found.unconsumed(found.all, 31) != ()


def test_a_hung_worker_is_not_excused() -> None:
    found = found_with(consumers=(Consumer(name="", idle_s=9, blocked=False),))
    assert found.unconsumed(found.all, 12) == (
        "email: not asking, idle 9 s; 0 active with 0 locks; stalled check",
    )


@pytest.mark.parametrize(
    ("job", "worker_runs_s", "stalled"),
    [
        (Active(id="1", seconds=61, locked=False), 3600, True),
        (Active(id="1", seconds=61, locked=True), 3600, False),
        (Active(id="1", seconds=59, locked=False), 3600, False),
        (Active(id="1", seconds=9000, locked=False), 45, False),
        (Active(id="1", seconds=None, locked=False), 3600, False),
    ],
)
def test_an_abandoned_job(job: Active, worker_runs_s: float, stalled: bool) -> None:
    found = found_with(active=1, active_jobs=(job,))
    assert bool(found.stalled(found.all, worker_runs_s)) is stalled


@pytest.mark.parametrize(
    ("id_", "fields", "seconds"),
    [
        ("1", ("1000000", None, "0", None), 1000),
        ("1", ("1000000", None, "300000", None), 700),
        ("1", ("1000000", "1900000", "0", "1"), 100),
        ("repeat:nightly:1795451098603", ("1000000", None, "0", None), 0),
        ("1", (None, None, None, None), None),
    ],
)
def test_waiting_time(id_: str, fields: tuple[str | None, ...], seconds: float | None) -> None:
    """Since it was added and its delay passed, since it was last tried, or since its schedule."""
    assert waited_s(id_, fields, 2_000_000) == seconds


def test_declared_queues() -> None:
    found = found_with(oldest=Waiting(id="1", seconds=301))
    assert found.judged(()) == found.all
    assert found.judged(("email",)) == found.all
    with pytest.raises(UnavailableError, match="there is no queue documents"):
        found.judged(("documents", "email"))
