"""Does the worker take jobs, and in time?"""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.containers import Containers
from acceptance.facts.queues import Queues
from acceptance.target import Target


@pytest.mark.item("worker.consuming")
def test_alive(queues: Queues, containers: Containers, target: Target) -> None:
    """Each queue has a worker that shows a sign of life. A hung one stays connected, and no mail is sent."""
    judged = queues.judged(target.worker.queues)
    runs_s = queues.running_s(containers, target.compose.of_kind("worker").name)
    unconsumed = queues.unconsumed(judged, runs_s)
    verify(
        not unconsumed,
        expected="for each queue a connected worker that asks for jobs, or works on one and holds its lock",
        seen="; ".join(unconsumed) or "; ".join(queue.state for queue in judged),
        source=queues.source,
    )


@pytest.mark.item("worker.consuming")
def test_not_paused(queues: Queues, target: Target) -> None:
    """No queue is paused. A paused queue looks healthy from everywhere and does nothing."""
    paused = [queue.backlog for queue in queues.judged(target.worker.queues) if queue.paused]
    verify(
        not paused,
        expected="no queue is paused",
        seen=f"paused: {'; '.join(paused)}" if paused else "none",
        source=queues.source,
    )


@pytest.mark.item("worker.consuming")
def test_in_time(queues: Queues, target: Target) -> None:
    """No job waits longer than allowed. A worker can be alive and far behind."""
    judged = queues.judged(target.worker.queues)
    overdue = queues.overdue(judged, target.worker.oldest_waiting_s)
    verify(
        not overdue,
        expected=f"no job waits for more than {target.worker.oldest_waiting_s:g} s",
        seen="; ".join(overdue) or "; ".join(queue.backlog for queue in judged),
        source=queues.source,
    )


@pytest.mark.item("worker.consuming")
def test_nothing_abandoned(queues: Queues, containers: Containers, target: Target) -> None:
    """No job was left by a worker that died. It counts as being worked on, and nobody works on it."""
    runs_s = queues.running_s(containers, target.compose.of_kind("worker").name)
    stalled = queues.stalled(queues.judged(target.worker.queues), runs_s)
    verify(
        not stalled,
        expected="every active job has its lock, or is given back within a minute",
        seen="; ".join(stalled) or "none without a lock for so long",
        source=queues.source,
    )
