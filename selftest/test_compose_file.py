"""Reading a compose file as Docker Compose reads it; what cannot be told is neither red nor green."""

from __future__ import annotations

import pytest

from acceptance import target as targets
from acceptance.errors import UnavailableError
from acceptance.facts.compose_file import ComposeFile, ComposeFileError, read
from acceptance.target import Target

PLANNED = """\
x-app: &app
  restart: unless-stopped
  env_file: .env
services:
  postgres:
    image: docker.io/library/postgres:16-alpine
    environment: {POSTGRES_PASSWORD: "${POSTGRES_PASSWORD:?missing}"}
    volumes: ["pgdata:/var/lib/postgresql/data"]
  redis:
    image: redis:7-alpine
    volumes:
      - {type: volume, source: redisdata, target: /data/}
  crm-app:
    <<: *app
    image: code.letsbe.solutions/letsbe/pn-new-crm/crm-app:${TAG:-latest}
    ports:
      - {target: 3000, published: "7100", host_ip: 127.0.0.1, protocol: tcp}
  crm-worker:
    <<: [*app]
    image: code.letsbe.solutions/letsbe/pn-new-crm/crm-worker:latest
    env_file:
      - path: ./.env
        required: true
volumes:
  pgdata:
  redisdata: {name: pn-crm_redisdata}
"""
VARIABLES = {"POSTGRES_PASSWORD": "not-shown-anywhere", "PORT": "7100"}


@pytest.fixture(scope="module")
def target() -> Target:
    declared = targets.load(targets.path_of("production"))
    return declared.model_copy(update={"assumed": ()})


def troubles(text: str, target: Target) -> list[str]:
    """Return everything that the checks would call red."""
    found = read(text, VARIABLES.get)
    services = target.compose.services
    return [
        *found.other_services(target.compose.names),
        *found.other_images(services),
        *found.other_ports(services),
        *found.public_databases(target),
        *found.other_volumes(target),
        *found.storage_services(),
        *found.without_env_file(target),
    ]


def changed(old: str, new: str) -> str:
    assert old in PLANNED
    return PLANNED.replace(old, new)


def test_the_planned_file_in_any_spelling_is_as_planned(target: Target) -> None:
    assert troubles(PLANNED, target) == []
    found = read(PLANNED, VARIABLES.get)
    assert found.is_clear
    assert "not-shown-anywhere" not in found.model_dump_json()
    assert ComposeFile.model_validate_json(found.model_dump_json()) == found


APP = '{target: 3000, published: "7100", host_ip: 127.0.0.1, protocol: tcp}'


@pytest.mark.parametrize(
    "port",
    [
        "7100:3000",
        '"127.0.0.1:7100:3000"',
        "127.0.0.1:${PORT}:3000/tcp",
        '"[::1]:7100:3000"',
        "::1:7100:3000",
    ],
)
def test_short_ports(port: str, target: Target) -> None:
    assert troubles(changed(APP, port), target) == []


@pytest.mark.parametrize(
    ("port", "said"),
    [
        ('"3000"', "any port→3000"),
        ("22:22", "22→22"),
        ("7100-7101:3000-3001", "7101→3001"),
        ("7100:3000/udp", "7100→3000/udp"),
        ("{target: 3000}", "any port→3000"),
    ],
)
def test_other_ports(port: str, said: str, target: Target) -> None:
    assert any(f"{said}, which is not declared" in text for text in troubles(changed(APP, port), target))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "  redis:\n    image: redis:7-alpine",
            "  redis:\n    image: redis:8-alpine",
            "redis has redis:8-alpine",
        ),
        ("image: redis:7-alpine", "build: .", "redis has none"),
        (
            "image: redis:7-alpine",
            "image: redis:7-alpine\n    network_mode: host",
            "redis shares the host's network",
        ),
        ("image: redis:7-alpine", "image: redis:7-alpine\n    ports: ['127.0.0.1:6379:6379']", "6379→6379"),
        ("image: redis:7-alpine", "image: redis:7-alpine\n    scale: 0", "redis 0 times"),
        (
            "  postgres:\n",
            "  files:\n    image: quay.io/minio/minio\n  postgres:\n",
            "files, which is not declared",
        ),
        ("pgdata:/var/lib/postgresql/data", "./data:/var/lib/postgresql/data", "but a bind mount on"),
        ("pgdata:/var/lib/postgresql/data", "/var/lib/postgresql/data", "but an anonymous volume on"),
        ("  pgdata:\n", "  pgdata: {external: true, name: old}\n", "volume pgdata is named old"),
        ("  pgdata:\n", "  pgdata:\n  more:\n", "volume more, which is not declared"),
        ("- path: ./.env", "- path: ./other.env", "crm-worker"),
    ],
)
def test_what_is_wrong(old: str, new: str, said: str, target: Target) -> None:
    assert any(said in text for text in troubles(changed(old, new), target))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (APP, '"${NOT_SET}:3000"', "NOT_SET"),
        ("image: redis:7-alpine", "image: redis:$NOT_SET", "NOT_SET"),
        ("image: redis:7-alpine", "extends: {file: base.yml, service: redis}", "`extends`"),
        ("image: redis:7-alpine", "image: redis:7-alpine\n    profiles: [cache]", "`profiles`"),
        ("services:\n", "include: [other.yml]\nservices:\n", "includes other files"),
        (APP, "7100-7200:3000", "the engine chooses"),
    ],
)
def test_what_cannot_be_told_is_not_red(old: str, new: str, why: str, target: Target) -> None:
    text = changed(old, new)
    assert [text for text in troubles(text, target) if "redisdata" not in text] == []
    with pytest.raises(UnavailableError, match=why):
        assert read(text, VARIABLES.get).is_clear


def test_what_is_red_stays_red_beside_what_cannot_be_told(target: Target) -> None:
    text = changed(APP, '"${NOT_SET}:3000"').replace("redis:7-alpine", "redis:6")
    assert troubles(text, target) == ["redis has redis:6"]


def test_services_of_included_files_are_not_missed(target: Target) -> None:
    text = "include: [more.yml]\nservices: {redis: {image: redis:7-alpine, volumes: ['redisdata:/data']}}\n"
    assert troubles(text, target) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("services: [", "line 1"),
        ("", "the file is no mapping"),
        ("services:\n", "services is no mapping"),
        ("services: {a: {image: x}, a: {image: y}}", "the key a stands twice"),
        ("services:\n  a:\n    image: !reset x", r"line 3: .*!reset"),
        ("services: {a: {image: !!python/name:os.system x}}", "python/name"),
        ("services: {a: {image: '${X'}}", "line 1: a reference is never closed"),
        ("services: {a: {command: '${X:?}'}}", "the required variable X is not set"),
        ("services: {a: {image: x, ports: 80}}", "a.ports is no list"),
        ("services: {a: {image: x, ports: [http]}}", "no port"),
        ("---\nservices: {}\n---\nservices: {}", "line 3"),
        ("services: {a: {image: \x07}}", "not YAML"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read(text: str, why: str) -> None:
    with pytest.raises(ComposeFileError, match=why):
        read(text)


def test_merges_of_merges_end() -> None:
    lines = ["a0: &a0 {" + ", ".join(f"k{number}: x" for number in range(100)) + "}"]
    lines += [f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 9)}]}}" for level in range(1, 12)]
    with pytest.raises(ComposeFileError, match="too long"):
        read("\n".join([*lines, "services: {}"]))


def test_what_is_declared_by_guess_is_unknown(target: Target) -> None:
    guessed = target.model_copy(update={"assumed": ("compose.services.env_file",)})
    found = read(changed("- path: ./.env", "- path: ./other.env"), VARIABLES.get)
    with pytest.raises(UnavailableError, match="assumed name not found: crm-worker"):
        found.without_env_file(guessed)
