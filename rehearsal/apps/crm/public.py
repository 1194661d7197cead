"""The routes without a login: health, berth feed, website intake, Documenso webhook."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from psycopg.types.json import Jsonb
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from rehearsal.apps.crm.mails import InquiryMails
from rehearsal.apps.crm.responses import json_answer
from rehearsal.apps.database import Database, QueryFailedError
from rehearsal.apps.knobs import Knobs
from rehearsal.apps.settings import Settings

_CHECK_TIMEOUT_S = 2
_KINDS = {"berth", "residence", "contact"}
_EMAIL_LIMIT = 254


class RouteError(Exception):
    """A route handler throws: the client gets an empty 500, the log gets the text."""


class Public:
    """These routes and what they need."""

    def __init__(self, settings: Settings, database: Database, knobs: Knobs) -> None:
        self._settings = settings
        self._database = database
        self._knobs = knobs
        self._mails = InquiryMails(settings, database)
        self._redis = Redis.from_url(
            settings.redis_url,
            socket_timeout=_CHECK_TIMEOUT_S,
            socket_connect_timeout=_CHECK_TIMEOUT_S,
            retry=Retry(NoBackoff(), 1),
        )
        self.routes = [
            Route("/api/public/health", self._health),
            Route("/api/public/berths", self._berths),
            Route("/api/public/website-inquiries", self._intake, methods=["POST"]),
            Route("/api/webhooks/documenso", self._documenso, methods=["POST"]),
        ]

    async def _health(self, request: Request) -> Response:
        """Liveness for everybody; with the right X-Intake-Secret also `checks` of db and redis.

        `checks` is `{"db": {"status": "ok"}, "redis": {"status": "ok"}}`; a failing one has the
        status `error`, and then the whole is 503 with status `degraded`.
        """
        knob = self._knobs.word("health")
        await asyncio.sleep(self._knobs.number("slow_ms") / 1000)
        if knob == "html":
            return HTMLResponse("<!DOCTYPE html><html><body><h1>Port Nimara</h1></body></html>")
        known = _same(request.headers.get("x-intake-secret"), self._settings.intake_secret)
        body: dict[str, Any] = {"status": "ok", "timestamp": datetime.now(UTC).isoformat()}
        if (known and knob != "no-checks-auth") or knob == "checks-leak":
            body["checks"] = await self._checks()
        failing = any(check["status"] != "ok" for check in body.get("checks", {}).values())
        if failing or knob == "degraded":
            body["status"] = "degraded"
            return json_answer(body, 503)
        return json_answer(body)

    async def _checks(self) -> dict[str, dict[str, str]]:
        db, redis = await asyncio.gather(
            _status(self._database.rows("select 1")), _status(self._redis.get("health"))
        )
        return {"db": db, "redis": redis}

    async def _berths(self, _request: Request) -> Response:
        knob = self._knobs.word("berths")
        if knob == "error":
            raise RouteError("Error: berth feed is not available")
        if knob == "not-a-list":
            return json_answer({"message": "no berths"})
        return json_answer([] if knob == "empty" else await all_berths(self._database, self._knobs))

    async def _intake(self, request: Request) -> Response:
        secret = self._settings.intake_secret
        if not secret:
            return json_answer({"error": "Website intake is not configured"}, 503)
        known = _same(request.headers.get("x-webhook-secret"), secret)
        if not known and self._knobs.word("intake") != "accept-any":
            return json_answer({"error": "Unauthorized"}, 401)
        inquiry = await _object(request)
        email = inquiry.get("email")
        if (
            inquiry.get("kind") not in _KINDS
            or not isinstance(email, str)
            or not 3 <= len(email) <= _EMAIL_LIMIT
        ):
            return json_answer({"error": "Invalid payload"}, 400)
        if self._knobs.word("intake") == "lost":
            return json_answer({"ok": True, "id": None}, 201)
        rows = await self._database.rows(
            "insert into website_submissions (submission_id, kind, payload, utm) values (%s, %s, %s, %s) "
            "on conflict do nothing returning id",
            (
                inquiry.get("submissionId"),
                inquiry["kind"],
                Jsonb(inquiry),
                _utm(request.headers.get("x-utm")),
            ),
            way=self._knobs.word("log"),
        )
        if not rows:
            return json_answer({"ok": True, "duplicate": True})
        answer = json_answer({"ok": True, "id": rows[0]["id"]}, 201)
        answer.background = BackgroundTask(self._mails.send, inquiry, rows[0]["id"])
        return answer

    async def _documenso(self, request: Request) -> Response:
        """Store a Documenso event once, however often it is delivered (body keys as in 1.13 to 2.11)."""
        if not self._settings.documenso_secret:
            return json_answer({"error": "Webhook is not configured"}, 503)
        if not _same(request.headers.get("x-documenso-secret"), self._settings.documenso_secret):
            return json_answer({"error": "Unauthorized"}, 401)
        event = await _object(request)
        try:
            values = (
                str(event["event"]),
                int(event["payload"]["id"]),
                datetime.fromisoformat(event["createdAt"]),
            )
        except (KeyError, TypeError, ValueError):
            return json_answer({"error": "Invalid payload"}, 400)
        rows = await self._database.rows(
            "insert into documenso_events (event, document_id, occurred_at, payload) "
            "values (%s, %s, %s, %s) on conflict do nothing returning id",
            (*values, Jsonb(event["payload"])),
            way=self._knobs.word("log"),
        )
        return json_answer({"ok": True, "duplicate": not rows})


async def all_berths(database: Database, knobs: Knobs) -> list[dict[str, Any]]:
    """Return the berths in the public feed's schema, by name.

    Raises:
        QueryFailedError: the query failed.
    """
    return await database.rows(
        "select id, name, status, length_m::float8, width_m::float8, draft_m::float8, "
        "price_eur::float8 from berths order by name",
        way=knobs.word("log"),
    )


async def _status(check: Awaitable[object]) -> dict[str, str]:
    try:
        await asyncio.wait_for(check, _CHECK_TIMEOUT_S)
    except (QueryFailedError, RedisError, OSError, TimeoutError):
        return {"status": "error"}
    return {"status": "ok"}


def _same(given: str | None, secret: str) -> bool:
    return bool(secret) and hmac.compare_digest((given or "").encode(), secret.encode())


async def _object(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _utm(header: str | None) -> Jsonb | None:
    """Read x-utm, a JSON object or `utm_source=…&utm_medium=…`; only utm_* names are kept."""
    if not header:
        return None
    try:
        values = json.loads(header)
    except ValueError:
        values = dict(parse_qsl(header.lstrip("?")))
    names = values if isinstance(values, dict) else {}
    return Jsonb({name: str(value) for name, value in names.items() if name.startswith("utm_")})
