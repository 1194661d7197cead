"""Does either instance log an error while it is watched?"""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.watch import Watch

each_log = pytest.mark.parametrize("instance", ["app", "worker", "website"])


@pytest.mark.item("cutover.5-quiet")
@each_log
def test_no_error_is_logged(watch: Watch, instance: str) -> None:
    """Nothing logs an error while it is watched. After the last flip one means that inquiries get lost."""
    log = watch.the(instance)
    verify(
        not log.were_errors(),
        expected=f"no error, watched for {watch.told}",
        seen=log.summary,
        source=watch.source_of(log),
    )


@pytest.mark.item("cutover.5-quiet")
@each_log
def test_nothing_crashes(watch: Watch, instance: str) -> None:
    """No container ends by itself while it is watched. What makes it crash does not always reach its log.

    One that was stopped and stays so logs no error either, and takes no inquiry.
    """
    log = watch.the(instance)
    verify(
        not log.crashes,
        expected="it runs, and the engine did not restart it",
        seen="; ".join(log.crashes) or "so it was",
        source=watch.state_of(log),
    )


@pytest.mark.item("cutover.5-quiet")
def test_health_stays_well(watch: Watch) -> None:
    """Every sample of the public health endpoint is good. Visitors meet the CRM the same way."""
    verify(
        not watch.was_ill(),
        expected="every answer well",
        seen=watch.health,
        source=watch.source,
    )
