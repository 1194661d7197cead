"""The registry transport against the real docker-registry over TLS: anonymous, Basic and Bearer."""

from __future__ import annotations

import asyncio
import base64
import datetime
import hashlib
import ipaddress
import json
import secrets
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID

from acceptance.errors import RefusedError, UnavailableError
from acceptance.guard.registry import REQUESTS
from acceptance.ledger import Ledger
from acceptance.secrets import Redactor
from acceptance.sections.base import Endpoint
from acceptance.target import Registry as Settings
from acceptance.transports.registry import Reading, Registry, challenge
from rehearsal.host import manifest
from rehearsal.services import registry as service

NAME = "registry.example"
REPOSITORY = "crm/crm-app"
USER = "reader"
INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class _Served:
    """A running registry: where it is, the index it holds, and its token server's port."""

    directory: Path
    ports: dict[str, int]
    digest: str
    password: str

    def ask(self, kind: str, tag: str, *, password: str | None = None, name: str = NAME) -> str | None:
        settings = Settings(
            connect=Endpoint(address="127.0.0.1", port=self.ports[kind]),
            ca_file=str(self.directory / "cert.pem"),
            username=USER if password is not None else None,
        )
        ledger = Ledger(self.directory / "ledger.jsonl", Redactor())

        async def once() -> str | None:
            transport = Registry(settings, lambda: password, ledger)
            try:
                return await transport.manifest_digest(name, REPOSITORY, tag)
            finally:
                await transport.close()
                ledger.close()

        return asyncio.run(once())


def _certificate(directory: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (directory / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return key


def _bcrypt(password: str) -> str:
    """Hash by the C library's crypt, the only kind that docker-registry takes."""
    salt = "$2b$05$" + "abcdefghijklmnopqrstuu"
    program = f"chomp($word = <STDIN>); print crypt($word, q({salt}))"
    done = subprocess.run(
        ["perl", "-e", program], input=password.encode(), stdout=subprocess.PIPE, check=True
    )
    return done.stdout.decode()


def _url_safe(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _token(key: ec.EllipticCurvePrivateKey, certificate: Path) -> str:
    chain = base64.b64encode(ssl.PEM_cert_to_DER_cert(certificate.read_text())).decode()
    now = int(time.time())
    claims = {
        "iss": "issuer",
        "sub": USER,
        "aud": "crm-registry",
        "exp": now + 300,
        "nbf": now - 60,
        "iat": now,
        "jti": secrets.token_hex(8),
        "access": [{"type": "repository", "name": REPOSITORY, "actions": ["pull"]}],
    }
    parts = [{"typ": "JWT", "alg": "ES256", "x5c": [chain]}, claims]
    signed = ".".join(_url_safe(json.dumps(part).encode()) for part in parts)
    r, s = utils.decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{_url_safe(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _token_server(directory: Path, key: ec.EllipticCurvePrivateKey, password: str) -> HTTPServer:
    login = base64.b64encode(f"{USER}:{password}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            good = self.headers.get("authorization") == f"Basic {login}"
            body = json.dumps({"token": _token(key, directory / "cert.pem")}).encode() if good else b"{}"
            self.send_response(200 if good else 401)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _free_ports(count: int) -> list[int]:
    servers = [HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) for _ in range(count)]
    ports = [server.server_port for server in servers]
    for server in servers:
        server.server_close()
    return ports


def _start(directory: Path, kind: str, port: int, auth: str) -> subprocess.Popen[bytes]:
    config = directory / f"{kind}.yml"
    config.write_text(
        f"""\
version: 0.1
storage:
  filesystem:
    rootdirectory: {directory / "data"}
http:
  addr: 127.0.0.1:{port}
  secret: {secrets.token_hex(16)}
  tls:
    certificate: {directory / "cert.pem"}
    key: {directory / "key.pem"}
{auth}"""
    )
    return subprocess.Popen(
        [service.binary(), "serve", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=(directory / f"{kind}.log").open("wb"),
        env={"PATH": "/usr/bin:/bin", "OTEL_TRACES_EXPORTER": "none"},
    )


def _push_index(client: httpx.Client, port: int) -> str:
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
    url = f"https://127.0.0.1:{port}/v2/{REPOSITORY}/manifests/latest"
    client.put(url, content=index, headers={"content-type": INDEX}).raise_for_status()
    return f"sha256:{hashlib.sha256(index).hexdigest()}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Served]:
    directory = tmp_path_factory.mktemp("registry")
    password = secrets.token_hex(12)
    key = _certificate(directory)
    tokens = _token_server(directory, key, password)
    (directory / "htpasswd").write_text(f"{USER}:{_bcrypt(password)}\n")
    ports = dict(zip(("open", "basic", "bearer"), _free_ports(3), strict=True))
    places = {**ports, "website": tokens.server_port}
    auth = {
        "open": "",
        "basic": f"auth:\n  htpasswd:\n    realm: r\n    path: {directory / 'htpasswd'}\n",
        "bearer": (
            f"auth:\n  token:\n    realm: https://127.0.0.1:{tokens.server_port}/token\n"
            f"    service: crm-registry\n    issuer: issuer\n    rootcertbundle: {directory / 'cert.pem'}\n"
        ),
    }
    processes = [_start(directory, kind, port, auth[kind]) for kind, port in ports.items()]
    try:
        context = ssl.create_default_context(cafile=str(directory / "cert.pem"))
        with httpx.Client(verify=context, trust_env=False) as client:
            for port in ports.values():
                _await(client, port)
            yield _Served(directory, places, _push_index(client, ports["open"]), password)
    finally:
        tokens.shutdown()
        for process in processes:
            process.terminate()
            process.wait()


def _await(client: httpx.Client, port: int) -> None:
    for _ in range(100):
        try:
            client.get(f"https://127.0.0.1:{port}/v2/")
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"docker-registry on port {port}")


def test_an_index_has_its_own_digest_and_a_missing_tag_none(served: _Served) -> None:
    assert served.ask("open", "latest") == served.digest
    assert served.ask("open", served.digest) == served.digest
    assert served.ask("open", "gone") is None


def test_a_login_is_needed_and_used(served: _Served) -> None:
    assert served.ask("basic", "latest", password=served.password) == served.digest
    with pytest.raises(UnavailableError, match=r"refuses an anonymous read \(HTTP 401\)"):
        served.ask("basic", "latest")
    with pytest.raises(UnavailableError, match="refuses the configured login"):
        served.ask("basic", "latest", password="wrong")


def test_a_bearer_challenge_is_followed_to_its_realm(served: _Served) -> None:
    assert served.ask("bearer", "latest", password=served.password) == served.digest
    with pytest.raises(UnavailableError, match="refuses the configured login"):
        served.ask("bearer", "latest", password="wrong")


def test_no_answer_and_a_foreign_certificate_are_unknown(served: _Served) -> None:
    with pytest.raises(UnavailableError, match="does not answer"):
        _Served(served.directory, {"none": _free_ports(1)[0]}, "", "").ask("none", "latest")
    with pytest.raises(UnavailableError, match="certificate is not trusted"):
        served.ask("open", "latest", name="other.example")


def test_a_web_server_that_is_no_registry_does_not_say_that_a_tag_is_missing(served: _Served) -> None:
    with pytest.raises(UnavailableError, match="404, and not from a registry"):
        served.ask("website", "latest")


def test_only_declared_paths_are_sent(served: _Served) -> None:
    with pytest.raises(RefusedError):
        served.ask("open", "latest?x=1")
    assert {request.method for request in REQUESTS} <= {"HEAD", "GET"}


def test_every_request_is_recorded_without_the_login(served: _Served) -> None:
    served.ask("basic", "latest", password=served.password)
    lines = (served.directory / "ledger.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    assert (last["transport"], last["name"], last["result"]) == ("registry", "registry-manifest", "200")
    assert served.password not in lines[-1]


def test_challenges_as_distribution_and_gitea_send_them() -> None:
    found = challenge(
        'Bearer realm="https://git.example/v2/token",service="container_registry",scope="*",error="x"'
    )
    assert found is not None
    assert found.realm == "https://git.example/v2/token"
    assert found.parameters == {"service": "container_registry", "scope": "*"}
    assert challenge('Basic realm="basic-realm"') is None
    assert challenge("") is None


# A login that is not the operator's


def _read_as(served: _Served, kind: str, password: str, tag: str = "latest") -> Reading:
    settings = Settings(
        connect=Endpoint(address="127.0.0.1", port=served.ports[kind]),
        ca_file=str(served.directory / "cert.pem"),
    )
    ledger = Ledger(served.directory / "ledger.jsonl", Redactor())

    async def once() -> Reading:
        transport = Registry(settings, lambda: None, ledger)
        try:
            return await transport.read_as(USER, password, NAME, REPOSITORY, tag)
        finally:
            await transport.close()
            ledger.close()

    return asyncio.run(once())


@pytest.mark.parametrize("kind", ["basic", "bearer"])
def test_another_login_is_tried(served: _Served, kind: str) -> None:
    assert _read_as(served, kind, served.password) == Reading(True, 200, served.digest)
    assert _read_as(served, kind, served.password, "gone") == Reading(True, 404)
    assert _read_as(served, kind, "wrong") == Reading(False, 401)


def test_a_registry_that_asks_for_no_login_proves_none(served: _Served) -> None:
    with pytest.raises(UnavailableError, match=r"asks for no login \(HTTP 200\)"):
        _read_as(served, "open", "wrong")


# The stand-in for `docker manifest inspect`, as docker 20.10.24 was recorded


def _inspect(served: _Served, kind: str, tag: str) -> tuple[int, str, str]:
    registries = served.directory / "registries.json"
    place = {
        "address": "127.0.0.1",
        "port": served.ports[kind],
        "ca_file": str(served.directory / "cert.pem"),
    }
    registries.write_text(json.dumps({NAME: place}), encoding="utf-8")
    return manifest.reply([f"{NAME}/{REPOSITORY}:{tag}"], registries)


def test_docker_takes_an_oci_index_for_no_manifest(served: _Served) -> None:
    assert _inspect(served, "open", "latest") == (1, "", f"no such manifest: {NAME}/{REPOSITORY}:latest\n")


def test_docker_without_a_login(served: _Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(served.directory / "none"))
    address = f"https://{NAME}/v2/{REPOSITORY}/manifests/latest"
    assert _inspect(served, "basic", "latest") == (1, "", f'Get "{address}": no basic auth credentials\n')
