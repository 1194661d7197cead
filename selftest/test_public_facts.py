"""The health endpoint and the public routes: what their answers mean, whatever form they have."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from acceptance.errors import UnavailableError
from acceptance.facts import api, health
from acceptance.facts.base import Known, Source
from acceptance.facts.health import SAMPLES, Health, HealthAnswer
from acceptance.target import Api
from acceptance.transports.http import HttpAnswer


def _answer(body: object, status: int = 200) -> HttpAnswer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpAnswer(status=status, headers={}, body=raw, truncated=False, seconds=0.01, url="https://crm/x")


def _health(body: object, status: int = 200) -> HealthAnswer:
    return health.read(_answer(body, status), "curl")


def _seen(public: HealthAnswer, stranger: HealthAnswer, latencies: Sequence[float] = ()) -> Health:
    return Health(
        public=public,
        authenticated=Known(value=public),
        stranger=stranger,
        latencies_ms=tuple(latencies),
    )


GOOD = _health({"status": "ok"})
LEAK = _health({"status": "degraded", "checks": {"db": "down"}}, 503)
ERROR_PAGE = _health(b"<html>502 Bad Gateway</html>", 502)


@pytest.mark.parametrize(
    "checks",
    [
        {"db": {"status": "ok"}, "redis": {"status": "ok"}},
        {"db": {"healthy": True}, "redis": {"state": "up"}},
        {"db": "connected", "redis": "PONG"},
        {"db": True, "redis": {"ok": True, "latencyMs": 3}},
        [{"name": "db", "status": "up"}, {"name": "redis", "status": "pass"}],
    ],
)
def test_words_for_health(checks: object) -> None:
    assert _health({"status": "ok", "checks": checks}).ill(("db", "redis")) == ()


@pytest.mark.parametrize(
    ("checks", "ill"),
    [
        ({"db": {"status": "error"}, "redis": "ok"}, ("db error",)),
        ({"db": False, "redis": "DEGRADED"}, ("db false", "redis DEGRADED")),
        ({"db": {"ok": True, "status": "down"}, "redis": "ok"}, ("db down",)),
        ({"db": "down", "redis": "yellowish"}, ("db down",)),
        ({"redis": "ok"}, ("db is missing",)),
        ({}, ("db is missing", "redis is missing")),
    ],
)
def test_words_for_illness(checks: object, ill: tuple[str, ...]) -> None:
    assert _health({"checks": checks}).ill(("db", "redis")) == ill


def test_an_unknown_word_is_named_and_not_judged() -> None:
    with pytest.raises(UnavailableError, match="redis: 'yellowish'"):
        _health({"checks": {"db": "ok", "redis": "yellowish"}}).ill(("db", "redis"))


def test_no_checks_on_an_error_page_prove_nothing() -> None:
    with pytest.raises(UnavailableError, match="not the health endpoint"):
        _seen(ERROR_PAGE, GOOD).reveals_checks(ERROR_PAGE)
    with pytest.raises(UnavailableError, match="not the health endpoint"):
        _seen(ERROR_PAGE, GOOD).reveals_checks(GOOD)
    with pytest.raises(UnavailableError, match="not the health endpoint"):
        _seen(GOOD, ERROR_PAGE).reveals_checks(ERROR_PAGE)


def test_who_sees_checks() -> None:
    refused = _health({"error": "Unauthorized"}, 401)
    assert not _seen(GOOD, GOOD).reveals_checks(GOOD)
    assert not _seen(GOOD, refused).reveals_checks(refused)
    assert _seen(LEAK, GOOD).reveals_checks(LEAK)
    with pytest.raises(UnavailableError, match="HTTP 401"):
        _seen(refused, refused).reveals_checks(refused)


def test_latency_of_error_pages_is_no_latency() -> None:
    assert _seen(GOOD, GOOD, range(1, SAMPLES + 1)).p95_ms == 19
    with pytest.raises(UnavailableError, match="only 19 of 20"):
        _ = _seen(GOOD, GOOD, range(1, SAMPLES)).p95_ms


def _berths(body: object, status: int = 200, **routes: Sequence[str]) -> api.Berths:
    return api.read_berths(_answer(body, status), Api.model_validate(routes))


BERTH = {"id": 1, "name": "A1", "status": "free"}


@pytest.mark.parametrize("body", [[BERTH], {"berths": [BERTH]}, {"data": [BERTH]}])
def test_a_list_of_berths_where_the_target_says(body: object) -> None:
    assert _berths(body).in_schema(list_assumed=False, keys_assumed=False)
    assert _berths({"results": [BERTH]}, berth_list=["results"]).in_schema(
        list_assumed=False, keys_assumed=False
    )


def test_a_list_elsewhere_is_red_unless_its_place_was_assumed() -> None:
    seen = _berths({"results": [BERTH]})
    assert not seen.in_schema(list_assumed=False, keys_assumed=True)
    with pytest.raises(UnavailableError, match="assumed name not found: no list"):
        seen.in_schema(list_assumed=True, keys_assumed=True)


def test_a_key_that_no_berth_has_is_red_unless_it_was_assumed() -> None:
    seen = _berths([{"id": 1, "label": "A1", "status": "free"}])
    assert not seen.in_schema(list_assumed=True, keys_assumed=False)
    with pytest.raises(UnavailableError, match="assumed name not found: no berth has name"):
        seen.in_schema(list_assumed=True, keys_assumed=True)


@pytest.mark.parametrize(
    ("body", "status"),
    [([BERTH, {"id": 2}], 200), ([BERTH, 7], 200), ([BERTH], 500), (b"<html>", 200)],
)
def test_what_is_red_whatever_was_assumed(body: object, status: int) -> None:
    assert not _berths(body, status).in_schema(list_assumed=True, keys_assumed=True)


def test_an_empty_list_proves_nothing() -> None:
    with pytest.raises(UnavailableError, match="empty"):
        _berths([]).in_schema(list_assumed=False, keys_assumed=False)


def test_a_source_can_be_asked_again() -> None:
    assert _berths([]).source == Source(where="GET https://crm/x", again="curl -sS -i https://crm/x")
