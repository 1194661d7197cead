"""What nginx's files mean is read as nginx reads it, and what cannot be told stays untold."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acceptance.check import CheckFailedError
from acceptance.errors import UnavailableError
from acceptance.facts import nginx as facts
from acceptance.facts.base import Known, Unavailable, known
from acceptance.facts.nginx import Nginx
from acceptance.facts.nginx_parse import Configuration, read
from acceptance.facts.nginx_vhost import FORWARDED_HEADERS, Proxied, find, judged, seconds_of, size_of
from acceptance.facts.tree import Entry, Tree
from acceptance.guard.commands import NGINX_NAMED_FILES, NGINX_PROCESSES, NGINX_TEST, call
from acceptance.transports.host import Result
from selftest.local_host import NOBODY, LocalHost, access, target_for
from tests.verify import test_nginx as checks

RECORDED = json.loads((Path(__file__).parent / "recordings" / "peers" / "certbot-nginx.json").read_text())
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")

MAIN = """\
user www-data;
pid /run/nginx.pid;
include /etc/nginx/modules-enabled/*.conf;
events { worker_connections 768; }
http {
    %s
    include /etc/nginx/mime.types;
    include /etc/nginx/conf.d/*.conf;
    include sites-enabled/*;
}
"""
HEADERS = """\
        proxy_set_header Host $host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header CF-Connecting-IP $http_cf_connecting_ip;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
"""
VHOST = f"""\
server {{
    server_name crm.example.test;
    client_max_body_size 64M;
    location / {{
        proxy_pass http://127.0.0.1:7100;
        proxy_http_version 1.1;
{HEADERS}
        proxy_read_timeout 300;
        proxy_buffering off;
    }}
    listen [::]:443 ssl ipv6only=on; # managed by Certbot
    listen 443 ssl; # managed by Certbot
    ssl_certificate /etc/letsencrypt/live/crm.example.test/fullchain.pem; # managed by Certbot
    ssl_certificate_key /etc/letsencrypt/live/crm.example.test/privkey.pem; # managed by Certbot
    include /etc/letsencrypt/options-ssl-nginx.conf; # managed by Certbot
}}
server {{
    if ($host = crm.example.test) {{
        return 301 https://$host$request_uri;
    }} # managed by Certbot
    listen 80;
    server_name crm.example.test;
    return 404; # managed by Certbot
}}"""

OPTIONS = "/etc/letsencrypt/options-ssl-nginx.conf"


def tree(vhost: str = VHOST, http: str = "", **more: str) -> Tree:
    """Return a tree like Debian's; further files by name below /etc/nginx."""
    files = {
        "/etc/nginx/nginx.conf": MAIN % http,
        "/etc/nginx/mime.types": "types {\n    text/html html htm;\n}\n",
        "/etc/nginx/sites-available/crm.conf": vhost,
        OPTIONS: "ssl_protocols TLSv1.2 TLSv1.3;\n",
        **{f"/etc/nginx/{name}": text for name, text in more.items()},
    }
    entries = {path: Entry("file", content=text.encode()) for path, text in files.items()}
    for name in ("", "/conf.d", "/modules-enabled", "/sites-available", "/sites-enabled"):
        entries[f"/etc/nginx{name}"] = Entry("directory")
    entries["/etc/nginx/sites-enabled/crm.conf"] = Entry("link", target="../sites-available/crm.conf")
    return Tree(entries, "/etc/nginx", left_out=("*.pem",))


def parse(files: Tree) -> Configuration:
    return read(files, "/etc/nginx/nginx.conf", "/usr/share/nginx")


def proxied(files: Tree, uri: str = "/") -> Proxied:
    found = parse(files)
    assert not found.errors
    http = next(one for one in found.directives if one.name == "http")
    return find(judged(http), "crm.example.test", 443, found.variables).location(uri)


def test_healthy_vhost_says_what_the_plan_asks_for() -> None:
    seen = proxied(tree())
    assert seen.destinations.value == {"127.0.0.1:7100"}
    assert seen.keeps_path.value
    assert not seen.answered_here.value
    assert all(seen.carries(name).value for name in FORWARDED_HEADERS)
    assert seen.carries("Upgrade").value
    assert seen.upgrade_connection.value
    assert seen.http_version.value == "1.1"
    assert seen.body_size.value == 64 * 1024**2
    assert seen.read_timeout.value == 300
    assert not seen.buffering.value
    line = VHOST.splitlines().index("        proxy_buffering off;") + 1
    assert seen.buffering.source.where == f"/etc/nginx/sites-enabled/crm.conf:{line}"


def test_recorded_certbot_vhosts_are_understood() -> None:
    seen = proxied(tree(RECORDED["vhost_after"]))
    assert seen.destinations.value == {"127.0.0.1:7100"}
    assert seen.upgrade_connection.value
    assert not seen.carries("X-Real-IP").value
    assert proxied(tree(RECORDED["vhost_after_expand_to_two_names"])).vhost.server is not None
    assert proxied(tree(RECORDED["vhost_before"])).vhost.server is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("proxy_buffering off;", "proxy_buffering off", 'unexpected "}"'),
        ("proxy_buffering off;", "proxy_buffering maybe;", 'invalid value "maybe"'),
        ("proxy_buffering off;", "proxy_buffering off; proxy_buffering on;", "is duplicate"),
        ("proxy_read_timeout 300;", "proxy_read_timeout;", "invalid number of arguments"),
        ("server_name crm.example.test;", "worker_processes 2;", "is not allowed here"),
        ("location / {", "location / ", "has no opening"),
        ("listen 443 ssl;", 'listen "443 ssl;', "unexpected end of file"),
        (OPTIONS, "/etc/nginx/gone.conf", "No such file or directory"),
        (OPTIONS, "/etc/nginx/conf.d", "Is a directory"),
        (OPTIONS, "/etc/nginx/nginx.conf", "is not allowed here"),
        (OPTIONS, "/etc/nginx/sites-enabled/crm.conf", "is not allowed here"),
    ],
)
def test_mistakes_are_errors_with_a_place(old: str, new: str, message: str) -> None:
    errors = parse(tree(VHOST.replace(old, new, 1))).errors
    assert any(message in one.message for one in errors), errors
    assert errors[0].file.startswith("/etc/nginx/")
    assert errors[0].line > 0


def test_file_that_includes_itself_is_an_error() -> None:
    files = tree(**{"loop.conf": "include loop.conf;\n"}, http="include loop.conf;")
    assert any("includes itself" in one.message for one in parse(files).errors)


def test_missing_events_section_is_an_error() -> None:
    files = tree()
    files.entries["/etc/nginx/nginx.conf"] = Entry("file", content=b"http { }\n")
    assert [one.message for one in parse(files).errors] == ['no "events" section in configuration']


def test_unknown_directive_is_neither_right_nor_wrong() -> None:
    found = parse(tree(http="more_clear_headers Server;"))
    assert not found.errors
    assert [one.message for one in found.unrecognised] == ['unknown directive "more_clear_headers"']


def test_dangling_link_is_an_error() -> None:
    files = tree()
    files.entries["/etc/nginx/sites-enabled/old"] = Entry("link", target="../sites-available/old")
    assert "No such file" in parse(files).errors[0].message


def test_include_from_elsewhere_is_wanted_and_never_opened_here(tmp_path: Path) -> None:
    decoy = tmp_path / "decoy.conf"
    decoy.write_text("server { listen 81; }\n")
    found = parse(tree(http=f"include {decoy}; include {tmp_path}/*.conf; include {tmp_path}/key.pem;"))
    assert found.wanted == [str(decoy), f"{tmp_path}/*.conf"]
    assert [one.path for one in found.unread] == [f"{tmp_path}/key.pem"]
    assert not found.errors


def test_decoy_configuration_of_this_machine_changes_nothing() -> None:
    """The machine of the operator may have an /etc/nginx of its own; the sandbox of this test has."""
    assert Path("/etc/nginx/nginx.conf").exists() or NGINX is None
    found = parse(tree(**{"conf.d/a.conf": "# nothing\n"}))
    assert found.files == [
        "/etc/nginx/nginx.conf",
        "/etc/nginx/mime.types",
        "/etc/nginx/conf.d/a.conf",
        "/etc/nginx/sites-enabled/crm.conf",
        OPTIONS,
    ]


def test_named_files_are_listed_with_their_place() -> None:
    named = parse(tree(http="ssl_dhparam dh.pem; auth_basic_user_file off;")).named
    assert [one.path for one in named] == [
        "/etc/nginx/dh.pem",
        "/etc/letsencrypt/live/crm.example.test/fullchain.pem",
        "/etc/letsencrypt/live/crm.example.test/privkey.pem",
    ]


def test_headers_of_the_server_are_dropped_by_one_in_the_location() -> None:
    moved = VHOST.replace(HEADERS, "        proxy_set_header Upgrade $http_upgrade;\n").replace(
        "    location /", f"{HEADERS}\n    location /", 1
    )
    seen = proxied(tree(moved))
    assert not seen.carries("Host").value
    assert seen.header("Host").value == "$proxy_host"
    assert seen.carries("Upgrade").value


def test_headers_of_the_server_hold_in_a_location_without_any() -> None:
    moved = VHOST.replace(HEADERS, "").replace("    location /", f"{HEADERS}\n    location /", 1)
    assert all(proxied(tree(moved)).carries(name).value for name in FORWARDED_HEADERS)


@pytest.mark.parametrize(
    ("connection", "http", "holds"),
    [
        ("upgrade", "", True),
        ('"Upgrade"', "", True),
        ("$http_connection", "", True),
        ('""', "", False),
        ("keep-alive", "", False),
        ("$connection_upgrade", "map $http_upgrade $connection_upgrade { default upgrade; '' close; }", True),
        ("$connection_upgrade", "map $http_upgrade $connection_upgrade { default close; }", False),
        ("$c", "map $http_upgrade $c { default close; ~*^websocket$ upgrade; }", True),
        ("$c", "map $http_upgrade $c { default close; websocket Upgrade; }", True),
        ("$connection_upgrade", "", False),
    ],
)
def test_connection_header(connection: str, http: str, holds: bool) -> None:
    vhost = VHOST.replace('Connection "upgrade"', f"Connection {connection}")
    assert proxied(tree(vhost, http)).upgrade_connection.value is holds


def test_connection_from_another_variable_is_unknown() -> None:
    vhost = VHOST.replace('Connection "upgrade"', "Connection $own")
    with pytest.raises(UnavailableError, match="own"):
        _ = proxied(tree(vhost, "map $uri $own { default upgrade; }")).upgrade_connection


def test_header_from_an_own_variable_is_unknown() -> None:
    vhost = VHOST.replace("Host $host", "Host $site")
    with pytest.raises(UnavailableError, match="site"):
        proxied(tree(vhost, "map $host $site { default $host; }")).carries("Host")


def test_upstream_block_is_resolved() -> None:
    vhost = VHOST.replace("http://127.0.0.1:7100", "http://app")
    one = "upstream app { server 127.0.0.1:7100; server 127.0.0.1:1 down; keepalive 8; }"
    assert proxied(tree(vhost, one)).destinations.value == {"127.0.0.1:7100"}
    two = "upstream app { server 127.0.0.1:7100; server 127.0.0.1:7200 backup; }"
    assert proxied(tree(vhost, two)).destinations.value == {"127.0.0.1:7100", "127.0.0.1:7200"}
    with pytest.raises(UnavailableError, match="variable"):
        _ = proxied(tree(VHOST.replace("127.0.0.1:7100", "$app"))).destinations


@pytest.mark.parametrize(
    ("target", "kept"), [("", True), ("/", True), ("/app/", False), ("$request_uri", True)]
)
def test_uri_in_proxy_pass_replaces_the_path(target: str, kept: bool) -> None:
    assert proxied(tree(VHOST.replace(":7100;", f":7100{target};"))).keeps_path.value is kept


def test_return_wins_over_proxy_pass() -> None:
    seen = proxied(tree(VHOST.replace("    location /", "    return 503;\n    location /", 1)))
    assert seen.answered_here.value
    assert seen.answered_here.text == "return 503"


LOCATIONS = """\
location = / { proxy_read_timeout 1; }
location / { proxy_read_timeout 2; location /a/b/ { proxy_read_timeout 3; } }
location /a/ { proxy_read_timeout 4; location ~ \\.js$ { proxy_read_timeout 5; } }
location ^~ /static/ { proxy_read_timeout 6; }
location ~* \\.PNG$ { proxy_read_timeout 7; }
location ~ ^/(?<first>x)/ { proxy_read_timeout 8; }
location @named { proxy_read_timeout 9; }
location =/glued { proxy_read_timeout 10; }
"""


@pytest.mark.parametrize(
    ("uri", "seconds"),
    [
        ("/", 1),
        ("/other", 2),
        ("/a/c", 4),
        ("/a/b/c", 4),
        ("/a/c.js", 5),
        ("/static/logo.png", 6),
        ("/logo.png", 7),
        ("/a/logo.png", 7),
        ("/x/y", 8),
        ("/glued", 10),
    ],
)
def test_location_is_chosen_as_nginx_does(uri: str, seconds: int) -> None:
    vhost = f"server {{ listen 443 ssl; server_name crm.example.test; {LOCATIONS} }}"
    assert proxied(tree(vhost), uri).read_timeout.value == seconds


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("*.example.test", "crm.example.test"), 1),
        (("~^crm", "crm.*", "*.example.test"), 2),
        (("~^crm", "crm.*"), 1),
        ((".example.test", "*.test"), 0),
        (("crm.example.test", "crm.example.test"), 0),
        (("other.example.test",), None),
    ],
)
def test_server_is_chosen_as_nginx_does(names: tuple[str, ...], chosen: int | None) -> None:
    blocks = [
        f"server {{ listen 443 ssl; server_name {name}; client_max_body_size {number}; }}"
        for number, name in enumerate(names)
    ]
    server = proxied(tree("\n".join(blocks))).vhost.server
    number = None if server is None else next(server.inside("client_max_body_size")).args[0]
    assert number == (None if chosen is None else str(chosen))


@pytest.mark.parametrize(
    ("listen", "counts"),
    [
        ("443 ssl", True),
        ("127.0.0.1:443 ssl http2", True),
        ("[::]:443 ssl", True),
        ("443", False),
        ("443 quic ssl", False),
        ("8443 ssl", False),
        ("unix:/run/x:443 ssl", False),
    ],
)
def test_only_tls_on_the_port_counts(listen: str, counts: bool) -> None:
    vhost = f"server {{ listen {listen}; server_name crm.example.test; }}"
    assert (proxied(tree(vhost)).vhost.server is not None) is counts


@pytest.mark.parametrize(
    ("text", "expected"), [("64M", 64 << 20), ("65536k", 64 << 20), ("0", 0), ("1g", 1 << 30)]
)
def test_sizes(text: str, expected: int) -> None:
    assert size_of(text) == expected


@pytest.mark.parametrize(("text", "expected"), [("300", 300), ("300s", 300), ("5m", 300), ("1h30m", 5400)])
def test_times(text: str, expected: float) -> None:
    assert seconds_of(text) == expected


def test_defaults_are_nginx_s() -> None:
    seen = proxied(tree("server { listen 443 ssl; server_name crm.example.test; }"))
    assert (seen.body_size.value, seen.read_timeout.value) == (1 << 20, 60)
    assert (seen.buffering.value, seen.http_version.value) == (True, "1.0")
    assert seen.destinations.value == frozenset()


def test_what_is_not_judged_is_not_kept() -> None:
    vhost = VHOST.replace(
        "    location /",
        '    proxy_set_header Authorization "Basic c2VjcmV0";\n    set $token s3cret;\n    location /',
        1,
    )
    found = parse(tree(vhost, "map $http_x_key $ok { hunter2 1; }"))
    kept = judged(next(one for one in found.directives if one.name == "http")).model_dump_json()
    assert not [secret for secret in ("c2VjcmV0", "s3cret", "hunter2") if secret in kept]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    files = tree()
    files.entries["/etc/nginx/conf.d/a.conf"] = Entry("file", content=content)
    found = parse(files)
    assert found.files[0] == "/etc/nginx/nginx.conf"


# From here on real files, a real shell and a real nginx.


@pytest.fixture
def place() -> Iterator[Path]:
    """A server's tree in a directory that other accounts can reach, unlike pytest's own."""
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield furnished(Path(directory))


def furnished(tmp_path: Path) -> Path:
    """Fill a directory with nginx's and certbot's trees."""
    for name in ("conf.d", "modules-enabled", "sites-available", "sites-enabled"):
        (tmp_path / "nginx" / name).mkdir(parents=True)
    (tmp_path / "letsencrypt").mkdir()
    for name in ("logs", "temp"):
        (tmp_path / name).mkdir()
    (tmp_path / "nginx/nginx.conf").write_text(
        f"""\
pid {tmp_path}/nginx.pid;
error_log {tmp_path}/logs/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {tmp_path}/temp/body;
    proxy_temp_path {tmp_path}/temp/proxy;
    fastcgi_temp_path {tmp_path}/temp/fastcgi;
    uwsgi_temp_path {tmp_path}/temp/uwsgi;
    scgi_temp_path {tmp_path}/temp/scgi;
    include {tmp_path}/nginx/sites-enabled/*;
}}
"""
    )
    vhost = VHOST.replace("listen [::]:443 ssl ipv6only=on", "listen 127.79.3.1:8443 ssl")
    vhost = vhost.replace("listen 443 ssl", "listen 127.79.3.1:8444 ssl").replace(
        "listen 80", "listen 127.79.3.1:8080"
    )
    (tmp_path / "nginx/sites-available/crm.conf").write_text(
        vhost.replace("/etc/letsencrypt", f"{tmp_path}/letsencrypt")
    )
    (tmp_path / "nginx/sites-enabled/crm.conf").symlink_to("../sites-available/crm.conf")
    (tmp_path / "letsencrypt/options-ssl-nginx.conf").write_text("ssl_protocols TLSv1.2 TLSv1.3;\n")
    live = tmp_path / "letsencrypt/live/crm.example.test"
    live.mkdir(parents=True)
    arguments = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=crm.example.test "
        "-keyout privkey.pem -out fullchain.pem"
    )
    subprocess.run(["/usr/bin/openssl", *arguments.split()], cwd=live, check=True, capture_output=True)
    live.parent.chmod(0o700)
    return tmp_path


def collect(place: Path, host: LocalHost | None = None, approved: tuple[str, ...] = ()) -> Nginx:
    target = target_for(place, https=8443)
    model = asyncio.run(facts.collect(access(target, host or LocalHost(unprivileged_uid=NOBODY), approved)))
    assert Nginx.model_validate_json(model.model_dump_json()) == model
    return model


def judge(place: Path, model: Nginx) -> None:
    """State every claim about the files."""
    target = target_for(place, https=8443)
    checks.test_vhost_exists(model)
    checks.test_vhost_is_linked(model)
    checks.test_vhost_is_included(model)
    checks.test_configuration_parses(model)
    checks.test_named_files_exist(model)
    checks.test_nginx_accepts_it(model)
    checks.test_requests_reach_the_app(model, target, lambda _: "/")
    checks.test_websocket_connection(model, target)


def test_healthy_files_pass_in_three_rounds(place: Path) -> None:
    host = LocalHost(unprivileged_uid=NOBODY)
    model = collect(place, host)
    assert host.rounds <= 3
    assert NGINX_TEST not in [one.command for one in host.sent]
    judge(place, model)
    assert model.tested is None
    assert "parsing" in model.accepted.seen
    assert known(model.running).stopped


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_approved_test_asks_nginx(place: Path) -> None:
    model = collect(place, approved=("nginx-test",))
    assert model.tested is not None
    assert known(model.tested).exit_code == 0
    judge(place, model)
    (place / "nginx/sites-available/crm.conf").write_text("server { listen 1; nonsense; }\n")
    with pytest.raises(CheckFailedError, match="nonsense"):
        checks.test_nginx_accepts_it(collect(place, approved=("nginx-test",)))
    unasked = collect(place)
    with pytest.raises(UnavailableError, match="nonsense"):
        checks.test_configuration_parses(unasked)


def test_unprivileged_test_of_nginx_is_no_failure() -> None:
    output = b'[emerg] open() "/run/nginx.pid" failed (13: Permission denied)\nnginx: test failed'
    with pytest.raises(UnavailableError):
        facts.read_test(Result(call(NGINX_TEST, "nginx", "conf"), 1, output, ""))


def test_wrong_root_password_leaves_the_rest_known(place: Path) -> None:
    model = collect(place, LocalHost(unprivileged_uid=NOBODY, root=False), approved=("nginx-test",))
    assert isinstance(model.named_files, Unavailable)
    assert isinstance(model.tested, Unavailable)
    assert isinstance(model.running, Known)
    checks.test_vhost_is_linked(model)
    checks.test_requests_reach_the_app(model, target_for(place), lambda _: "/")
    with pytest.raises(UnavailableError, match="wrong password"):
        checks.test_named_files_exist(model)


def test_missing_certificate_is_a_failure(place: Path) -> None:
    (place / "letsencrypt/live/crm.example.test/fullchain.pem").unlink()
    with pytest.raises(CheckFailedError, match=r"fullchain\.pem: No such file"):
        checks.test_named_files_exist(collect(place))


def test_unpermitted_named_file_is_unknown() -> None:
    named = parse(tree()).named[:1]
    answer = Result(
        call(NGINX_NAMED_FILES, "x"), 0, b"absent stat: cannot statx 'x': Permission denied\n", ""
    )
    with pytest.raises(UnavailableError, match="Permission denied"):
        facts.read_named_files(named, answer)


def test_missing_link_fails_and_the_rest_is_unknown(place: Path) -> None:
    (place / "nginx/sites-enabled/crm.conf").unlink()
    model = collect(place)
    checks.test_vhost_exists(model)
    with pytest.raises(CheckFailedError, match="no link"):
        checks.test_vhost_is_linked(model)
    with pytest.raises(UnavailableError, match=r"nginx\.enabled"):
        _ = model.vhost


def test_hidden_link_is_not_enabled(place: Path) -> None:
    link = place / "nginx/sites-enabled/crm.conf"
    link.rename(link.with_name(".crm.conf"))
    model = collect(place)
    with pytest.raises(CheckFailedError, match="no link"):
        checks.test_vhost_is_linked(model)
    with pytest.raises(UnavailableError, match=r"nginx\.enabled"):
        _ = model.vhost


def test_copy_is_no_link(place: Path) -> None:
    link = place / "nginx/sites-enabled/crm.conf"
    link.unlink()
    shutil.copy(place / "nginx/sites-available/crm.conf", link)
    with pytest.raises(CheckFailedError, match="is no link"):
        checks.test_vhost_is_linked(collect(place))


def test_assumed_vhost_name_is_unknown(place: Path) -> None:
    (place / "nginx/sites-enabled/crm.conf").unlink()
    (place / "nginx/sites-available/crm.conf").unlink()
    with pytest.raises(CheckFailedError, match="no such file"):
        checks.test_vhost_exists(collect(place))
    target = target_for(place, assumed=("nginx.vhost",))
    model = asyncio.run(facts.collect(access(target, LocalHost(unprivileged_uid=NOBODY))))
    for check in (checks.test_vhost_exists, checks.test_vhost_is_linked, checks.test_vhost_is_included):
        with pytest.raises(UnavailableError, match="assumed name not found"):
            check(model)


def test_vhost_in_a_file_nobody_includes(place: Path) -> None:
    config = place / "nginx/nginx.conf"
    config.write_text(config.read_text().replace("sites-enabled/*", "sites-enabled/*.vhost"))
    with pytest.raises(CheckFailedError, match="does not include"):
        checks.test_vhost_is_included(collect(place))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take another account's permission away")
def test_unreadable_include_is_unknown(place: Path) -> None:
    (place / "nginx/sites-available/crm.conf").chmod(0o600)
    model = collect(place, LocalHost(unprivileged_uid=NOBODY, root=False))
    with pytest.raises(UnavailableError, match="may not be read"):
        checks.test_configuration_parses(model)
    with pytest.raises(UnavailableError, match="was not read"):
        _ = model.vhost


def test_root_reads_what_the_login_may_not(place: Path) -> None:
    (place / "nginx/sites-available/crm.conf").chmod(0o600)
    elsewhere = place / "closed"
    elsewhere.mkdir(mode=0o700)
    (elsewhere / "a.conf").write_text("# nothing\n")
    config = place / "nginx/nginx.conf"
    config.write_text(config.read_text().replace("access_log off;", f"include {elsewhere}/*.conf;"))
    judge(place, collect(place))


def test_include_from_elsewhere_is_fetched(place: Path) -> None:
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    shutil.move(place / "nginx/sites-available/crm.conf", elsewhere / "crm.conf")
    config = place / "nginx/nginx.conf"
    config.write_text(config.read_text().replace(f"{place}/nginx/sites-enabled/*", f"{elsewhere}/*.conf"))
    (place / "nginx/sites-enabled/crm.conf").unlink()
    model = collect(place)
    assert str(elsewhere / "crm.conf") in model.loaded_files
    assert model.vhost.location("/").destinations.value == {"127.0.0.1:7100"}
    config.write_text(config.read_text().replace("*.conf", "gone.conf"))
    with pytest.raises(CheckFailedError, match="No such file"):
        checks.test_configuration_parses(collect(place))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take another account's permission away")
def test_unreadable_include_from_elsewhere_is_unknown(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    (closed / "a.conf").write_text("# nothing\n")
    config = place / "nginx/nginx.conf"
    for pattern in ("a.conf", "*.conf"):
        config.write_text(config.read_text().replace("access_log off;", f"include {closed}/{pattern};"))
        model = collect(place, LocalHost(unprivileged_uid=NOBODY, root=False))
        with pytest.raises(UnavailableError, match="was not read"):
            checks.test_configuration_parses(model)


@pytest.fixture
def running(place: Path) -> Iterator[Path]:
    """The same tree with a real nginx on it, started after its files were written."""
    assert NGINX is not None
    log = (place / "logs/stderr.log").open("wb")
    server = subprocess.Popen(
        [NGINX, "-c", f"{place}/nginx/nginx.conf", "-g", "daemon off;"], stdout=log, stderr=log
    )
    deadline = time.monotonic() + 10
    while not (place / "nginx.pid").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    yield place
    server.send_signal(signal.SIGTERM)
    server.wait(10)
    log.close()


def backdate(place: Path) -> None:
    """Give every file the date of an hour ago, as copying with its date does."""
    time.sleep(facts.TOLERANCE_S + 0.2)
    past = time.time() - 3600
    for path in (place / "nginx", *(place / "nginx").rglob("*"), *(place / "letsencrypt").rglob("*")):
        os.utime(path, (past, past), follow_symlinks=False)


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_running_nginx_is_compared_with_its_files(running: Path) -> None:
    model = collect(running)
    started = model.loaded_since
    assert started is not None
    assert abs(started.started.timestamp() - time.time()) < 30
    checks.test_running_nginx_has_read_its_files(model)

    soon = time.time() + 60
    os.utime(running / "nginx/sites-available/crm.conf", (soon, soon))
    with pytest.raises(CheckFailedError, match=r"crm\.conf changed"):
        checks.test_running_nginx_has_read_its_files(collect(running))

    backdate(running)
    with pytest.raises(UnavailableError, match="was put there"):
        checks.test_running_nginx_has_read_its_files(collect(running))

    os.utime(running / "nginx/sites-enabled", (soon, soon))
    with pytest.raises(UnavailableError, match="added or removed"):
        checks.test_running_nginx_has_read_its_files(collect(running))

    backdate(running)
    os.utime(running / "nginx/sites-enabled/crm.conf", (soon, soon), follow_symlinks=False)
    with pytest.raises(CheckFailedError, match=r"crm\.conf changed"):
        checks.test_running_nginx_has_read_its_files(collect(running))


def test_stopped_nginx_is_a_failure(place: Path) -> None:
    for content in (None, "", "999999999\n", f"{os.getpid()}\n"):
        if content is not None:
            (place / "nginx.pid").write_text(content)
        with pytest.raises(CheckFailedError, match="does not run"):
            checks.test_running_nginx_has_read_its_files(collect(place))


def test_worker_that_shuts_down_does_not_count() -> None:
    answer = b"""\
hertz 100
now 1 100000 2000.5
master 10 1 50000 nginx: master process /usr/sbin/nginx
child 11 10 50010 nginx: worker process is shutting down
child 12 10 90000 nginx: worker process
child 13 10 91000 nginx: worker process
child 14 10 60000 nginx: cache manager process
"""
    seen = facts.read_processes(Result(call(NGINX_PROCESSES, "pid"), 0, answer, ""))
    assert [(one.pid, one.started.timestamp()) for one in seen.workers] == [(12, 1900.5), (13, 1910.5)]


@pytest.mark.parametrize("answer", [b"hidden by /proc\n", b"", b"hertz 100\nnow x\n"])
def test_unseen_processes_are_unknown(answer: bytes) -> None:
    with pytest.raises(UnavailableError):
        facts.read_processes(Result(call(NGINX_PROCESSES, "pid"), 0, answer, ""))
