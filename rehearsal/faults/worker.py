"""What goes wrong with the worker and its queues."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import redis as client

from rehearsal.faults import tools
from rehearsal.faults.base import Course, fault
from rehearsal.services import redis
from rehearsal.site import WORKER

if TYPE_CHECKING:
    from rehearsal.stack import Stack

_TOUCHED = ("queues",)
_QUEUE = "email"
_KEY = f"bull:{_QUEUE}"
_CONNECTION = "bull:ZW1haWw="
_SILENT_S = 6
"""A worker that has its answer and no job asks again at once; one that has not after so long is hung."""


@contextmanager
def _redis(stack: Stack) -> Iterator[Any]:
    with client.Redis(
        stack.site.address("redis"),
        redis.PORT,
        password=stack.site.credentials.redis_password,
        decode_responses=True,
    ) as connection:
        yield connection


def _queue(stack: Stack, method: str, *arguments: object) -> None:
    """Call a method of BullMQ's own Queue, as the application does."""
    from bullmq import Queue  # noqa: PLC0415 - only these faults need it, and it loads slowly

    site = stack.site
    url = f"redis://:{site.credentials.redis_password}@{site.address('redis')}:{redis.PORT}"

    async def calling() -> None:
        queue = Queue(_QUEUE, {"connection": url})
        await getattr(queue, method)(*arguments)
        await queue.close()

    asyncio.run(calling())


def _add(stack: Stack, *, age_s: float = 0) -> None:
    timestamp = int((time.time() - age_s) * 1000)
    _queue(stack, "add", "send", {}, {"timestamp": timestamp, "removeOnComplete": True})


def _wait_until_done(connection: Any) -> None:  # noqa: ANN401 - redis' replies are untyped
    tools.wait_until(
        lambda: not connection.exists(f"{_KEY}:wait", f"{_KEY}:active", f"{_KEY}:paused"), "the jobs' end", 30
    )


def _wait_until_silent(connection: Any) -> None:  # noqa: ANN401
    def silent() -> bool:
        return any(
            entry["name"] == _CONNECTION and entry["flags"] == "N" and int(entry["idle"]) >= _SILENT_S
            for entry in connection.client_list()
        )

    tools.wait_until(silent, "the worker's silence", 30)


@fault(
    "worker-hung",
    notice="no e-mail is sent; the worker runs and is connected",
    reddens=("worker.consuming",),
    touches=_TOUCHED,
)
def hung(stack: Stack) -> Course:
    """Block the worker's event loop, then add a job."""
    with _redis(stack) as connection:
        with tools.knob(stack, WORKER, hang=True):
            time.sleep(0.5)
            _add(stack)
            _wait_until_silent(connection)
            yield
        _wait_until_done(connection)


@fault(
    "worker-frozen",
    notice="no e-mail is sent; docker says running",
    reddens=("worker.consuming",),
    touches=_TOUCHED,
)
def frozen(stack: Stack) -> Course:
    """Stop the worker's processes in their tracks, which the engine does not notice, then add a job."""
    container = stack.container(WORKER)
    with _redis(stack) as connection:
        container.kill(signal.SIGSTOP)
        _add(stack)
        _wait_until_silent(connection)
        yield
        container.kill(signal.SIGCONT)
        _wait_until_done(connection)


@fault(
    "worker-queue-paused",
    notice="no e-mail is sent; everything else works",
    reddens=("worker.consuming",),
    touches=_TOUCHED,
)
def queue_paused(stack: Stack) -> Course:
    """Pause a queue, as BullMQ's own dashboards can."""
    _queue(stack, "pause")
    yield
    _queue(stack, "resume")


@fault(
    "worker-behind",
    notice="e-mails are sent an hour late",
    reddens=("worker.consuming",),
    touches=_TOUCHED,
)
def behind(stack: Stack) -> Course:
    """Keep the worker busy with one job while another has waited for an hour."""
    with _redis(stack) as connection:
        with tools.knob(stack, WORKER, hold=True):
            _add(stack)
            tools.wait_until(lambda: connection.exists(f"{_KEY}:active") == 1, "the job's begin")
            _add(stack, age_s=3600)
            yield
        _wait_until_done(connection)


@fault(
    "source-redis-password-wrong",
    notice="Redis says: WRONGPASS",
    touches=_TOUCHED,
    blinds=True,
)
def redis_password_wrong(stack: Stack) -> Course:
    """Let the operator have another password than Redis."""
    with tools.replaced(stack.site.secrets / "redis_password", "not-the-redis-password"):
        yield
