"""The health endpoint as the public, the intake's owner and a stranger see it, and how fast it answers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from acceptance.check import Source
from acceptance.errors import UnavailableError
from acceptance.facts.base import Attempt, Fact, Known, Noun, Unavailable

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.transports.http import HttpAnswer

SAMPLES = 20
"""Requests from which the latency is computed."""


class HealthAnswer(Fact):
    """One answer of the health endpoint.

    Attributes:
        is_json: False for a page where JSON was due.
        state: the value of `status`, empty if there is none.
        checks: each entry of `checks` and whether it is healthy; None if the answer has no `checks`.
    """

    http_status: int
    content_type: str
    is_json: bool
    state: str
    checks: dict[str, bool] | None
    excerpt: str
    source: Source

    @property
    def summary(self) -> str:
        """The answer in a few words."""
        if not self.is_json:
            return f"HTTP {self.http_status} with {self.content_type or 'no content type'}: {self.excerpt}"
        reported = "no checks" if self.checks is None else f"checks {self.checks}"
        return f"HTTP {self.http_status}, status {self.state or 'absent'}, {reported}"


class Health(Fact):
    """What the health endpoint tells whom.

    Attributes:
        public: without a secret.
        authenticated: with the intake secret.
        stranger: with a wrong one.
        latencies_ms: seconds of each of the sampled requests, in milliseconds, sorted.
    """

    public: HealthAnswer
    authenticated: Attempt[HealthAnswer]
    stranger: HealthAnswer
    latencies_ms: tuple[float, ...]

    @property
    def p95_ms(self) -> float:
        """The 95th percentile of the latencies by the nearest-rank method, in milliseconds."""
        return self.latencies_ms[math.ceil(0.95 * len(self.latencies_ms)) - 1]


def read(answer: HttpAnswer, again: str) -> HealthAnswer:
    """Reduce an HTTP answer to what health means; pure."""
    document = answer.json_body()
    body = document if isinstance(document, dict) else {}
    checks = body.get("checks")
    return HealthAnswer(
        http_status=answer.status,
        content_type=answer.headers.get("content-type", ""),
        is_json=isinstance(document, dict),
        state=str(body.get("status", "")),
        checks={str(name): _healthy(value) for name, value in checks.items()}
        if isinstance(checks, dict)
        else None,
        excerpt=answer.excerpt,
        source=Source(where=f"GET {answer.url}", again=again),
    )


def _healthy(value: object) -> bool:
    if isinstance(value, dict):
        value = value.get("status", value.get("ok"))
    return value is True or (isinstance(value, str) and value.lower() in {"ok", "healthy", "up", "pass"})


async def collect(access: Access) -> Health:
    """Ask the health endpoint three ways, then sample its latency one request after another.

    Raises:
        UnavailableError: it does not answer at all.
    """
    path = access.target.health.path
    url = access.http.url(path)
    public = await access.http.send("health-public", path=path)
    stranger = await access.http.send(
        "health-wrong-secret", path=path, headers={"x-intake-secret": "not-the-secret"}
    )
    latencies = [(await access.http.send("health-public", path=path)).seconds for _ in range(SAMPLES)]
    return Health(
        public=read(public, f"curl -sS -i {url}"),
        authenticated=await _authenticated(access, path),
        stranger=read(stranger, f"curl -sS -i -H 'X-Intake-Secret: wrong' {url}"),
        latencies_ms=tuple(sorted(round(seconds * 1000, 1) for seconds in latencies)),
    )


async def _authenticated(access: Access, path: str) -> Known[HealthAnswer] | Unavailable:
    try:
        secret = access.secret(access.target.health.secret)
        answer = await access.http.send(
            "health-authenticated", path=path, headers={"x-intake-secret": secret}
        )
    except UnavailableError as error:
        return Unavailable.of(error)
    command = f'curl -sS -i -H "X-Intake-Secret: $WEBSITE_INTAKE_SECRET" {access.http.url(path)}'
    return Known(value=read(answer, command))


NOUN = Noun("health", Health, collect)
