"""The CRM stand-in against recorded exchanges of the real software, over real connections."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from rehearsal.apps.crm import branding
from selftest import app_stack
from selftest.app_stack import Json, Process, Stack, client, recording

AUTH = recording("better-auth.json")
SOCKETIO = recording("socketio.json")
DRIVERS = recording("node-postgres-errors.json")

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "date"}
GOOD = {"email": app_stack.EMAIL, "password": app_stack.PASSWORD}
NOT_IMPLEMENTED = {"error page", "sign-up", "sign-up duplicate"}
NEEDS_OTHER_STATE = {
    "get-session tampered",
    "get-session older than updateAge (1 day)",
    "get-session after sign-out",
}
EXCHANGES = {
    exchange["label"]: exchange
    for exchange in AUTH["exchanges"]
    if "request" in exchange and exchange["label"] not in NOT_IMPLEMENTED
}
PLAIN = [label for label in EXCHANGES if not label.startswith("B") and label not in NEEDS_OTHER_STATE]
RECORDS = {record["label"]: record for record in SOCKETIO["records"]}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with app_stack.running() as running:
        yield running


@pytest.fixture(scope="module")
def plain(stack: Stack) -> Process:
    """Configured with an http URL, rate limit off, stock heartbeat."""
    return stack.start("rehearsal.apps.crm", "plain")


@pytest.fixture(scope="module")
def public(stack: Stack) -> Process:
    """Configured as behind TLS in production, with a fast heartbeat."""
    return stack.start(
        "rehearsal.apps.crm",
        "public",
        {
            "APP_URL": "https://crm.portnimara.test",
            "NODE_ENV": "production",
            "REHEARSAL_PING_INTERVAL_MS": "1000",
        },
    )


@pytest.fixture(autouse=True)
def healthy(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in ("plain", "public"):
        if name in request.fixturenames:
            request.getfixturevalue(name).turn()


def sign_in(process: Process, **headers: str) -> str:
    """Return the Cookie header of a fresh session."""
    with client(process, **headers) as http:
        answer = http.post("/api/auth/sign-in/email", json=GOOD)
        assert answer.status_code == 200, answer.text
        return answer.headers["set-cookie"].partition(";")[0]


# better-auth ---------------------------------------------------------------------------------------------


def shape(body: Json) -> Json:
    """Keep what is fixed, replace what differs from run to run by its type."""
    if isinstance(body, dict):
        return {
            key: shape(value) if key in {"session", "user"} else _shape_of(key, value)
            for key, value in body.items()
        }
    return body


def _shape_of(key: str, value: Json) -> Json:
    return value if key in {"message", "code", "ok", "success", "redirect", "url"} else type(value).__name__


def cookie_shape(header: str) -> str:
    return re.sub(r"=[^;]+?(?=;)", "=…", header, count=1)


def header_shape(headers: httpx.Headers | dict[str, Any]) -> dict[str, Any]:
    kept = {name: headers[name] for name in headers if name not in HOP_BY_HOP}
    cookies = headers.get_list("set-cookie") if isinstance(headers, httpx.Headers) else kept.get("set-cookie")
    if "x-retry-after" in kept:
        kept["x-retry-after"] = 0 < int(kept["x-retry-after"]) <= 10
    if cookies:
        kept["set-cookie"] = [cookie_shape(cookie) for cookie in cookies]
    return kept


def auth_request(process: Process, exchange: dict[str, Any], cookie: str) -> httpx.Response:
    """Send a recorded request, with this server's origin and a live cookie in place of the recorded ones."""
    request = exchange["request"]
    headers = {"content-type": "application/json"} | request["headers"]
    if headers.get("origin", "").startswith("http://127.0.0.1"):
        headers["origin"] = process.url
    if "cookie" in headers:
        headers["cookie"] = headers["cookie"].partition("=")[0] + "=" + cookie.partition("=")[2]
    body = request.get("body")
    content = body if isinstance(body, str) else json.dumps(body) if body is not None else None
    with client(process) as http:
        return http.request(request["method"], request["path"], headers=headers, content=content)


def assert_same(answer: httpx.Response, recorded: dict[str, Any]) -> None:
    body = json.loads(answer.text) if answer.text else ""
    assert answer.status_code == recorded["status"]
    assert shape(body) == shape(recorded["body"])
    assert list(body or {}) == list(recorded["body"] or {})
    assert header_shape(answer.headers) == header_shape(recorded["headers"])


@pytest.mark.parametrize("label", PLAIN)
def test_auth_exchange(plain: Process, label: str) -> None:
    exchange = EXCHANGES[label]
    cookie = sign_in(plain) if "cookie" in exchange["request"]["headers"] else ""
    assert_same(auth_request(plain, exchange, cookie), exchange["response"])


def test_auth_tampered_cookie(plain: Process) -> None:
    exchange = EXCHANGES["get-session tampered"]
    assert_same(auth_request(plain, exchange, sign_in(plain)[:-6] + "AAA%3D"), exchange["response"])


def test_auth_session_is_renewed_after_a_day(stack: Stack, plain: Process) -> None:
    cookie = sign_in(plain)
    stack.rows("""update session set "expiresAt" = "expiresAt" - interval '2 days'""")
    exchange = EXCHANGES["get-session older than updateAge (1 day)"]
    assert_same(auth_request(plain, exchange, cookie), exchange["response"])


def test_auth_signed_out_cookie_is_cleared(plain: Process) -> None:
    cookie = sign_in(plain)
    auth_request(plain, EXCHANGES["sign-out"], cookie)
    exchange = EXCHANGES["get-session after sign-out"]
    assert_same(auth_request(plain, exchange, cookie), exchange["response"])


def test_auth_cookie_value_has_the_recorded_shape(plain: Process) -> None:
    value = httpx.URL("http://x/?" + sign_in(plain).partition(".session_token")[2].join("v ").split()[0])
    decoded = str(value.params["v"])
    recorded = AUTH["cookie_value_shape"]["decoded"]
    assert len(decoded) == len(recorded)
    assert decoded[32] == recorded[32] == "."


def test_auth_writes_one_session_row_per_sign_in(stack: Stack, plain: Process) -> None:
    before = stack.rows("select count(*) from session")
    sign_in(plain)
    assert stack.rows("select count(*) from session") == [(before[0][0] + 1,)]


def test_auth_rate_limit_and_secure_cookie(public: Process) -> None:
    for label in (
        "B(https baseURL, rateLimit on) sign-in good",
        *[f"B sign-in attempt {n}, same ip" for n in (2, 3, 4)],
    ):
        exchange = EXCHANGES[label]
        assert_same(auth_request(public, exchange, ""), exchange["response"])
    other = EXCHANGES["B sign-in, other ip"]
    assert_same(auth_request(public, other, ""), other["response"])


def test_auth_needs_its_own_cookie_name(public: Process) -> None:
    cookie = sign_in(public, **{"x-forwarded-for": "203.0.113.20"})
    for label in ("B get-session", "B get-session cookie without prefix"):
        assert_same(auth_request(public, EXCHANGES[label], cookie), EXCHANGES[label]["response"])


def test_auth_tables_have_the_recorded_columns(stack: Stack) -> None:
    for table, columns in AUTH["tables"].items():
        seen = {
            f"{name} {kind}{' not null' if nullable == 'NO' else ''}"
            for name, kind, nullable in stack.rows(
                "select column_name, data_type, is_nullable from information_schema.columns "
                "where table_schema = 'public' and table_name = %s",
                table,
            )
        }
        assert set(columns) <= seen


def test_auth_password_has_the_recorded_shape(stack: Stack) -> None:
    [(stored,)] = stack.rows("select password from account")
    assert re.fullmatch(r"[0-9a-f]{32}:[0-9a-f]{128}", stored)


def test_auth_http_base_url_behind_tls_loses_the_secure_cookie(public: Process) -> None:
    public.turn(auth="http-base-url")
    headers = {"x-forwarded-for": "203.0.113.21", "origin": "https://crm.portnimara.test"}
    assert sign_in(public, **headers).startswith("better-auth.session_token=")
    public.turn(auth="untrusted-origin")
    with client(public, **headers) as http:
        answer = http.post("/api/auth/sign-in/email", json=GOOD)
    assert (answer.status_code, answer.json()["code"]) == (403, "INVALID_ORIGIN")


# Socket.IO -----------------------------------------------------------------------------------------------


def websocket(process: Process, query: str, **headers: str) -> ClientConnection:
    url = process.url.replace("http", "ws", 1) + f"/socket.io/?{query}"
    return connect(url, additional_headers=headers, compression=None, max_size=None)


def receive(connection: ClientConnection) -> str:
    return str(connection.recv(timeout=10))


def packet(text: str) -> str:
    return re.sub(r'"(sid|id)":"[^"]{20}"', r'"\1":"<20 characters>"', text)


def fields(text: str) -> Json:
    """The packet's fields; python-engineio sends them in another order."""
    return json.loads(packet(text)[1:])


POLLING = [
    "polling handshake",
    "polling evil origin, default server",
    "polling unknown sid",
    "POST without sid (handshake must be GET)",
    "unknown transport",
    "missing transport",
    "EIO=3 polling",
    "EIO=5 polling",
    "transport=websocket by plain GET without Upgrade",
]


@pytest.mark.parametrize("label", POLLING)
def test_socketio_polling_answer(plain: Process, label: str) -> None:
    request, recorded = RECORDS[label]["request"], RECORDS[label]["response"]
    with client(plain) as http:
        answer = http.request(
            request["method"], request["path"], headers=request["headers"], content=request.get("body")
        )
    assert answer.status_code == recorded["status"]
    assert header_shape(answer.headers) == header_shape(recorded["headers"])
    if recorded["body"].startswith("0"):
        assert answer.text.startswith("0")
        assert fields(answer.text) == fields(recorded["body"])
    else:
        assert answer.text == recorded["body"]


REFUSED_WEBSOCKETS = ["websocket with unknown sid", "websocket transport unknown"]


@pytest.mark.parametrize("label", REFUSED_WEBSOCKETS)
def test_socketio_websocket_refused(plain: Process, label: str) -> None:
    record = RECORDS[label]
    with pytest.raises(InvalidStatus) as refused:
        websocket(plain, record["url"].partition("?")[2])
    answer, recorded = refused.value.response, record["handshake"]
    assert answer.status_code == recorded["status"]
    assert answer.headers["content-type"] == recorded["headers"]["content-type"]
    assert answer.body == recorded["body"].encode()


@pytest.mark.parametrize("label", ["EIO=3 websocket", "no EIO param websocket"])
def test_socketio_wrong_version_gets_101_and_no_open_packet(plain: Process, label: str) -> None:
    with (
        websocket(plain, RECORDS[label]["url"].partition("?")[2]) as connection,
        pytest.raises(ConnectionClosed),
    ):
        receive(connection)


@pytest.mark.parametrize(
    "label",
    ["open packet + CONNECT / without auth (redis adapter)", "CONNECT with auth object to main namespace"],
)
def test_socketio_connects(plain: Process, label: str) -> None:
    plain.turn(realtime="anonymous")
    opening, request, joined = RECORDS[label]["frames"][:3]
    with websocket(plain, "EIO=4&transport=websocket") as connection:
        opened = receive(connection)
        assert fields(opened) == fields(opening["data"])
        assert len(opened) == len(opening["data"])
        connection.send(request["data"])
        assert packet(receive(connection)) == packet(joined["data"])


def test_socketio_does_not_check_the_origin(plain: Process) -> None:
    with websocket(plain, "EIO=4&transport=websocket", origin="https://evil.test") as connection:
        assert receive(connection).startswith("0{")


@pytest.mark.parametrize(
    "label", ["garbage packet", "event before CONNECT", "heartbeat: client sends ping (wrong direction)"]
)
def test_socketio_closes_on_a_packet_it_must_not_get(plain: Process, label: str) -> None:
    with websocket(plain, "EIO=4&transport=websocket") as connection:
        receive(connection)
        connection.send(RECORDS[label]["frames"][1]["data"])
        with pytest.raises(ConnectionClosed):
            receive(connection)


def test_socketio_unknown_namespace(plain: Process) -> None:
    request, refused = RECORDS["CONNECT unknown namespace"]["frames"][1:3]
    with websocket(plain, "EIO=4&transport=websocket") as connection:
        receive(connection)
        connection.send(request["data"])
        assert receive(connection) == refused["data"]


def test_socketio_namespace_needs_a_session(plain: Process) -> None:
    """Without a session the form of the recorded refusal of a middleware; joined with one."""
    with websocket(plain, "EIO=4&transport=websocket") as connection:
        receive(connection)
        connection.send("40")
        assert receive(connection) == '44{"message":"unauthorized"}'
    with websocket(plain, "EIO=4&transport=websocket", cookie=sign_in(plain)) as connection:
        receive(connection)
        connection.send("40")
        assert packet(receive(connection)) == '40{"sid":"<20 characters>"}'


def test_socketio_polling_session_upgrades(plain: Process) -> None:
    plain.turn(realtime="anonymous")
    with client(plain) as http:
        sid = fields_sid(http.get("/socket.io/?EIO=4&transport=polling").text)
        address = f"/socket.io/?EIO=4&transport=polling&sid={sid}"
        for label, method, body in (("polling CONNECT", "POST", "40"), ("polling read", "GET", None)):
            answer, recorded = http.request(method, address, content=body), RECORDS[label]["response"]
            assert answer.status_code == recorded["status"]
            assert packet(answer.text) == packet(recorded["body"].partition("\x1e")[0])
            assert answer.headers["content-type"] == recorded["headers"]["content-type"]
        with websocket(plain, f"EIO=4&transport=websocket&sid={sid}") as connection:
            connection.send("2probe")
            assert receive(connection) == "3probe"
            assert http.get(address).text == "6"
            connection.send("5")
            app_stack.wait_for(lambda: http.get(address).status_code == 400)
            assert (
                http.get(address).text == RECORDS["polling after upgrade with that sid"]["response"]["body"]
            )


def fields_sid(text: str) -> str:
    return str(json.loads(text[1:])["sid"])


def test_socketio_server_pings_and_stays_after_the_pong(public: Process) -> None:
    with websocket(public, "EIO=4&transport=websocket") as connection:
        assert fields(receive(connection))["pingInterval"] == 1000
        for _ in range(2):
            assert receive(connection) == "2"
            connection.send("3")


def test_socketio_upgrade_through_an_http_1_0_proxy(plain: Process) -> None:
    """A vhost that forgot proxy_http_version still upgrades, as seen with node behind nginx 1.22."""
    record = RECORDS["nginx Upgrade headers but proxy_http_version default 1.0: websocket"]
    with httpx.Client() as http:
        request = http.build_request("GET", plain.url + "/socket.io/?EIO=4&transport=websocket")
    head = (
        f"GET {request.url.raw_path.decode()} HTTP/1.0\r\nHost: x\r\nUpgrade: websocket\r\n"
        "Connection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with socket.create_connection((request.url.host, request.url.port or 80), timeout=10) as raw:
        raw.sendall(head.encode())
        answer = raw.recv(4096).decode("latin-1")
    assert int(answer.split()[1]) == record["handshake"]["status"]


def test_socketio_knobs(plain: Process) -> None:
    plain.turn(realtime="refuse-namespace")
    with websocket(plain, "EIO=4&transport=websocket", cookie=sign_in(plain)) as connection:
        receive(connection)
        connection.send("40")
        assert receive(connection).startswith("44{")
    plain.turn(realtime="silent-namespace")
    with websocket(plain, "EIO=4&transport=websocket") as connection:
        receive(connection)
        connection.send("40")
        with pytest.raises(TimeoutError):
            connection.recv(timeout=0.5)
    plain.turn(realtime="no-upgrade")
    with client(plain) as http:
        opened = http.get("/socket.io/?EIO=4&transport=polling").text
    assert fields(opened)["upgrades"] == []
    with pytest.raises(InvalidStatus):
        websocket(plain, f"EIO=4&transport=websocket&sid={fields_sid(opened)}")


def test_socketio_is_attached_to_redis(stack: Stack, plain: Process) -> None:
    assert plain.process.poll() is None
    with stack.redis() as connection:
        app_stack.wait_for(lambda: connection.pubsub_numsub("socketio")[0][1] >= 1)


# Logs ----------------------------------------------------------------------------------------------------


def printed(text: str) -> str:
    """A driver's error without what depends on the place: stack frames, server and query positions."""
    lines = [line for line in text.splitlines() if not re.match(r"\s+at ", line)]
    joined = re.sub(r"^(\s+at .*) \{$", r"{", "\n".join(lines), flags=re.M)
    joined = re.sub(r"""(position"?:\s?)(['"])\d+['"]""", r"\1\2N\2", joined)
    return re.sub(r"""(line"?:\s?)(['"])\d+['"]""", r"\1\2N\2", joined)


def logged(process: Process, way: str, kind: str) -> str:
    process.turn(log=way)
    before = len(process.errors())
    with client(process) as http:
        assert http.get(f"/__rehearsal/query/{kind}").status_code == 200
    return process.errors()[before:]


def lines_of(case: str, first: int, last: int | None) -> str:
    return "\n".join(DRIVERS["cases"][case]["stderr"].splitlines()[first:last])


@pytest.mark.parametrize(
    ("way", "recorded"),
    [
        ("pg-object", lines_of("pg-caught", 0, None)),
        ("pg-message", lines_of("pg-console-message", 0, 1)),
        ("pg-json", lines_of("pg-console-message", 1, 2)),
        ("postgresjs-object", lines_of("postgres-caught", 0, None)),
        ("postgresjs-json", lines_of("postgres-console-message", 1, 2)),
        ("drizzle-object", lines_of("drizzle-pg", 0, None)),
        ("drizzle-message", lines_of("drizzle-message-only", 0, 2)),
    ],
)
def test_failed_query_is_logged_as_the_driver_logs_it(plain: Process, way: str, recorded: str) -> None:
    assert printed(logged(plain, way, "column")).strip() == printed(recorded).strip()


def test_failed_insert_is_logged_as_the_driver_logs_it(plain: Process) -> None:
    assert printed(logged(plain, "pg-object", "insert")) == printed(DRIVERS["cases"]["pg-insert"]["stderr"])


VARIANTS = DRIVERS["postgres_server_log"]["message variants, 15.20"]


@pytest.mark.parametrize(
    ("kind", "code", "recorded"),
    [
        ("column", "42703", VARIANTS["42703"][0]),
        ("alias", "42703", VARIANTS["42703"][1]),
        ("insert", "42703", VARIANTS["42703"][2]),
        ("table", "42P01", VARIANTS["42P01"][0]),
        ("function", "42883", VARIANTS["42883"][0]),
        ("type", "42704", VARIANTS["42704"][0]),
    ],
)
def test_failing_query_is_a_real_one(
    stack: Stack, plain: Process, kind: str, code: str, recorded: str
) -> None:
    message = logged(plain, "pg-object", kind).splitlines()[0].removeprefix("error: ")
    names = r'"[^"]+"|mooring_rank|nofn'
    assert re.sub(names, "X", message) == re.sub(names, "X", recorded)
    assert f"  code: '{code}'," in plain.errors()
    assert re.search(rf"ERROR:  {re.escape(message)}", stack.postgres_log.read_text())


def test_server_log_has_the_statement(stack: Stack, plain: Process) -> None:
    logged(plain, "", "column")
    error, statement = DRIVERS["postgres_server_log"]["default (log_line_prefix = %m [%p] )"]
    text = stack.postgres_log.read_text()
    assert error.partition("] ")[2].rpartition(" ")[0] in text
    assert statement.partition("] ")[2].partition("  ")[0] + "  select" in text


def test_banner(plain: Process) -> None:
    def normal(text: str) -> list[str]:
        return re.sub(r"http://[\d.]+:\d+|\d+ms", "…", text).splitlines()[:4]

    assert normal(plain.stdout.read_text()) == normal(DRIVERS["next_16_standalone_stdout"])


def test_requests_leave_no_log_line(public: Process) -> None:
    before = public.stdout.read_bytes() + public.stderr.read_bytes()
    with client(public) as http:
        http.get("/api/public/health")
        http.get("/login")
    assert public.stdout.read_bytes() + public.stderr.read_bytes() == before


def test_unhandled_rejections_on_demand(plain: Process) -> None:
    plain.turn(crash_loop_log=True)
    head = next(line for line in DRIVERS["next_16_standalone_stderr"].splitlines() if "unhandled" in line)
    app_stack.wait_for(lambda: plain.errors().count(head) >= 2)


# Public routes and pages ---------------------------------------------------------------------------------


def test_health(plain: Process) -> None:
    secret = {"x-intake-secret": app_stack.INTAKE_SECRET}
    with client(plain) as http:
        open_answer = http.get("/api/public/health")
        wrong = http.get("/api/public/health", headers={"x-intake-secret": "wrong"})
        full = http.get("/api/public/health", headers=secret)
        refused = http.post("/api/public/health")
    assert open_answer.json()["status"] == "ok"
    assert "checks" not in open_answer.json() | wrong.json()
    assert full.json()["checks"] == {"db": {"status": "ok"}, "redis": {"status": "ok"}}
    assert open_answer.headers["content-type"] == "application/json"
    assert open_answer.headers["transfer-encoding"] == "chunked"
    assert not {"x-powered-by", "cache-control", "server"} & set(open_answer.headers)
    assert (refused.status_code, refused.content) == (405, b"")


def test_health_while_everything_else_is_down(stack: Stack) -> None:
    dead = f"{stack.net}.35"
    app = stack.start(
        "rehearsal.apps.crm",
        "alone",
        {
            "DATABASE_URL": f"postgres://crm:pw@{dead}:5432/crm",
            "REDIS_URL": f"redis://:pw@{dead}:6379",
            "WEBSITE_INTAKE_SECRET": "",
        },
    )
    with client(app) as http:
        assert http.get("/api/public/health").json()["status"] == "ok"
        assert http.post("/api/public/website-inquiries", json={}).status_code == 503
        assert (http.get("/api/public/berths").status_code, http.get("/login").status_code) == (500, 200)
    recorded = DRIVERS["cases"]["pg-refused"]["stderr"].replace("127.0.0.1:1", f"{dead}:5432")
    recorded = recorded.replace("'127.0.0.1'", f"'{dead}'").replace("port: 1\n", "port: 5432\n")
    assert "⨯ " + printed(recorded) in printed(app.errors()) + "\n"


def test_health_tells_what_is_down(stack: Stack) -> None:
    app = stack.start("rehearsal.apps.crm", "no-redis", {"REDIS_URL": f"redis://{stack.net}.35:6379"})
    with client(app) as http:
        answer = http.get("/api/public/health", headers={"x-intake-secret": app_stack.INTAKE_SECRET})
    assert (answer.status_code, answer.json()["status"]) == (503, "degraded")
    assert answer.json()["checks"] == {"db": {"status": "ok"}, "redis": {"status": "error"}}


def test_health_knobs(plain: Process) -> None:
    secret = {"x-intake-secret": app_stack.INTAKE_SECRET}
    with client(plain) as http:
        plain.turn(health="degraded")
        assert http.get("/api/public/health").json()["status"] == "degraded"
        plain.turn(health="html")
        assert http.get("/api/public/health").headers["content-type"].startswith("text/html")
        plain.turn(health="checks-leak")
        assert "checks" in http.get("/api/public/health").json()
        plain.turn(health="no-checks-auth")
        assert "checks" not in http.get("/api/public/health", headers=secret).json()


def test_berths(plain: Process) -> None:
    with client(plain) as http:
        berths = http.get("/api/public/berths").json()
        plain.turn(berths="error")
        failed = http.get("/api/public/berths")
        plain.turn(berths="empty")
        assert http.get("/api/public/berths").json() == []
        plain.turn(berths="not-a-list")
        assert isinstance(http.get("/api/public/berths").json(), dict)
    assert len(berths) == 12
    assert list(berths[0]) == ["id", "name", "status", "length_m", "width_m", "draft_m", "price_eur"]
    assert (failed.status_code, failed.content) == (500, b"")
    assert "content-type" not in failed.headers
    assert "⨯ Error: " in plain.errors()


def test_intake(stack: Stack, plain: Process) -> None:
    inquiry = {"kind": "berth", "email": "a@example.test", "name": "A"}
    with client(plain) as http:

        def post(secret: str, body: object, **headers: str) -> int:
            headers["x-webhook-secret"] = secret
            return http.post("/api/public/website-inquiries", json=body, headers=headers).status_code

        assert post("wrong", inquiry) == 401
        assert post("wrong", {}) == 401
        assert post(app_stack.INTAKE_SECRET, {}) == 400
        assert post(app_stack.INTAKE_SECRET, inquiry, **{"x-utm": "utm_source=a&other=b"}) == 201
        plain.turn(intake="accept-any")
        assert post("wrong", {}) == 400
    assert stack.rows("select payload, utm from website_submissions") == [(inquiry, {"utm_source": "a"})]


def test_documenso_webhook_is_idempotent(stack: Stack, plain: Process) -> None:
    event = {"event": "DOCUMENT_COMPLETED", "payload": {"id": 7}, "createdAt": "2026-06-01T10:00:00.000Z"}
    headers = {"x-documenso-secret": app_stack.DOCUMENSO_SECRET}
    with client(plain) as http:
        assert http.post("/api/webhooks/documenso", json=event).status_code == 401
        for duplicate in (False, True):
            answer = http.post("/api/webhooks/documenso", json=event, headers=headers)
            assert answer.json() == {"ok": True, "duplicate": duplicate}
        assert http.post("/api/webhooks/documenso", json={}, headers=headers).status_code == 400
    assert stack.rows("select event, document_id from documenso_events") == [("DOCUMENT_COMPLETED", 7)]


def test_login_page_and_brand(plain: Process) -> None:
    with client(plain) as http:
        login, logo = http.get("/login"), http.get(branding.LOGO_PATH)
        plain.turn(logo="pixel")
        pixel = http.get(branding.LOGO_PATH)
        plain.turn(logo="404", login="500")
        assert http.get(branding.LOGO_PATH).status_code == 404
        broken = http.get("/login")
    assert f"<title>{branding.TITLE}</title>" in login.text
    assert f"--brand: {branding.COLOUR};" in login.text
    assert logo.content[16:24] == bytes.fromhex(f"{branding.LOGO_WIDTH:08x}{branding.LOGO_HEIGHT:08x}")
    assert pixel.content[16:24] == bytes.fromhex("0000000100000001")
    assert broken.status_code == 500
    assert '<html id="__next_error__"' in broken.text


@pytest.mark.parametrize("path", ["/berths", "/deals/1"])
def test_pages_are_guarded(plain: Process, path: str) -> None:
    with client(plain) as http:
        anonymous = http.get(path)
        signed_in = http.get(path, headers={"cookie": sign_in(plain)})
        plain.turn(guard="open")
        exposed = http.get(path)
    assert (anonymous.status_code, anonymous.headers["location"]) == (307, "/login")
    assert "A1" not in anonymous.text
    assert signed_in.status_code == exposed.status_code == 200
    assert "A1" in signed_in.text
    assert "A1" in exposed.text


def test_page_knobs(plain: Process) -> None:
    with client(plain, cookie=sign_in(plain)) as http:
        plain.turn(deal="error", berths="empty")
        assert http.get("/deals/1").status_code == 500
        assert "data-berth" not in http.get("/berths").text
        plain.turn(berths="page-error")
        assert http.get("/berths").status_code == 500
        assert http.get("/api/public/berths").status_code == 200


def test_addresses_that_lead_elsewhere(plain: Process) -> None:
    with client(plain) as http:
        assert http.get("/").headers["location"] == "/login"
        assert http.get("/", headers={"cookie": sign_in(plain)}).headers["location"] == "/berths"
        missing = http.get("/nope")
    assert missing.status_code == 404
    assert missing.headers["content-type"].startswith("text/html")
    assert missing.headers["cache-control"] == "private, no-cache, no-store, max-age=0, must-revalidate"


def test_a_really_dropped_column_is_an_undefined_column(stack: Stack, plain: Process) -> None:
    stack.rows("alter table berths rename column draft_m to draught_m")
    try:
        with client(plain) as http:
            assert http.get("/api/public/berths").status_code == 500
    finally:
        stack.rows("alter table berths rename column draught_m to draft_m")
    assert '⨯ error: column "draft_m" does not exist' in plain.errors()
