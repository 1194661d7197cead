"""Rate limits: in memory up to v2.0.0, in the table RateLimit in v2.11.0."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from rehearsal.apps.documenso.http import CORS, Headers, as_json, with_headers
from rehearsal.apps.documenso.store import QueryError, Store
from rehearsal.apps.web import Answer

LIMIT = 100
_WINDOW_S = 60
_TOO_MANY = {"error": "Too many requests, please try again later."}
_COUNT = (
    'insert into "RateLimit" (key, action, bucket, count) values (%s, %s, %s, 1) '
    'on conflict (key, action, bucket) do update set count = "RateLimit".count + 1 returning count'
)


class InMemory:
    """One bucket per client for `/api/v1` and `/api/v2`; a minute begins with its first request."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}

    def headers(self, client: str) -> Headers:
        """Return what openapi.json and a refusal say of the bucket as it is."""
        count, end = self._seen.get(client, (0, time.monotonic() + _WINDOW_S))
        return (
            ("ratelimit-limit", str(LIMIT)),
            ("ratelimit-policy", f"{LIMIT};w={_WINDOW_S}"),
            ("ratelimit-remaining", str(max(0, LIMIT - count))),
            ("ratelimit-reset", str(max(0, math.ceil(end - time.monotonic())))),
        )

    def answer(self, client: str, give: Callable[[], Answer]) -> Answer:
        """Count a request; return its answer, or the refusal if it is one too many."""
        moment = time.monotonic()
        count, end = self._seen.get(client, (0, 0.0))
        if moment >= end:
            count, end = 0, moment + _WINDOW_S
        self._seen[client] = (count + 1, end)
        if count < LIMIT:
            return give()
        wait = str(math.ceil(end - moment))
        return as_json(_TOO_MANY, 429, (*self.headers(client), ("retry-after", wait)))


@dataclass(frozen=True)
class Check:
    """What counting a request came to.

    Attributes:
        reset: when the window ends, in seconds since 1970.
    """

    limited: bool
    limit: int
    remaining: int
    reset: int

    @property
    def headers(self) -> Headers:
        """What every counted answer carries."""
        return (
            ("x-ratelimit-limit", str(self.limit)),
            ("x-ratelimit-remaining", str(self.remaining)),
            ("x-ratelimit-reset", str(self.reset)),
        )

    def refusal(self) -> Answer:
        """Return the 429."""
        wait = str(max(1, math.ceil(self.reset - time.time())))
        return as_json(_TOO_MANY, 429, (*self.headers, ("retry-after", wait)))


class Stored:
    """One bucket per client, action and minute of the clock: a row of RateLimit."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def check(self, action: str, key: str, limit: int = LIMIT, window: int = _WINDOW_S) -> Check:
        """Count a request. If that is not possible it is allowed, and `remaining` stays at the limit."""
        start = int(time.time()) // window * window
        bucket = datetime.fromtimestamp(start, UTC).replace(tzinfo=None)
        try:
            rows = self._store.rows(_COUNT, key, action, bucket, call="rateLimit.upsert")
        except QueryError:
            return Check(limited=False, limit=limit, remaining=limit, reset=start + window)
        count = rows[0]["count"]
        return Check(
            limited=count > limit, limit=limit, remaining=max(0, limit - count), reset=start + window
        )

    def answer(self, action: str, client: str, give: Callable[[], Answer], *, cors: bool) -> Answer:
        """Count a request; return its answer, or the refusal, with the bucket's headers."""
        check = self.check(action, f"ip:{client}")
        if check.limited:
            return with_headers(check.refusal(), CORS if cors else ())
        return with_headers(give(), check.headers)
