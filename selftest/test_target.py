"""Target files: what is accepted, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from acceptance import target
from acceptance.errors import UsageError
from acceptance.guard.commands import CONTAINER_LOG
from acceptance.sections.base import Endpoint

MINIMAL = """
name = "example"
[server]
address = "server.example"
user = "operator"
identity = "~/.ssh/id_ed25519"
[public]
name = "crm.example"
[nginx]
vhost = "crm.conf"
upstream = { address = "127.0.0.1", port = 7100 }
[compose]
project = "pn-crm"
directory = "/opt/pn-crm"
services = [
  { name = "postgres", image = "postgres:16-alpine", kind = "postgres" },
  { name = "redis", image = "redis:7-alpine", kind = "redis" },
  { name = "crm-app", image = "registry.example/crm-app:latest", kind = "app" },
  { name = "crm-worker", image = "registry.example/crm-worker:latest", kind = "worker" },
]
[health]
secret = "env:WEBSITE_INTAKE_SECRET"
[postgres]
database = "crm"
user = "reader"
password = "env:PN_DATABASE_PASSWORD"
"""


def _load(directory: Path, text: str) -> target.Target:
    path = directory / "t.toml"
    path.write_text(text, encoding="utf-8")
    return target.load(path)


def test_a_minimal_target_gets_the_plans_defaults(tmp_path: Path) -> None:
    loaded = _load(tmp_path, MINIMAL)
    assert loaded.public.https == Endpoint(address="crm.example", port=443)
    assert loaded.nginx.body_size_mb == 64
    assert loaded.compose.env_path == "/opt/pn-crm/.env"
    assert not loaded.rehearsal


def test_several_mistakes_are_listed_at_once(tmp_path: Path) -> None:
    text = (
        MINIMAL.replace('address = "server.example"', "").replace('"/opt/pn-crm"', '"opt"')
        + "\n[extra]\nx = 1\n"
    )
    with pytest.raises(UsageError) as caught:
        _load(tmp_path, text)
    message = str(caught.value)
    assert "server.address" in message
    assert "compose.directory" in message
    assert "extra" in message
    assert "3 mistake(s)" in message


def test_a_literal_secret_is_refused_and_not_repeated(tmp_path: Path) -> None:
    literal = "hunter2-hunter2"
    with pytest.raises(UsageError) as caught:
        _load(tmp_path, MINIMAL.replace("env:PN_DATABASE_PASSWORD", literal))
    assert "must be a reference" in str(caught.value)
    assert literal not in str(caught.value)


def test_a_missing_kind_of_service_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="0 of kind worker"):
        _load(tmp_path, MINIMAL.replace('kind = "worker"', 'kind = "other"'))


def test_a_key_of_every_service_may_be_assumed_and_its_names_are_no_secrets(tmp_path: Path) -> None:
    loaded = _load(tmp_path, 'assumed = ["compose.services.env_file"]\n' + MINIMAL)
    assert loaded.is_assumed("compose.services.env_file")
    declared = {"crm-app", "pn-crm", "crm", "reader", "crm.example", "postgres:16-alpine"}
    assert declared <= loaded.declared_names
    assert "" not in loaded.declared_names
    with pytest.raises(UsageError, match=r"no such key: compose\.services\.env"):
        _load(tmp_path, 'assumed = ["compose.services.env"]\n' + MINIMAL)


def test_assumed_keys_must_exist(tmp_path: Path) -> None:
    assert _load(tmp_path, 'assumed = ["compose.directory"]\n' + MINIMAL).is_assumed("compose.directory")
    with pytest.raises(UsageError, match=r"no such key: compose\.folder"):
        _load(tmp_path, 'assumed = ["compose.folder"]\n' + MINIMAL)


def test_a_commit_is_given_whole_as_images_are_tagged(tmp_path: Path) -> None:
    whole = MINIMAL.replace("[compose]\n", f'[compose]\ncommit = "{"0a" * 20}"\n')
    assert _load(tmp_path, whole).compose.commit == "0a" * 20
    with pytest.raises(UsageError, match=r"compose\.commit: give the whole commit"):
        _load(tmp_path, whole.replace("0a" * 20, "0a0a0a0"))


def test_a_log_s_limit_stays_below_what_a_command_may_answer(tmp_path: Path) -> None:
    largest = CONTAINER_LOG.max_bytes
    assert _load(tmp_path, f"{MINIMAL}[logs]\nmax_bytes = {largest}\n").logs.max_bytes > 64 * 1024 * 1024
    for wrong in (largest + 1, 0):
        with pytest.raises(UsageError, match=r"logs\.max_bytes"):
            _load(tmp_path, f"{MINIMAL}[logs]\nmax_bytes = {wrong}\n")


WEBSITE = """
[website]
public = { name = "example" }
environment = { container = "website-1" }
"""


@pytest.mark.parametrize(
    ("environment", "seen"),
    [("", "none"), ('container = "website-1", local_file = "website.env"', "container and local_file")],
)
def test_the_website_s_variables_are_read_in_one_place(tmp_path: Path, environment: str, seen: str) -> None:
    loaded = _load(tmp_path, MINIMAL + WEBSITE)
    assert loaded.sites["website"].name == "example"
    assert "website-1" in loaded.declared_names
    with pytest.raises(UsageError, match=f"exactly one of .* is needed, not {seen}"):
        _load(tmp_path, MINIMAL + WEBSITE.replace('container = "website-1"', environment))


def test_a_test_inquiry_holds_its_marker(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no field holds \{marker\}"):
        _load(tmp_path, f'{MINIMAL}{WEBSITE}[website.inquiry]\nbody = {{ message = "hello" }}\n')


def test_a_name_that_looks_like_a_loopback_address_is_none(tmp_path: Path) -> None:
    there = '{ address = "127.crm.example", port = 1 }'
    text = MINIMAL.replace(
        'name = "crm.example"', f'name = "crm.example"\nconnect_http = {there}\nconnect_https = {there}'
    )
    with pytest.raises(UsageError, match=r"127\.crm\.example is no loopback address"):
        _load(tmp_path, f"rehearsal = true\n{text}")


def test_a_rehearsed_website_is_on_this_machine(tmp_path: Path) -> None:
    here = '{ address = "127.0.0.1", port = 1 }'
    text = MINIMAL.replace('"server.example"', '"127.0.0.1"').replace(
        'name = "crm.example"', f'name = "crm.example"\nconnect_http = {here}\nconnect_https = {here}'
    )
    with pytest.raises(UsageError, match="example is no loopback address"):
        _load(tmp_path, f"rehearsal = true\n{text}{WEBSITE}")


def test_broken_toml_and_missing_files_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not valid TOML"):
        _load(tmp_path, "name = ")
    with pytest.raises(UsageError, match="cannot be read"):
        target.load(tmp_path / "absent.toml")
    with pytest.raises(UsageError, match="no such target"):
        target.path_of("absent")
    with pytest.raises(UsageError, match="no such file"):
        target.path_of("./absent.toml")


def test_the_shipped_targets_load() -> None:
    paths = sorted(target.DIRECTORY.glob("*.toml"))
    assert paths
    for path in paths:
        assert target.load(path).name == path.stem
