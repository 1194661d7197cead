"""The worker stand-in's traces in Redis against those of BullMQ for Node."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from bullmq import Queue

from selftest import app_stack
from selftest.app_stack import Process, Stack, recording

V6 = recording("bullmq.json")["v6"]
STAGES = {stage["label"]: stage for stage in V6["stages"]}
IDLE = STAGES["after retries: one failed; worker idle in blocking pop"]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with app_stack.running() as running:
        yield running


@pytest.fixture(scope="module")
def worker(stack: Stack) -> Process:
    process = stack.start("rehearsal.apps.worker", "worker")
    app_stack.wait_for(lambda: len(named(stack)) == 2, process.errors)
    return process


@pytest.fixture(autouse=True)
def healthy(worker: Process) -> Iterator[None]:
    yield
    worker.turn()


def named(stack: Stack) -> dict[str, dict[str, str]]:
    """The named connections, as CLIENT LIST shows them."""
    with stack.redis() as connection:
        return {entry["name"]: entry for entry in connection.client_list() if entry["name"]}


def add(stack: Stack, queue: str, name: str, data: dict[str, str]) -> str:
    """Add a job; return its id."""

    async def adding() -> str:
        opened = Queue(queue, {"connection": stack.redis_url})
        job = await opened.add(name, data, {})
        await opened.close()
        return str(job.id)

    return asyncio.run(adding())


def hash_of(stack: Stack, key: str) -> dict[str, str]:
    with stack.redis() as connection:
        values: Any = connection.hgetall(key)
        return dict(values)


def test_only_the_blocking_connections_are_named(stack: Stack, worker: Process) -> None:
    recorded = next(entry for entry in IDLE["client_list"] if entry["name"])
    assert worker.process.poll() is None
    app_stack.wait_for(lambda: all(entry["flags"] == recorded["flags"] for entry in named(stack).values()))
    seen = named(stack)
    assert set(seen) == {recorded["name"], "bull:ZG9jdW1lbnRz"}
    assert {entry["cmd"] for entry in seen.values()} == {recorded["cmd"]}


def test_idle_worker_keeps_its_connection(stack: Stack, worker: Process) -> None:
    """Past the end of a blocking read, which redis-py's default timeout would not outlive."""
    assert worker.process.poll() is None
    before = named(stack)["bull:ZW1haWw="]
    app_stack.wait_for(lambda: int(named(stack)["bull:ZW1haWw="]["idle"]) >= 3)
    app_stack.wait_for(lambda: int(named(stack).get("bull:ZW1haWw=", {"idle": "0"})["idle"]) < 3)
    assert named(stack)["bull:ZW1haWw="]["id"] == before["id"]


def test_meta_and_stalled_check_exist_from_the_start(stack: Stack, worker: Process) -> None:
    assert worker.process.poll() is None
    assert hash_of(stack, "bull:email:meta") == IDLE["keys"]["bull:email:meta"]["value"]
    with stack.redis() as connection:
        app_stack.wait_for(lambda: 0 < connection.pttl("bull:email:stalled-check") <= 30000)
        assert connection.type("bull:email:stalled-check") == IDLE["keys"]["bull:email:stalled-check"]["type"]


def test_finished_job_has_the_recorded_fields(stack: Stack, worker: Process) -> None:
    number = add(stack, "email", "send", {"to": "a"})
    app_stack.wait_for(lambda: "finishedOn" in hash_of(stack, f"bull:email:{number}"), worker.errors)
    recorded = STAGES["drained: completed, one failing job in backoff (delayed)"]["keys"]
    seen = hash_of(stack, f"bull:email:{number}")
    expected = recorded["bull:email:1"]["value"]
    assert set(expected) - set(seen) == set()
    assert {name: seen[name] for name in ("name", "delay", "priority", "ats", "atm")} == {
        name: expected[name] for name in ("name", "delay", "priority", "ats", "atm")
    }
    with stack.redis() as connection:
        assert connection.type("bull:email:completed") == recorded["bull:email:completed"]["type"]
        assert connection.type("bull:email:events") == recorded["bull:email:events"]["type"]
        assert connection.llen("bull:email:wait") == 0


def test_failed_job_leaves_the_drivers_error_in_the_log(stack: Stack, worker: Process) -> None:
    worker.turn(log="postgresjs-object")
    number = add(stack, "documents", "query", {"kind": "column"})
    app_stack.wait_for(lambda: "failedReason" in hash_of(stack, f"bull:documents:{number}"), worker.errors)
    assert 'PostgresError: column "colour" does not exist' in worker.errors()
    with stack.redis() as connection:
        assert connection.type("bull:documents:failed") == IDLE["keys"]["bull:email:failed"]["type"]


def test_hung_worker_stays_connected_and_takes_nothing(stack: Stack, worker: Process) -> None:
    """As recorded of a frozen one: still listed, no longer blocking once a job came, and the job waits."""
    worker.turn(hang=True)
    app_stack.wait_for(lambda: left_waiting(stack))
    assert named(stack)["bull:ZW1haWw="]["flags"] == "N"
    worker.turn()
    app_stack.wait_for(lambda: waiting(stack) == 0, worker.errors)


def waiting(stack: Stack) -> int:
    """How many jobs wait in the queue `email`."""
    with stack.redis() as connection:
        return int(connection.llen("bull:email:wait"))


def left_waiting(stack: Stack) -> bool:
    """Add a job; tell whether nobody takes it within a second."""
    add(stack, "email", "send", {"to": "hung"})
    try:
        app_stack.wait_for(lambda: waiting(stack) == 0, seconds=1)
    except TimeoutError:
        return True
    return False
