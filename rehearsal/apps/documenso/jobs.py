"""Background jobs of the provider `local`: a row each, run one after the other, tried again at once."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

from psycopg.types.json import Jsonb

from rehearsal.apps import console
from rehearsal.apps.documenso import ids
from rehearsal.apps.documenso.release import Release
from rehearsal.apps.documenso.store import QueryError, Store, now

_VERSION = "1.0.0"


@dataclass(frozen=True)
class Job:
    """What the row of a job says.

    Attributes:
        definition: the kind of job, `internal.…` or `send.…`.
        tasks: names of its parts up to the one that can fail, which is the last.
        more: names of those after it.
    """

    definition: str
    name: str
    payload: dict[str, Any]
    tasks: tuple[str, ...] = ()
    more: tuple[str, ...] = ()


class Jobs:
    """Runs jobs in lanes: in each, in the order in which they were submitted.

    As with the provider `local`, what is waiting or running when the server ends is not taken up again.
    """

    def __init__(self, store: Store, release: Release) -> None:
        self._store = store
        self._release = release
        self._lanes: dict[str, SimpleQueue[Callable[[], None]]] = {}
        self._lock = Lock()

    def submit(self, job: Job, work: Callable[[], None], *, lane: str = "jobs", identity: str = "") -> None:
        """Write the row of a job and have its work done soon; without a database nothing happens.

        Args:
            job: what its row says.
            work: what it does; an exception is a failed attempt.
            lane: jobs of one lane wait for each other.
            identity: the row's id, if it is not to be a new one.
        """
        identity = identity or ids.cuid()
        try:
            with self._store.transaction("backgroundJob.create") as transaction:
                transaction.insert(
                    "BackgroundJob",
                    {
                        "id": identity,
                        "jobId": job.definition,
                        "name": job.name,
                        "version": _VERSION,
                        "submittedAt": now(),
                        "updatedAt": now(),
                        "payload": Jsonb(job.payload),
                    },
                )
        except QueryError as error:
            console.error(f"[JOBS]: {error}")
            return
        self._lane(lane).put(lambda: self._run(identity, job, work))

    def _lane(self, name: str) -> SimpleQueue[Callable[[], None]]:
        with self._lock:
            if name not in self._lanes:
                self._lanes[name] = SimpleQueue()
                Thread(target=_work, args=(self._lanes[name],), daemon=True).start()
            return self._lanes[name]

    def _run(self, identity: str, job: Job, work: Callable[[], None]) -> None:
        self._change(identity, status="PROCESSING")
        for attempt in range(self._release.attempts):
            if attempt and self._release.counts_retries:
                self._change(identity, retried=attempt, lastRetriedAt=now())
            try:
                work()
            except Exception as error:
                console.error(f"[JOBS]: Job {job.definition} failed {error}")
            else:
                self._finish(identity, job, failed=False)
                return
        self._finish(identity, job, failed=True)

    def _finish(self, identity: str, job: Job, *, failed: bool) -> None:
        done = job.tasks[:-1] if failed else (*job.tasks, *job.more)
        for name in done:
            self._task(identity, name, status="COMPLETED", completedAt=now())
        if failed and job.tasks:
            self._task(identity, job.tasks[-1], status="PENDING", retried=3)
        self._change(identity, status="FAILED" if failed else "COMPLETED", completedAt=now())

    def _change(self, identity: str, **values: object) -> None:
        with contextlib.suppress(QueryError), self._store.transaction() as transaction:
            transaction.update("BackgroundJob", identity, {**values, "updatedAt": now()})

    def _task(self, identity: str, name: str, **values: object) -> None:
        task = f"task-{hashlib.sha256(name.encode()).hexdigest()}--{identity}"
        with contextlib.suppress(QueryError), self._store.transaction() as transaction:
            transaction.insert(
                "BackgroundJobTask",
                {"id": task, "name": name, "jobId": identity, "updatedAt": now(), **values},
            )


def _work(lane: SimpleQueue[Callable[[], None]]) -> None:
    while True:
        lane.get()()
