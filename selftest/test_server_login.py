"""The login for the registry on the server: how Docker keeps it, its shape, and that it stays in memory."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from acceptance.errors import UnavailableError
from acceptance.facts.base import Unavailable, known
from acceptance.facts.registry import Registry
from acceptance.facts.server_login import ServerLogin, login_of, shape_of
from acceptance.target import Target
from rehearsal.services import registry
from rehearsal.site import APP, REGISTRY_NAME, Site
from selftest import matrix

HOST = "127.0.0.1:55000"
RECORDED = json.loads(
    (Path(__file__).parent / "recordings" / "docker" / "registry-client.json").read_text(encoding="utf-8")
)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def config(auth: str) -> dict[str, Any]:
    """Return what was recorded after `docker login`, with a login in it."""
    document: dict[str, Any] = json.loads(json.dumps(RECORDED["config.json after docker login"]))
    document["auths"][HOST]["auth"] = encoded(auth)
    return document


def test_a_login_as_docker_keeps_it() -> None:
    found = login_of(config("reader:pass:word"), HOST)
    assert found is not None
    assert (found.username, found.secret, found.shape) == ("reader", "pass:word", "other")
    assert login_of(config("reader:password"), "another.example") is None
    assert login_of({"auths": {f"https://{HOST}/v1/": {"auth": encoded("a:b")}}}, HOST)


@pytest.mark.parametrize("document", [{}, {"auths": {}}, {"auths": {HOST: {}}}, {"auths": None}])
def test_no_login(document: Mapping[str, Any]) -> None:
    assert login_of(document, HOST) is None


@pytest.mark.parametrize(
    "document",
    [
        RECORDED["config.json with credsStore"],
        {"auths": {HOST: {"auth": encoded("a:b")}}, "credHelpers": {HOST: "pass"}},
    ],
)
def test_a_helper_is_not_run(document: Mapping[str, Any]) -> None:
    with pytest.raises(UnavailableError, match=r"docker-credential-\w+, which is not run"):
        login_of(document, HOST)


@pytest.mark.parametrize("entry", ["text", {"auth": "???"}, {"auth": encoded("no colon")}])
def test_an_unknown_form_is_unknown(entry: object) -> None:
    with pytest.raises(UnavailableError, match="in an unknown way"):
        login_of({"auths": {HOST: entry}}, HOST)


@pytest.mark.parametrize(
    ("secret", "shape"),
    [
        ("0123456789abcdef0123456789abcdef01234567", "hexadecimal-token"),
        ("0123456789ABCDEF0123456789ABCDEF01234567", "other"),
        ("0123456789abcdef0123456789abcdef0123456", "other"),
        (f"{encoded(json.dumps({'alg': 'HS256'})).rstrip('=')}.e30.c2ln", "json-web-token"),
        ("www.example.com", "other"),
        ("correct horse battery staple", "other"),
        ("", "other"),
    ],
)
def test_shapes(secret: str, shape: str) -> None:
    assert shape_of(secret) == shape


def test_an_identity_token_is_a_token() -> None:
    found = login_of({"auths": {HOST: {"auth": encoded("matt:"), "identitytoken": "x"}}}, HOST)
    assert found is not None
    assert (found.username, found.shape) == ("matt", "identity-token")


# Against the rehearsal


@contextmanager
def logins(site: Site, document: Mapping[str, object]) -> Iterator[None]:
    before = registry.login_file(site).read_text(encoding="utf-8")
    registry.write_login(site, document)
    try:
        yield
    finally:
        registry.write_login(site, json.loads(before))


def look(target: Target, directory: Path) -> tuple[ServerLogin, matrix.Observer]:
    observer = matrix.Observer(target, directory)
    found = observer.look(["server_login"]).facts["server_login"]
    assert isinstance(found, ServerLogin), found
    return found, observer


@pytest.mark.user
def test_the_login_reads_both_images_and_stays_in_memory(target: Target, site: Site, tmp_path: Path) -> None:
    seen, observer = look(target, tmp_path)
    for name in target.compose.built_names:
        assert str(known(seen.readings[name])) == "read with the login"
    document = json.loads(registry.login_file(site).read_text(encoding="utf-8"))
    auth = document["auths"][REGISTRY_NAME]["auth"]
    secret = base64.b64decode(auth).decode().partition(":")[2]
    told = seen.model_dump_json() + (tmp_path / "ledger.jsonl").read_text()
    assert secret not in told
    assert auth not in told
    assert "«redacted: login on the server for" in observer.secrets.redactor.clean(f"x {secret} {auth}")
    assert ServerLogin.model_validate_json(seen.model_dump_json()) == seen


def test_what_everybody_may_read_proves_no_login(target: Target, site: Site, tmp_path: Path) -> None:
    strange = target.registry.model_copy(update={"username": None, "password": None})
    anonymous = target.model_copy(update={"registry": strange})
    with logins(site, registry.logins_with("0" * 40)):
        public = matrix.Observer(anonymous, tmp_path).look(["registry"]).facts["registry"]
        seen, _ = look(target, tmp_path)
    assert isinstance(public, Registry)
    assert known(public.digests[APP])
    service = target.compose.of_kind("app")
    assert seen.stored(service).is_token
    assert str(seen.reading(service)) == "the login is refused (HTTP 401)"


def test_what_is_not_json_is_unknown(target: Target, site: Site, tmp_path: Path) -> None:
    before = registry.login_file(site).read_text(encoding="utf-8")
    registry.login_file(site).write_text("{", encoding="utf-8")
    try:
        found = matrix.Observer(target, tmp_path).look(["server_login"]).facts["server_login"]
    finally:
        registry.login_file(site).write_text(before, encoding="utf-8")
    assert found == Unavailable(reason="the server's registry logins are not JSON")


# The stand-in for `docker manifest inspect`


def inspect(site: Site, *words: str, login: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run it as root of the server would."""
    home = login or registry.login_file(site).parent
    return subprocess.run(
        [site.host / "usr/bin/docker", "manifest", "inspect", *words],
        env={"PATH": "/usr/bin:/bin", "DOCKER_CONFIG": str(home), "DOCKER_HOST": "unix:///nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )


def recorded(case: str) -> dict[str, Any]:
    (found,) = [each for each in RECORDED["manifest inspect"] if each["case"].startswith(case)]
    return dict(found)


@pytest.mark.parametrize(
    ("case", "reference"),
    [
        ("missing tag", f"{REGISTRY_NAME}/{registry.REPOSITORY}/crm-app:nope"),
        ("plain-HTTP registry", "127.0.0.1:9/port-nimara/crm-app:latest"),
    ],
)
def test_no_such_manifest_is_said_of_much(site: Site, case: str, reference: str) -> None:
    done = inspect(site, reference)
    theirs = recorded(case)
    assert (done.returncode, done.stdout) == (theirs["rc"], "")
    assert done.stderr == f"no such manifest: {reference}\n"
    assert theirs["stderr"].startswith("no such manifest: ")


def test_a_manifest_is_shown_without_its_digest_and_without_the_engine(site: Site) -> None:
    reference = f"{REGISTRY_NAME}/{registry.REPOSITORY}/crm-app:latest"
    plain, verbose = inspect(site, reference), inspect(site, "-v", reference)
    assert (plain.returncode, verbose.returncode) == (0, 0)
    assert set(json.loads(plain.stdout)) == {"schemaVersion", "mediaType", "config", "layers"}
    wrapped = json.loads(verbose.stdout)
    assert wrapped["SchemaV2Manifest"] == json.loads(plain.stdout)
    assert wrapped["Descriptor"]["digest"].startswith("sha256:")
