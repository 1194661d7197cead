"""The health endpoint as the public, the intake's owner and a stranger see it, and how fast it answers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from acceptance.errors import UnavailableError
from acceptance.excerpt import cut
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.transports.http import HttpAnswer

SAMPLES = 20
"""Requests from which the latency is computed."""

WELL = frozenset(
    {
        "true",
        "ok",
        "okay",
        "healthy",
        "up",
        "pass",
        "passed",
        "passing",
        "connected",
        "pong",
        "ready",
        "online",
    }
    | {"alive", "available", "reachable", "operational", "success"}
)
ILL = frozenset(
    {
        "false",
        "error",
        "down",
        "fail",
        "failed",
        "failing",
        "failure",
        "degraded",
        "unhealthy",
        "disconnected",
    }
    | {"unavailable", "unreachable", "timeout", "offline", "dead", "critical", "not ready", "not_ready"}
)
_TELLING = ("status", "state", "health", "healthy", "ok", "up", "connected", "ready", "reachable", "result")


class HealthAnswer(Fact):
    """One answer of the health endpoint.

    Attributes:
        is_json: False for a page where JSON was due.
        state: the value of `status`, empty if there is none.
        checks: each entry of `checks` and the word it gives; None if the answer has no `checks`.
    """

    http_status: int
    content_type: str
    is_json: bool
    state: str
    checks: dict[str, str] | None
    excerpt: str
    source: Source

    @property
    def summary(self) -> str:
        """The answer in a few words."""
        if not self.is_json:
            return f"HTTP {self.http_status} with {self.content_type or 'no content type'}: {self.excerpt}"
        told = ", ".join(f"{name} {word or 'without a word'}" for name, word in (self.checks or {}).items())
        reported = "no checks" if self.checks is None else f"checks: {told or 'none'}"
        return f"HTTP {self.http_status}, status {self.state or 'absent'}, {reported}"

    @property
    def is_report(self) -> bool:
        """True if the endpoint itself answered, and not a proxy or an error page."""
        return self.http_status == 200 and self.is_json

    def ill(self, wanted: Iterable[str]) -> tuple[str, ...]:
        """Name the wanted checks that are missing or not healthy.

        Raises:
            UnavailableError: none is, but one gives a word that means neither health nor illness.
        """
        told = {name: (self.checks or {}).get(name) for name in wanted}
        found = tuple(
            f"{name} {'is missing' if word is None else word}"
            for name, word in told.items()
            if word is None or word.lower() in ILL
        )
        unclear = [f"{name}: {word!r}" for name, word in told.items() if (word or "").lower() not in WELL]
        if unclear and not found:
            raise UnavailableError(
                f"health gives a word that is not known ({', '.join(unclear)})", "read the answer by hand"
            )
        return found

    @property
    def is_refusal(self) -> bool:
        """True if the request was refused for want of a right."""
        return self.http_status in (401, 403)


class Health(Fact):
    """What the health endpoint tells whom.

    Attributes:
        public: without a secret.
        authenticated: with the intake secret.
        stranger: with a wrong one.
        latencies_ms: of each sampled request that was answered with 200 and JSON, in milliseconds, sorted.
    """

    public: HealthAnswer
    authenticated: Attempt[HealthAnswer]
    stranger: HealthAnswer
    latencies_ms: tuple[float, ...]

    def reveals_checks(self, answer: HealthAnswer) -> bool:
        """Tell whether the public's or the stranger's answer holds checks.

        Raises:
            UnavailableError: it holds none, but neither does an error page.
        """
        if answer.checks is not None:
            return True
        odd = [one for one in (self.public, answer) if not one.is_report]
        if odd and not (self.public.is_report and answer.is_refusal):
            raise UnavailableError(f"what answered is not the health endpoint ({odd[0].summary})")
        return False

    @property
    def p95_ms(self) -> float:
        """The 95th percentile of the latencies by the nearest-rank method, in milliseconds.

        Raises:
            UnavailableError: some requests were answered by something else than the endpoint.
        """
        if len(self.latencies_ms) < SAMPLES:
            raise UnavailableError(
                f"only {len(self.latencies_ms)} of {SAMPLES} requests were answered with 200 and JSON"
            )
        return self.latencies_ms[math.ceil(0.95 * len(self.latencies_ms)) - 1]


def read(answer: HttpAnswer, again: str) -> HealthAnswer:
    """Reduce an HTTP answer to what health means; pure."""
    document = answer.json_body()
    body = document if isinstance(document, dict) else {}
    return HealthAnswer(
        http_status=answer.status,
        content_type=answer.headers.get("content-type", ""),
        is_json=isinstance(document, dict),
        state=str(body.get("status", "")),
        checks=_words(body["checks"]) if "checks" in body else None,
        excerpt=answer.excerpt,
        source=Source(where=f"GET {answer.url}", again=again),
    )


def _words(checks: object) -> dict[str, str]:
    """Return each check's name and word, from an object or from a list of objects with a name."""
    if isinstance(checks, list):
        checks = {entry["name"]: entry for entry in checks if isinstance(entry, dict) and "name" in entry}
    return {str(name): _word(value) for name, value in checks.items()} if isinstance(checks, dict) else {}


def _word(value: object) -> str:
    """Return the word that tells how a check went; of several the one that tells of an illness."""
    if isinstance(value, dict):
        words = [_word(value[key]) for key in _TELLING if key in value]
        return next((word for word in words if word.lower() in ILL), words[0] if words else "")
    return cut(json.dumps(value) if not isinstance(value, str) else value.strip(), 40)


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
    samples = [await access.http.send("health-public", path=path) for _ in range(SAMPLES)]
    return Health(
        public=read(public, f"curl -sS -i {url}"),
        authenticated=await _authenticated(access, path),
        stranger=read(stranger, f"curl -sS -i -H 'X-Intake-Secret: wrong' {url}"),
        latencies_ms=tuple(
            sorted(round(sample.seconds * 1000, 1) for sample in samples if read(sample, "").is_report)
        ),
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


NOUN = Noun("health", Health, collect, sources=("crm", "secret.health"))
