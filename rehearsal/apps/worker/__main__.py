"""Runs the worker stand-in: `python -m rehearsal.apps.worker`, configured by environment variables.

Two real BullMQ workers (queues `email` and `documents`, prefix `bull`). Jobs do nothing, but a job
named `query` with `{"kind": …}` runs the failing query of that kind and logs its error. While the knob
`hold` is set, no job ends.
"""

from __future__ import annotations

import asyncio
import base64
import os
import time
from typing import Any

from bullmq import Worker
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

from rehearsal.apps import console
from rehearsal.apps.database import Database, QueryFailedError
from rehearsal.apps.knobs import Knobs
from rehearsal.apps.settings import Settings

QUEUES = ("email", "documents")
_KNOB_EVERY_S = 0.2
_REDIS_TIMEOUT_S = 60
"""Must exceed BullMQ's longest blocking read, 10 s; redis-py's own default of 5 s cuts an idle worker off."""

_RECONNECT_EVERY_S = 1
"""As the real one's first attempt; BullMQ's growing pauses would make everything wait that restarts Redis."""
_RECONNECTS = 420

_META = {"opts.maxLenEvents": "10000", "version": "bullmq:6.7.0"}


class _Jobs:
    """What the workers do with a job."""

    def __init__(self, database: Database, knobs: Knobs) -> None:
        self._database = database
        self._knobs = knobs

    async def process(self, job: Any, _token: str) -> dict[str, bool]:  # noqa: ANN401
        """Process one job (bullmq has no types).

        Raises:
            QueryFailedError: the job was made to fail so.
        """
        if job.name == "query":
            try:
                await self._database.provoke(job.data["kind"], way=self._knobs.word("log"))
            except QueryFailedError as error:
                console.error(error.text)
                raise
        while self._knobs.flag("hold"):  # noqa: ASYNC110 - the knob is a file
            await asyncio.sleep(_KNOB_EVERY_S)
        console.log(f"[worker] {job.name} {job.id} completed")
        return {"ok": True}


async def _hang_on_demand(knobs: Knobs) -> None:
    """Block the event loop for as long as the knob `hang` is set; the connections stay open."""
    while True:
        while knobs.flag("hang"):
            time.sleep(_KNOB_EVERY_S)  # noqa: ASYNC251
        await asyncio.sleep(_KNOB_EVERY_S)


async def _work(queue: str, settings: Settings, jobs: _Jobs) -> None:
    """Work on a queue until its Redis is lost for good.

    Three things BullMQ for Node does and the Python one does not are done here: only the blocking
    connection is named (with the queue's name in base64), the first stalled check precedes the first
    job, and the queue's `meta` is written (by the application's Queue object there).
    """
    url = f"{settings.redis_url}?socket_timeout={_REDIS_TIMEOUT_S}"
    worker = Worker(queue, jobs.process, {"connection": url, "autorun": False})
    worker.on("error", lambda error, *_: console.error(f"[worker] {queue}: {type(error).__name__}: {error}"))
    name = base64.b64encode(queue.encode()).decode()
    for connection in (worker.redisConnection, worker.blockingRedisConnection):
        connection.conn.set_retry(Retry(ConstantBackoff(_RECONNECT_EVERY_S), _RECONNECTS))
    await worker.blockingRedisConnection.set_client_name(f"{worker.prefix}:{name}")
    worker._client_name_set = True
    await worker.client.hset(worker.keys["meta"], mapping=_META)
    await worker.runStalledJobsCheck()
    await worker.run()


async def _main(settings: Settings) -> None:
    knobs = Knobs(settings.knobs)
    jobs = _Jobs(Database(settings.database_url), knobs)
    console.log(f"[worker] consuming {', '.join(QUEUES)}")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_hang_on_demand(knobs))
        for queue in QUEUES:
            tasks.create_task(_work(queue, settings, jobs))


if __name__ == "__main__":
    asyncio.run(_main(Settings.from_environment(os.environ)))
