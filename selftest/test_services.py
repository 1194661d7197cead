"""The rehearsal's servers are real ones, set up as the plan and the recordings say."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import re
import ssl
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import boto3
import httpx
import psycopg
import pytest
import redis
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as S3Credentials
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from acceptance.target import Target, load
from rehearsal.client import Rehearsal
from rehearsal.services import nginx, pki, registry, s3, sshd
from rehearsal.site import HOSTNAME, REGISTRY_NAME, STORAGE_NAME, Credentials, Site

RECORDED = json.loads((Path(__file__).parent / "recordings" / "peers" / "certbot-nginx.json").read_text())
RECORDED_NAME = "crm.example.test"


@pytest.fixture
def tree(tmp_path: Path) -> Site:
    """The files of a rehearsal that does not run."""
    site = Site(tmp_path, "127.0.9", False, Credentials())
    pki.create(site)
    nginx.prepare(site)
    return site


@pytest.fixture(scope="module")
def target(rehearsal: Rehearsal) -> Target:
    """The running rehearsal's own description."""
    return load(rehearsal.target_file)


@pytest.fixture(scope="module")
def site(rehearsal: Rehearsal, target: Target) -> Site:
    """Where the running rehearsal lives; its credentials are not these."""
    net = target.server.address.rpartition(".")[0]
    return Site(Path(rehearsal.describe()["root"]), net, os.getuid() == 0, Credentials())


@pytest.fixture(scope="module")
def environment(target: Target) -> dict[str, str]:
    """The variables of the deployed .env file."""
    lines = Path(target.compose.env_path).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def ask(
    target: Target,
    url: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """Send a request to the public side, whatever name the URL has."""
    logical = httpx.URL(url)
    endpoint = target.public.https if logical.scheme == "https" else target.public.http
    actual = logical.copy_with(host=endpoint.address, port=endpoint.port)
    context = ssl.create_default_context(cafile=target.public.ca_file)
    with httpx.Client(verify=context, trust_env=False, timeout=10) as client:
        return client.request(
            method,
            actual,
            headers={"Host": logical.host, **(headers or {})},
            extensions={"sni_hostname": logical.host},
        )


def ssh(target: Target, site: Site, command: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command over SSH with the pinned key."""
    known = site.state / "known_hosts"
    known.write_text(f"[{target.server.address}]:{target.server.port} {target.server.host_key}\n")
    options = ["BatchMode=yes", "IdentitiesOnly=yes", f"UserKnownHostsFile={known}", "LogLevel=ERROR"]
    return subprocess.run(
        [
            *("ssh", "-F", "none", "-i", target.server.identity, "-p", str(target.server.port)),
            *(word for option in options for word in ("-o", option)),
            *("-l", target.server.user, target.server.address, command),
        ],
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def secret(reference: str | None) -> str:
    assert reference is not None
    return Path(reference.removeprefix("file:")).read_text()


# Certificates


def verified(site: Site, issued: pki.Issued, name: str) -> None:
    root = x509.load_pem_x509_certificate(site.ca_file.read_bytes())
    verifier = PolicyBuilder().store(Store([root])).build_server_verifier(x509.DNSName(name))
    chain = x509.load_pem_x509_certificates(issued.chain_pem.encode()) if issued.chain_pem else []
    verifier.verify(x509.load_pem_x509_certificate(issued.cert_pem.encode()), chain)


def test_issued_certificate_validates_for_its_name_only(tree: Site) -> None:
    issued = pki.issue(tree, [HOSTNAME], days_left=30)
    verified(tree, issued, HOSTNAME)
    with pytest.raises(VerificationError):
        verified(tree, issued, STORAGE_NAME)


def test_chain_needs_the_intermediate(tree: Site) -> None:
    issued = pki.issue(tree, [HOSTNAME], days_left=30)
    with pytest.raises(VerificationError):
        verified(tree, issued._replace(chain_pem=""), HOSTNAME)


@pytest.mark.parametrize(("days_left", "issuer"), [(-1, "intermediate"), (30, "self")])
def test_expired_and_self_signed_certificates_do_not_validate(
    tree: Site, days_left: int, issuer: Literal["intermediate", "self"]
) -> None:
    issued = pki.issue(tree, [HOSTNAME], days_left=days_left, issuer=issuer)
    with pytest.raises(VerificationError):
        verified(tree, issued, HOSTNAME)


def test_certificate_expires_when_asked(tree: Site) -> None:
    certificate = x509.load_pem_x509_certificate(pki.issue(tree, ["a.test"], days_left=5).cert_pem.encode())
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(days=4, hours=23) < left <= datetime.timedelta(days=5)


def test_letsencrypt_tree_is_as_certbot_leaves_it_after_one_renewal(tree: Site) -> None:
    recorded = RECORDED["live_tree_after_one_forced_renewal"]
    live = tree.letsencrypt / "live" / HOSTNAME
    links = {path.name: str(path.readlink()) if path.is_symlink() else "file" for path in live.iterdir()}
    assert links == {name: end.replace("<name>", HOSTNAME) for name, end in recorded["live/<name>/"].items()}
    archive = tree.letsencrypt / "archive" / HOSTNAME
    assert {path.name for path in archive.iterdir()} == {
        entry.split()[0] for entry in recorded["archive/<name>/"]
    }
    assert stat.S_IMODE((archive / "privkey2.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((archive / "cert2.pem").stat().st_mode) == 0o644


def test_letsencrypt_modes_are_the_recorded_ones(tree: Site) -> None:
    recorded = RECORDED["live_tree_after_one_forced_renewal"]["modes"]
    seen = {
        place: f"{stat.S_IMODE((tree.letsencrypt / place.replace('<name>', HOSTNAME)).stat().st_mode):04o}"
        for place in recorded
    }
    assert seen == recorded


def test_renewal_configuration_has_the_recorded_shape(tree: Site) -> None:
    def shape(text: str, letsencrypt: str, name: str) -> list[str]:
        text = text.replace(letsencrypt, "LE").replace(name, "NAME")
        return [re.sub(r"^(account|server) = .*", r"\1", line) for line in text.strip().splitlines()]

    written = shape(pki.renewal_file(tree).read_text(), str(tree.letsencrypt), HOSTNAME)
    assert written == shape(RECORDED["renewal_conf"], "/etc/letsencrypt", RECORDED_NAME)


def test_renewal_moves_the_links_to_the_next_number(tree: Site) -> None:
    live = tree.letsencrypt / "live" / HOSTNAME
    before = (live / "fullchain.pem").read_text()
    assert pki.renew(tree) == 3
    assert {path.resolve().name for path in live.glob("*.pem")} == {f"{kind}3.pem" for kind in pki.KINDS}
    assert (live / "fullchain.pem").read_text() != before
    assert (tree.letsencrypt / "archive" / HOSTNAME / "fullchain2.pem").read_text() == before


# nginx


def managed_lines(text: str) -> list[str]:
    return [re.sub(r"\s+", " ", line).strip() for line in text.splitlines() if "managed by Certbot" in line]


def test_vhost_has_the_lines_that_certbot_writes(tree: Site) -> None:
    written = nginx.vhost(tree).read_text()
    for here, there in (
        (str(tree.letsencrypt), "/etc/letsencrypt"),
        (HOSTNAME, RECORDED_NAME),
        (f"{tree.address('public')}:{tree.https_port}", "443"),
    ):
        written = written.replace(here, there)
    recorded = [line for line in managed_lines(RECORDED["vhost_after"]) if "[::]" not in line]
    assert managed_lines(written) == recorded
    assert f"if ($host = {RECORDED_NAME}) {{\n        return 301 https://$host$request_uri;" in written


def test_no_include_leaves_the_tree(tree: Site) -> None:
    texts = [path.read_text() for path in tree.nginx.rglob("*.conf") if path.is_file()]
    included = re.findall(r"^\s*include (\S+);", "\n".join(texts), re.MULTILINE)
    assert included
    assert all(path.startswith(str(tree.root)) for path in included)


def test_nginx_accepts_its_configuration(target: Target) -> None:
    done = subprocess.run(
        [target.server.tools.nginx, "-t", "-c", target.nginx.config],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", ["/a/b?c=d", "/.well-known/acme-challenge/zzz"])
def test_port_80_redirects_as_recorded(target: Target, path: str) -> None:
    answer = ask(target, f"http://{HOSTNAME}{path}")
    recorded = RECORDED["http_answers"][f"GET http://crm…{path}"].replace(RECORDED_NAME, HOSTNAME)
    assert f"{answer.status_code} Location: {answer.headers['Location']}" == recorded


def test_port_80_knows_no_other_host(target: Target) -> None:
    assert ask(target, "http://other.test/x").status_code == 404


def test_query_hook_is_not_public(target: Target) -> None:
    answer = ask(target, f"https://{HOSTNAME}/__rehearsal/query/column")
    assert (answer.status_code, answer.headers["Server"].partition("/")[0]) == (404, "nginx")


# Object store


def storage_headers(environment: Mapping[str, str], method: str, url: str, key: str) -> dict[str, str]:
    request = AWSRequest(method, url, headers={"Host": STORAGE_NAME})
    credentials = S3Credentials(environment["S3_ACCESS_KEY"], key)
    S3SigV4Auth(credentials, "s3", environment["S3_REGION"]).add_auth(request)
    return dict(request.headers.items())


def test_storage_refuses_unsigned_requests(target: Target) -> None:
    assert ask(target, f"https://{STORAGE_NAME}/{s3.BUCKET}?list-type=2").status_code == 403


def test_storage_takes_signed_requests(target: Target, environment: dict[str, str]) -> None:
    url = f"https://{STORAGE_NAME}/{s3.BUCKET}?list-type=2"
    answer = ask(target, url, headers=storage_headers(environment, "GET", url, environment["S3_SECRET_KEY"]))
    assert answer.status_code == 200
    assert answer.text.count("<Key>") >= 12


def test_storage_refuses_a_wrong_key(target: Target, environment: dict[str, str]) -> None:
    url = f"https://{STORAGE_NAME}/{s3.BUCKET}?list-type=2"
    answer = ask(target, url, headers=storage_headers(environment, "GET", url, "x" * 40))
    assert answer.status_code == 403
    assert "SignatureDoesNotMatch" in answer.text


def test_stored_files_are_what_the_database_says(
    target: Target, environment: dict[str, str], reader: psycopg.Connection[Any]
) -> None:
    rows = reader.execute("SELECT key, size, content_type, sha256 FROM stored_files").fetchall()
    assert len({content_type for _, _, content_type, _ in rows}) >= 8
    client = boto3.client(
        "s3",
        endpoint_url=f"https://{STORAGE_NAME}",
        region_name=environment["S3_REGION"],
        aws_access_key_id=environment["S3_ACCESS_KEY"],
        aws_secret_access_key=environment["S3_SECRET_KEY"],
        config=Config(s3={"addressing_style": "path"}),
    )
    for key, size, content_type, sha256 in rows:
        url = client.generate_presigned_url("get_object", Params={"Bucket": s3.BUCKET, "Key": key})
        answer = ask(target, url)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, content_type)
        assert (len(answer.content), hashlib.sha256(answer.content).hexdigest()) == (size, sha256)


# Registry


def pull_token(target: Target, service: str) -> dict[str, str]:
    """Return the header of a stranger's token: the images are public."""
    scope = f"repository:{registry.REPOSITORY}/{service}:pull"
    url = f"https://{REGISTRY_NAME}/v2/token?service=container_registry&scope={scope}"
    return {"Authorization": f"Bearer {ask(target, url).json()['token']}"}


def manifest(target: Target, service: str, tag: str, method: str = "GET") -> httpx.Response:
    url = f"https://{REGISTRY_NAME}/v2/{registry.REPOSITORY}/{service}/manifests/{tag}"
    return ask(target, url, method, {"Accept": registry.MANIFEST, **pull_token(target, service)})


def revision(target: Target, service: str) -> str:
    digest = manifest(target, service, "latest").json()["config"]["digest"]
    url = f"https://{REGISTRY_NAME}/v2/{registry.REPOSITORY}/{service}/blobs/{digest}"
    blob = ask(target, url, headers=pull_token(target, service)).json()
    label: str = blob["config"]["Labels"][registry.REVISION]
    return label


@pytest.mark.parametrize("service", ["crm-app", "crm-worker"])
def test_registry_has_both_tags_with_one_digest(target: Target, service: str) -> None:
    commit = revision(target, service)
    assert re.fullmatch(r"[0-9a-f]{40}", commit)
    latest, tagged = manifest(target, service, "latest"), manifest(target, service, commit, "HEAD")
    digest = f"sha256:{hashlib.sha256(latest.content).hexdigest()}"
    assert latest.headers["Docker-Content-Digest"] == digest
    assert tagged.headers["Docker-Content-Digest"] == digest
    assert tagged.headers["Content-Type"] == registry.MANIFEST


def test_registry_asks_for_a_token_as_gitea_does(target: Target) -> None:
    answer = ask(target, f"https://{REGISTRY_NAME}/v2/")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == (
        f'Bearer realm="https://{REGISTRY_NAME}/v2/token",service="container_registry"'
    )


def test_app_and_worker_come_from_one_commit(target: Target) -> None:
    assert revision(target, "crm-app") == revision(target, "crm-worker")


# PostgreSQL and Redis


@pytest.fixture
def reader(target: Target, site: Site) -> Iterator[psycopg.Connection[Any]]:
    """A connection as the role that the suite uses."""
    with psycopg.connect(
        host=site.address("postgres"),
        port=target.postgres.port,
        dbname=target.postgres.database,
        user=target.postgres.user,
        password=secret(target.postgres.password),
        autocommit=True,
    ) as connection:
        yield connection


def test_reader_sees_tables_and_settings(reader: psycopg.Connection[Any], target: Target) -> None:
    tables = [
        name for (name,) in reader.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    ]
    assert "system_settings" in tables
    for table in tables:
        reader.execute(f'SELECT count(*) FROM public."{table}"')
    row = reader.execute("SELECT setting FROM pg_settings WHERE name = 'data_directory'").fetchone()
    assert row is not None
    assert reader.info.server_version // 10000 == target.postgres.major


def test_reader_cannot_write_even_if_it_wants_to(reader: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        reader.execute("DELETE FROM berths")
    reader.execute("SET default_transaction_read_only = off")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("DELETE FROM berths")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("CREATE TABLE public.mine (id int)")


def test_database_asks_for_the_password(target: Target, site: Site) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(
            host=site.address("postgres"),
            dbname=target.postgres.database,
            user=target.postgres.user,
            password="wrong",
        )


def test_database_logs_as_the_official_image_does(reader: psycopg.Connection[Any]) -> None:
    names = ("logging_collector", "log_destination", "log_line_prefix", "log_timezone", "log_min_messages")
    seen = dict(
        reader.execute(
            "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", (list(names),)
        ).fetchall()
    )
    assert seen == dict(zip(names, ("off", "stderr", "%m [%p] ", "UTC", "warning"), strict=True))


def test_redis_asks_for_the_password_and_evicts_nothing(target: Target, site: Site) -> None:
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(site.address("redis"), target.redis.port).ping()
    client = redis.Redis(
        site.address("redis"),
        target.redis.port,
        password=secret(target.redis.password),
        decode_responses=True,
    )
    with client:
        assert client.ping()
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


# SSH


def test_each_login_is_counted_and_finds_the_stand_ins(target: Target, site: Site) -> None:
    before = sshd.logins(site)
    done = ssh(target, site, "command -v docker systemctl")
    assert done.stdout.splitlines() == [target.server.tools.docker, target.server.tools.systemctl], (
        done.stderr
    )
    assert sshd.logins(site) == before + 1


def test_host_key_is_the_pinned_one_only(target: Target, site: Site) -> None:
    wrong = target.model_copy(
        update={
            "server": target.server.model_copy(
                update={"host_key": (site.secrets / "id_ed25519.pub").read_text()}
            )
        }
    )
    done = ssh(wrong, site, "true")
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="an ordinary user's rehearsal has no other accounts")
def test_su_is_real(target: Target, site: Site) -> None:
    password = secret(target.server.privilege.password)
    assert ssh(target, site, "su root -c 'id -u'", f"{password}\n").stdout == "0\n"
    assert ssh(target, site, "su root -c 'id -u'", "wrong\n").stdout == ""


# What must hold for all of them


def processes(rehearsal: Rehearsal) -> set[int]:
    found: set[int] = set()
    open_ends = [int(rehearsal.describe()["pid"])]
    while open_ends:
        pid = open_ends.pop()
        found.add(pid)
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            open_ends += [int(child) for child in children.read_text().split()]
    return found


def test_no_secret_is_in_a_command_line(
    rehearsal: Rehearsal, site: Site, environment: dict[str, str]
) -> None:
    secrets = {path.read_text().strip() for path in site.secrets.iterdir() if "password" in path.name}
    secrets |= {value for name, value in environment.items() if re.search("SECRET|PASSWORD|KEY", name)}
    lines = b"".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in processes(rehearsal))
    assert len(lines) > 1000
    assert not [value for value in secrets if value.encode() in lines]


def test_secrets_are_for_their_owner_only(site: Site) -> None:
    files = [path for path in site.secrets.iterdir() if path.suffix != ".pub"]
    assert stat.S_IMODE(site.secrets.stat().st_mode) == 0o700
    assert files
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def opened(link: Path) -> str:
    """Return what an open file is; empty if it was closed meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return str(link.readlink())
    return ""


def listening_addresses(pids: set[int]) -> list[str]:
    # An ordinary user may not look at sshd's open files, though the process is the user's own.
    directories = [path for pid in pids if os.access(path := Path(f"/proc/{pid}/fd"), os.R_OK)]
    sockets = {opened(link) for path in directories for link in path.iterdir()}
    entries = [
        line.split()
        for family in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{family}").read_text().splitlines()
    ]
    return [
        ".".join(str(byte) for byte in reversed(bytes.fromhex(entry[1].partition(":")[0])))
        for entry in entries
        if entry[3] == "0A" and f"socket:[{entry[9]}]" in sockets
    ]


def test_everything_listens_on_the_rehearsals_addresses_only(rehearsal: Rehearsal, site: Site) -> None:
    addresses = listening_addresses(processes(rehearsal))
    assert len(addresses) >= 8
    assert {address.rpartition(".")[0] for address in addresses} == {site.net}
