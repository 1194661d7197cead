"""Does the health endpoint tell the truth, to whom it should, and fast enough?"""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.base import known
from acceptance.facts.health import Health
from acceptance.target import Target


@pytest.mark.item("health.public")
def test_public_health_is_ok(health: Health) -> None:
    """The public health endpoint answers 200 with status ok.

    Monitoring and the plan's first verification step rely on it. A 200 with an HTML page is a proxy or a
    framework's error page, not health.
    """
    answer = health.public
    verify(
        answer.http_status == 200 and answer.is_json and answer.state == "ok",
        expected='HTTP 200 and JSON with "status":"ok"',
        seen=answer.summary,
        source=answer.source,
    )


@pytest.mark.item("health.authenticated")
def test_database_and_redis_are_healthy(health: Health) -> None:
    """With the intake secret it reports the database and Redis as healthy.

    The public answer can be ok while the app has lost its database; only the authenticated one shows it.
    """
    answer = known(health.authenticated)
    verify(
        not answer.ill(("db", "redis")),
        expected="checks.db and checks.redis healthy",
        seen=answer.summary,
        source=answer.source,
    )


@pytest.mark.item("health.guarded")
def test_public_health_reveals_no_checks(health: Health) -> None:
    """Without the secret it reports no checks.

    What is behind the app, and which part of it is ill, is an attacker's map.
    """
    answer = health.public
    verify(not health.reveals_checks(answer), expected="no checks", seen=answer.summary, source=answer.source)


@pytest.mark.item("health.guarded")
def test_wrong_secret_reveals_no_checks(health: Health) -> None:
    """With a wrong secret it reports no checks either.

    An endpoint that merely looks for the presence of the header would pass the test without one.
    """
    answer = health.stranger
    verify(not health.reveals_checks(answer), expected="no checks", seen=answer.summary, source=answer.source)


@pytest.mark.item("health.latency")
def test_health_is_fast(health: Health, target: Target) -> None:
    """The 95th percentile of 20 requests is under the target's budget.

    A slow health endpoint is the first sign of an exhausted pool or an overloaded server.
    """
    budget = target.health.latency_p95_ms
    verify(
        health.p95_ms <= budget,
        expected=f"95 % of {len(health.latencies_ms)} requests within {budget} ms",
        seen=f"{health.p95_ms:g} ms, the slowest {health.latencies_ms[-1]:g} ms",
        source=health.public.source,
    )
