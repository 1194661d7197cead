"""Documenso's stand-in against every recorded exchange of the real v1.13.1 and v2.11.0."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from rehearsal.documenso import migrations
from selftest import documenso_rows, documenso_stack
from selftest.app_stack import Process
from selftest.documenso_recorded import recordings
from selftest.documenso_replay import Replay
from selftest.documenso_stack import Documenso, ready

RECORDED = ("v1.13.1", "v2.11.0")
BEARER = {"Authorization": f"Bearer {documenso_rows.TOKENS[0]}"}
NOWHERE = json.dumps({"database:5432": "127.0.0.1:1"})


@pytest.fixture(scope="module")
def around() -> Iterator[Documenso]:
    with documenso_stack.running() as everything:
        yield everything


@pytest.fixture(scope="module")
def replays(around: Documenso) -> dict[str, Replay]:
    """Both releases after they were asked everything."""
    done = {}
    for version in RECORDED:
        around.receiver.deliveries.clear()
        done[version] = Replay(around, version)
        done[version].run()
    return done


@pytest.fixture(scope="module", params=RECORDED)
def replay(request: pytest.FixtureRequest, replays: dict[str, Replay]) -> Replay:
    return replays[request.param]


@pytest.mark.parametrize(
    ("version", "name"), [(version, name) for version in RECORDED for name in recordings(version)]
)
def test_recorded_exchange(replays: dict[str, Replay], version: str, name: str) -> None:
    assert replays[version].found[name] == []


def rows(replay: Replay, statement: str, *params: object) -> list[tuple[Any, ...]]:
    with replay.around.connection(replay.database) as connection:
        return connection.execute(statement.encode(), params).fetchall()


def test_sealing_leaves_an_orphan_as_its_release_does(replay: Replay) -> None:
    """Up to v2.7 the new row is the orphan and shares the key; later the old one is, with the original."""
    statement = """select d.data like '%%-signed.pdf', d."initialData" like '%%-signed.pdf',
        exists (select from "DocumentData" o where o.id <> d.id and o.data = d.data)
        from "Envelope" e join "EnvelopeItem" i on i."envelopeId" = e.id
        join "DocumentData" d on d.id = i."documentDataId" where e."secondaryId" = 'document_219'"""
    assert rows(replay, statement) == [(True, False, not replay.later)]
    left = """select count(*) from "DocumentData" where data like '%%/seal-proof%%'"""
    assert rows(replay, left) == [(2,)]


def test_hard_delete_leaves_what_its_release_leaves(replay: Replay) -> None:
    """The data row stays; the audit log only where its reference to the envelope may be empty."""
    assert rows(replay, """select count(*) from "Envelope" where "secondaryId" = 'document_216'""") == [(0,)]
    kept = """select count(*) from "DocumentData" where data like '%%/upgrade-smoke-test.pdf'"""
    assert rows(replay, kept) == [(1,)]
    logs = """select count(*) > 0 from "DocumentAuditLog" where "envelopeId" is null"""
    assert rows(replay, logs) == [(replay.later,)]


def test_boot_writes_only_what_its_release_writes(replay: Replay) -> None:
    services = """select email from "User" where id in (1, 2) order by id"""
    domain = "sign.acme.example" if replay.later else "documenso.com"
    assert rows(replay, services) == [(f"serviceaccount@{domain}",), (f"deleted-account@{domain}",)]
    sweeps = """select count(distinct "jobId") from "BackgroundJob" where id ~ '^cron_[0-9a-f]{24}$'"""
    assert rows(replay, sweeps) == [(4 if replay.later else 0,)]
    assert rows(replay, """select count(*) from "SiteSettings" """) == [(1 if replay.later else 0,)]


def sign_in(client: httpx.Client, password: str) -> httpx.Response:
    """Sign in; the client then sends the session's cookie as a browser would, over TLS."""
    csrf = client.get("/api/auth/csrf")
    _keep_cookie(client, csrf)
    given = {
        "email": documenso_rows.EMAIL,
        "password": password,
        "csrfToken": csrf.json()["csrfToken"],
    }
    answer = client.post("/api/auth/email-password/authorize", json=given)
    _keep_cookie(client, answer)
    return answer


def _keep_cookie(client: httpx.Client, answer: httpx.Response) -> None:
    client.headers["cookie"] = answer.headers.get("set-cookie", "").partition(";")[0]


@pytest.mark.parametrize(("configuration", "name"), [("", "sessionId"), ("production", "__Secure-sessionId")])
def test_signing_in_lasts(replay: Replay, configuration: str, name: str) -> None:
    with httpx.Client(base_url=replay.servers[configuration].url) as client:
        assert sign_in(client, documenso_rows.PASSWORD).status_code == 201
        assert client.headers["cookie"].startswith(f"{name}=")
        assert client.get("/api/auth/session").json()["user"]["email"] == documenso_rows.EMAIL
        assert client.get("/documents").headers["location"] == "/t/acme-sales/documents"
        page = client.get("/t/acme-sales/documents")
        assert (page.status_code, 'data-document="215"' in page.text) == (200, True)
        assert client.post("/api/auth/signout").status_code == 200
        assert client.get("/api/auth/session").json()["isAuthenticated"] is False


def test_wrong_password_opens_no_session(replay: Replay) -> None:
    with httpx.Client(base_url=replay.servers[""].url) as client:
        answer = sign_in(client, "wrong")
    assert (answer.status_code, "set-cookie" in answer.headers) == (400, False)


def test_without_a_database_only_the_older_release_stays(around: Documenso) -> None:
    older, later = (
        around.start(version, "nowhere", REHEARSAL_CONNECT=NOWHERE) for version in ("v1.13.1", "v2.11.0")
    )
    assert later.process.wait(20) == 1
    ready(older)
    assert httpx.get(f"{older.url}/api/health").status_code == 500
    assert httpx.get(f"{older.url}/signin").status_code == 200


def test_event_is_lost_where_the_server_does_not_reach_itself(replays: dict[str, Replay]) -> None:
    replay = replays["v1.13.1"]
    replay.listen("hook")
    server = replay.around.start(
        "v1.13.1", replay.database, NEXT_PRIVATE_INTERNAL_WEBAPP_URL="http://127.0.0.1:1"
    )
    ready(server)
    before = len(replay.around.receiver.deliveries)
    body = {"title": "Lost", "recipients": []}
    assert httpx.post(f"{server.url}/api/v1/documents", json=body, headers=BEARER).status_code == 200
    lost = """select count(*) from "BackgroundJob" where payload->'data'->>'title' = 'Lost'"""
    assert rows(replay, lost) == [(0,)]
    assert len(replay.around.receiver.deliveries) == before


@pytest.fixture(scope="module")
def between(around: Documenso) -> Process:
    """v2.0.0 on a database of v1.13.1, which it migrates."""
    with around.database("between") as connection:
        documenso_rows.create(connection)
    server = around.start("v2.0.0", "between")
    ready(server)
    return server


def test_v2_0_0_is_between_the_recorded_ones(between: Process, around: Documenso) -> None:
    with httpx.Client(base_url=between.url, headers=BEARER) as client:
        assert client.get("/api/v2/document").status_code == 200
        listed = client.get("/api/v1/documents")
        assert (listed.status_code, "x-ratelimit-limit" in listed.headers) == (200, False)
        wrong = client.get("/api/v1/documents", headers={"Authorization": "Bearer nope"})
        assert wrong.json() == {"message": "Unauthorized"}
    with around.connection("between") as connection:
        assert migrations.deploy(connection, "v2.0.0").applied == ()
