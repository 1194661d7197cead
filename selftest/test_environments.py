"""What is seen of an environment: from where, by which shape, and never a value."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from acceptance import contract
from acceptance import target as targets
from acceptance.access import Access
from acceptance.contract import Shape, Strength, Variable
from acceptance.errors import NotApplicableError, UnavailableError
from acceptance.facts import environments as facts
from acceptance.facts.base import Known, Unavailable, known
from acceptance.facts.environments import BLANK, UNSET, Environment, Environments
from acceptance.facts.shape import look_at
from acceptance.guard.commands import CONTAINERS_INSPECT, PUBLISHED_PORTS, WEBSITE_CONTAINER, Call
from acceptance.secrets import Redactor, Secrets
from acceptance.sections.environment import EnvironmentSource
from acceptance.target import Target
from acceptance.transports.host import Result
from rehearsal.client import Rehearsal
from selftest import matrix

CRM, WEBSITE = contract.of("crm"), contract.of("website")
PRODUCTION = targets.load(targets.path_of("production"))
SECRET = "".join(("kT9x", "Wm3q", "Zr7b", "Lc2v", "Hn5d", "Fg8s"))

SHAPES: dict[str, Any] = {
    "url": {"kind": "url"},
    "address": {"kind": "url", "equals": "https://crm.portnimara.com"},
    "anywhere": {"kind": "url", "path": "any", "schemes": ["https", "http"]},
    "hidden": {"kind": "url", "shown": False},
    "postgres": {"kind": "service-url", "service": "postgres", "schemes": ["postgres", "postgresql"]},
    "redis": {"kind": "service-url", "service": "redis", "schemes": ["redis"]},
    "host": {"kind": "host"},
    "redis-host": {"kind": "host", "service": "redis"},
    "port": {"kind": "port"},
    "number": {"kind": "integer", "least": 2, "most": 20},
    "version": {"kind": "choice", "values": ["v1"]},
    "email": {"kind": "email"},
    "emails": {"kind": "emails"},
    "bucket": {"kind": "bucket"},
    "flag": {"kind": "flag"},
    "text": {"kind": "text"},
}


def variable(shape: str, **others: Any) -> Variable:  # noqa: ANN401 - as in the file
    parsed: Shape = TypeAdapter(Shape).validate_python(SHAPES[shape])
    return Variable(name="A", shape=parsed, why="self-test", **others)


def environment(values: Mapping[str, str], of: contract.Contract = CRM, **others: Any) -> Environment:  # noqa: ANN401
    found = facts.reduced(values, of, cast("Access", FakeAccess(PRODUCTION)), "a file", "cat it")
    return found.model_copy(update=others)


@pytest.mark.parametrize(
    ("shape", "value", "trouble"),
    [
        ("url", "https://signatures.portnimara.dev", ""),
        ("url", "https://signatures.portnimara.dev/api/v1", "path `/api/v1`"),
        ("url", "https://signatures.portnimara.dev/", "a trailing slash"),
        ("url", "http://signatures.portnimara.dev", "http://"),
        ("url", "signatures.portnimara.dev", "no URL: 25 characters: lower case, others"),
        ("url", "https://user:pass@host.dev?x=1#y", "a user, a password, a query, a fragment"),
        ("url", "https://host.dev/" + "x" * 61, "a path"),
        ("url", "https:///api", "no host name, path `/api`"),
        ("url", '"https://host.dev"', "quotes around it that are part of the value"),
        ("url", "https://host.dev\r", "white space around it, or a control character in it"),
        ("address", "https://CRM.portnimara.com", ""),
        ("address", "https://crm.portnimara.com/", "a trailing slash"),
        ("address", "https://crm.portnimara.com:7100", "port 7100"),
        ("address", "https://www.portnimara.com/crm", "host `www.portnimara.com`, path `/crm`"),
        ("anywhere", "http://nocodb:8080/api/v2", ""),
        ("hidden", "https://hooks.example/T0/B0", "a path"),
        ("postgres", "postgres://crm:p%40ss@postgres:5432/crm?sslmode=disable", ""),
        ("postgres", "postgresql://crm:pass@10.0.0.5/crm", ""),
        ("postgres", "postgres://crm:pass@db.elsewhere.dev/crm", "host `db.elsewhere.dev`"),
        ("postgres", "postgres://crm:pass@postgres:5433/crm", "port 5433"),
        ("postgres", "postgres://postgres:5432", "no user, no database"),
        ("postgres", "mysql://crm:pass@postgres/crm", "mysql://"),
        (
            "postgres",
            "postgres://crm:pa/ss@postgres/crm",
            "an @ behind the host; in a password such characters are percent-encoded",
        ),
        ("redis", "redis://:pass@redis:6379/0", ""),
        ("redis", "redis://localhost:6379", "host `localhost`"),
        ("host", "mail.portnimara.com", ""),
        ("host", "smtp://mail.portnimara.com", "a URL"),
        ("host", "mail.portnimara.com:587", "no host name: 23 characters: lower case, digits, others"),
        ("redis-host", "redis", ""),
        ("redis-host", "redis.elsewhere.dev", "host `redis.elsewhere.dev`"),
        ("redis-host", SECRET, "another name"),
        ("port", "587", ""),
        ("port", "0", "a number out of range"),
        ("port", "65536", "a number out of range"),
        ("port", "५८७", "3 characters: digits"),
        ("port", "smtp", "4 characters: lower case"),
        ("number", "20", ""),
        ("number", "21", "a number out of range"),
        ("number", "-5", "2 characters: digits, others"),
        ("version", "v1", ""),
        ("version", "v2", "2 characters: lower case, digits"),
        ("email", "Port Nimara <hello@portnimara.com>", ""),
        ("email", "hello@portnimara", "0 e-mail addresses, 1 entries that are none"),
        ("emails", "a@portnimara.com, b@portnimara.com", ""),
        ("emails", '["a@portnimara.com"]', ""),
        ("emails", "a@portnimara.com;", "1 e-mail addresses, 1 entries that are none"),
        ("emails", "[]", "0 e-mail addresses, 0 entries that are none"),
        ("bucket", "crm-files", ""),
        ("bucket", "CRM_files", "9 characters: lower case, upper case, others"),
        ("flag", "yes", ""),
        ("flag", "on", "2 characters: lower case"),
        ("text", "anything", ""),
        ("text", "anything ", "white space around it, or a control character in it"),
    ],
)
def test_shapes(shape: str, value: str, trouble: str) -> None:
    seen = environment({"A": value}, CRM.model_copy(update={"variable": {"A": variable(shape)}}))
    reached = seen.model_copy(update={"hosts": {"postgres": ("10.0.0.5",), "redis": ()}})
    assert reached.trouble(variable(shape), PRODUCTION) == trouble


hidden = st.sampled_from(
    [
        f"https://user:{SECRET}@host.dev/",
        f"https://{SECRET}@host.dev/",
        f"https://host.dev/?token={SECRET}",
        f"https://host.dev/#{SECRET}",
        f"postgres://crm:{SECRET[:8]}/{SECRET}@postgres/crm",
        f"postgres://crm:{SECRET[:8]}#{SECRET}@postgres/crm",
        f"postgres://crm:{SECRET[:8]}@{SECRET}@postgres/crm",
        f"postgres://crm:pw@postgres/{SECRET}",
        f"{SECRET}",
        f"{SECRET}@{SECRET}.dev",
        f'["{SECRET}"]',
    ]
)


@given(hidden, st.sampled_from(sorted(set(SHAPES) - {"host", "redis-host"})))
def test_what_is_secret_in_a_value_is_not_kept(value: str, shape: str) -> None:
    kept = look_at(value, variable(shape, strength=Strength()), "class").model_dump_json()
    assert SECRET.lower() not in kept.lower()


@pytest.mark.parametrize(
    ("value", "weaknesses"),
    [
        (SECRET, ()),
        (SECRET[:23], ("23 characters",)),
        ("0123456789" * 3, ("a known placeholder", "only digits")),
        ("q7" * 20, ("only 2 different characters",)),
        ("Changeme-before-Production-2026!", ("a known placeholder",)),
        ("your-better-auth-secret-goes-here-1", ("a known placeholder",)),
        ("<generate with openssl rand 32>", ("a known placeholder",)),
        ("k7<Qz!mm2>Wd93kdLpq8sTv", ("23 characters",)),
    ],
)
def test_strength(value: str, weaknesses: tuple[str, ...]) -> None:
    strong = variable("text", strength=Strength())
    seen = environment({"A": value}, CRM.model_copy(update={"variable": {"A": strong}}))
    assert seen.weaknesses(strong, Strength()) == weaknesses


def test_of_a_url_the_password_must_be_strong() -> None:
    (wanted,) = [pair for pair in CRM.secrets if pair[0].name == "DATABASE_URL"]
    good = environment({"DATABASE_URL": f"postgres://crm:{SECRET}@postgres/crm"})
    bad = environment({"DATABASE_URL": f"postgres://{SECRET}:changeme@postgres/crm"})
    none = environment({"DATABASE_URL": f"postgres://{SECRET}@postgres/crm"})
    assert good.weaknesses(*wanted) == ()
    assert "a known placeholder" in bad.weaknesses(*wanted)
    assert none.weaknesses(*wanted) == ("no secret at all",)


# What is set


def requirement(name: str) -> contract.Requirement:
    return next(one for one in CRM.required if one.name == name)


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({"REDIS_URL": "redis://redis"}, ""),
        ({"REDIS_HOST": "redis", "REDIS_PORT": "6379"}, ""),
        ({"REDIS_HOST": "redis"}, "REDIS_URL not set, REDIS_PORT not set"),
        ({"REDIS_URL": " "}, "REDIS_URL set but empty, REDIS_HOST not set, REDIS_PORT not set"),
    ],
)
def test_of_a_group_one_alternative_must_be_whole(values: dict[str, str], missing: str) -> None:
    assert environment(values).missing(requirement("redis"), CRM) == missing


def test_only_an_assumed_name_that_is_absent_is_unknown() -> None:
    empty = environment({})
    assert empty.missing(requirement("APP_URL"), CRM) == "APP_URL not set"
    with pytest.raises(UnavailableError, match=r"assumed name not found: REDIS_URL or REDIS_HOST"):
        empty.missing(requirement("redis"), CRM)
    with pytest.raises(UnavailableError, match="assumed name not found: SMTP_HOST"):
        empty.missing(requirement("SMTP_HOST"), CRM)
    blank = environment({"SMTP_HOST": ""})
    assert blank.missing(requirement("SMTP_HOST"), CRM) == "SMTP_HOST set but empty"


@pytest.mark.parametrize(
    ("there", "hint"),
    [
        (("SMTP_SERVER", "PATH"), "; there is SMTP_SERVER$"),
        (("MAIL_HOST", "smtpHost", "SMTP_A", "SMTP_B"), "; there is smtpHost, MAIL_HOST, SMTP_A$"),
        (("PATH",), "in a file$"),
    ],
)
def test_names_that_may_be_meant_instead_are_told(there: tuple[str, ...], hint: str) -> None:
    with pytest.raises(UnavailableError) as caught:
        environment(dict.fromkeys(there, "x")).missing(requirement("SMTP_HOST"), CRM)
    assert re.search(hint, caught.value.reason)


def test_an_optional_variable_that_is_empty_is_not_passed_silently() -> None:
    seen = environment({"SMTP_FROM": "", "SMTP_HOST": ""})
    assert seen.trouble(CRM.variable["SMTP_FROM"], PRODUCTION) == BLANK
    with pytest.raises(NotApplicableError, match="SMTP_HOST is set but empty"):
        seen.trouble(CRM.variable["SMTP_HOST"], PRODUCTION)
    with pytest.raises(NotApplicableError, match="IMAP_USER is not set"):
        seen.trouble(CRM.variable["IMAP_USER"], PRODUCTION)


def test_absence_is_claimed_only_where_something_was_seen() -> None:
    with pytest.raises(UnavailableError, match="holds no variable at all"):
        environment({}).state_among_others("EMAIL_REDIRECT_TO")
    assert environment({"X": "1"}).state_among_others("EMAIL_REDIRECT_TO") == UNSET
    assert environment({"EMAIL_REDIRECT_TO": ""}).state_among_others("EMAIL_REDIRECT_TO") == BLANK
    inherited = environment({"X": "1"}, inherited=("EMAIL_REDIRECT_TO",))
    with pytest.raises(UnavailableError, match="depends on the shell"):
        inherited.state_among_others("EMAIL_REDIRECT_TO")


def test_the_shared_secret() -> None:
    access = cast("Access", FakeAccess(PRODUCTION))
    crm = facts.reduced({"WEBSITE_INTAKE_SECRET": SECRET}, CRM, access, "", "")

    def website(**values: str) -> Environment:
        return facts.reduced(values, WEBSITE, access, "", "")

    names = ("CRM_INTAKE_SECRET", crm, "WEBSITE_INTAKE_SECRET")
    assert website(CRM_INTAKE_SECRET=SECRET).in_touch.differs(*names) == ""
    assert website(CRM_INTAKE_SECRET=f"{SECRET}\r").in_touch.differs(*names) == "different values"
    assert website(CRM_INTAKE_URL="https://a.dev").in_touch.differs(*names) == "CRM_INTAKE_SECRET not set"
    with pytest.raises(NotApplicableError, match="CRM_INTAKE_URL not set, CRM_INTAKE_SECRET set but empty"):
        _ = website(CRM_INTAKE_SECRET="").in_touch


# Where it is read


@dataclass
class FakeHost:
    """Answers inspections from what the test says, and reads files by the declared commands."""

    containers: list[dict[str, Any]]
    root: Path | None
    website: Result | None = None
    listed: tuple[str, ...] = ()
    problem: UnavailableError | None = None

    async def run(self, *calls: Call) -> tuple[Result, ...]:
        if self.problem:
            raise self.problem
        return tuple(map(self._answer, calls))

    def _answer(self, wanted: Call) -> Result:
        if wanted.command is CONTAINERS_INSPECT:
            text = "2026-06-02T10:00:00Z\n" + json.dumps(self.containers)
            return Result(wanted, 0, text.encode(), "")
        if wanted.command is PUBLISHED_PORTS:
            return Result(wanted, 0, "".join(f"{line}\n" for line in self.listed).encode(), "")
        if wanted.command is WEBSITE_CONTAINER:
            found = next((one for one in self.containers if one["Name"] == f"/{wanted.arguments[1]}"), None)
            missing = "Error: No such container: website"
            return Result(wanted, 0 if found else 1, json.dumps([found]).encode(), "" if found else missing)
        done = subprocess.run(
            ["/bin/sh", "-c", wanted.command.script, wanted.command.name, *wanted.arguments],
            capture_output=True,
            env={"LC_ALL": "C", "PATH": os.defpath},
            check=False,
        )
        return Result(wanted, done.returncode, done.stdout, done.stderr.decode())


@dataclass
class FakeAccess:
    """What the collector needs of a run."""

    target: Target
    host: FakeHost = field(default_factory=lambda: FakeHost([], None))

    def __post_init__(self) -> None:
        self._secrets = Secrets(Redactor())
        self.redactor = self._secrets.redactor
        self.learn = self.redactor.learn
        self.classify = self._secrets.classify


def inspected(service: str, environment: Mapping[str, str], **state: object) -> dict[str, Any]:
    return {
        "Id": service,
        "Name": f"/pn-crm-{service}-1" if service != "website" else "/website-website-1",
        "State": {
            "Status": "running",
            "Restarting": False,
            "ExitCode": 0,
            "OOMKilled": False,
            "StartedAt": "2026-06-02T09:00:00Z",
            **state,
        },
        "RestartCount": 0,
        "Image": "sha256:0",
        "Config": {
            "Image": service,
            "Labels": {"com.docker.compose.service": service},
            "Env": [f"{name}={value}" for name, value in environment.items()],
        },
        "HostConfig": {"LogConfig": {"Type": "json-file"}},
        "NetworkSettings": {
            "Ports": {},
            "Networks": {"a": {"IPAddress": "172.18.0.9", "Aliases": [service[:5], f"the-{service}"]}},
        },
    }


def look(tmp_path: Path, *containers: dict[str, Any], assumed: bool = False, **where: Any) -> Environments:  # noqa: ANN401
    """Collect, with deploy and staging directory below a temporary one."""
    compose = PRODUCTION.compose.model_copy(update={"directory": str(tmp_path / "deploy")})
    assert PRODUCTION.website is not None
    place = EnvironmentSource(**(where or {"container": "website-website-1"}))
    target = PRODUCTION.model_copy(
        update={
            "compose": compose,
            "deploy": PRODUCTION.deploy.model_copy(update={"staging": str(tmp_path / "staging")}),
            "website": PRODUCTION.website.model_copy(update={"environment": place}),
            "assumed": ("compose.directory", "website.environment") if assumed else (),
        }
    )
    access = FakeAccess(target, FakeHost(list(containers), tmp_path))
    return asyncio.run(facts.collect(cast("Access", access)))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, newline="")
    return path


def test_where_a_container_runs_it_is_the_truth(tmp_path: Path) -> None:
    write(tmp_path / "deploy" / ".env", "APP_URL=https://file.dev\n")
    app = inspected("crm-app", {"APP_URL": "https://container.dev"})
    worker = inspected("crm-worker", {"APP_URL": "https://container.dev"}, Status="exited")
    seen = look(tmp_path, app, worker, inspected("postgres", {}))
    crm, worker_seen = known(seen.crm), known(seen.worker)
    assert crm.place == "container pn-crm-crm-app-1"
    assert crm.trouble(CRM.variable["APP_URL"], PRODUCTION) == "host `container.dev`"
    assert worker_seen.place == f"{tmp_path}/deploy/.env"
    assert worker_seen.trouble(CRM.variable["APP_URL"], PRODUCTION) == "host `file.dev`"
    assert crm.hosts["postgres"] == ("172.18.0.9", "pn-crm-postgres-1", "the-postgres")


def test_before_the_first_deploy_the_waiting_file_is_read(tmp_path: Path) -> None:
    with pytest.raises(
        UnavailableError, match=r"^no container runs and there is no .* and no .*staging/\.env"
    ):
        known(look(tmp_path).crm)
    with pytest.raises(UnavailableError, match=r"^assumed name not found: "):
        known(look(tmp_path, assumed=True).crm)
    write(tmp_path / "staging" / ".env", "APP_URL=https://crm.portnimara.com\n")
    assert known(look(tmp_path).crm).place == f"{tmp_path}/staging/.env"
    write(tmp_path / "deploy" / ".env", "")
    empty = known(look(tmp_path).crm)
    assert (empty.place, empty.count) == (f"{tmp_path}/deploy/.env", 0)
    assert empty.missing(requirement("APP_URL"), CRM) == "APP_URL not set"


def test_what_runs_under_another_project_is_not_overlooked(tmp_path: Path) -> None:
    write(tmp_path / "deploy" / ".env", "APP_URL=https://crm.portnimara.com\n")
    labels = "com.docker.compose.project=pn-new-crm,com.docker.compose.service="
    elsewhere = json.dumps({"Names": "x", "Ports": "", "Labels": f"{labels}crm-app"})
    other = json.dumps({"Names": "y", "Ports": "", "Labels": f"{labels}crm-worker,a=b,c"})
    compose = PRODUCTION.compose.model_copy(update={"directory": str(tmp_path / "deploy")})
    guessed = PRODUCTION.model_copy(update={"compose": compose, "assumed": ("compose.project",)})

    def crm(target: Target, *listed: str) -> Known[Environment] | Unavailable:
        access = FakeAccess(target, FakeHost([], tmp_path, listed=listed))
        return asyncio.run(facts.collect(cast("Access", access))).crm

    with pytest.raises(
        UnavailableError, match="assumed name not found: project pn-crm; crm-app runs in pn-new"
    ):
        known(crm(guessed, other, elsewhere))
    certain = guessed.model_copy(update={"assumed": ()})
    for seen in (crm(guessed), crm(guessed, other), crm(certain, elsewhere)):
        assert known(seen).place == f"{tmp_path}/deploy/.env"


def test_a_file_is_read_as_compose_reads_it(tmp_path: Path) -> None:
    write(
        tmp_path / "deploy" / ".env",
        "\ufeffAPP_URL=https://first.dev\r\n"
        "export APP_URL = 'https://crm.portnimara.com'   # the last one counts\r\n"
        "HOST=portnimara.com\r\n"
        'BETTER_AUTH_URL="https://crm.$HOST"\r\n'
        'DOCUMENSO_API_URL="https://signatures.portnimara.dev "\r\n'
        "DOCUMENSO_API_VERSION=v1   \r\n"
        "SMTP_HOST=\r\n"
        "SMTP_PORT=''\r\n"
        "EMAIL_REDIRECT_TO\r\n",
    )
    crm = known(look(tmp_path).crm)

    def trouble(name: str) -> str:
        return crm.trouble(CRM.variable[name], PRODUCTION)

    assert [trouble(name) for name in ("APP_URL", "BETTER_AUTH_URL", "DOCUMENSO_API_VERSION")] == ["", "", ""]
    assert trouble("DOCUMENSO_API_URL").startswith("white space around it")
    assert {crm.state("SMTP_HOST"), crm.state("SMTP_PORT")} == {BLANK}
    with pytest.raises(UnavailableError, match="depends on the shell"):
        crm.state("EMAIL_REDIRECT_TO")


COMPOSE = """\
x-app: &app
  env_file: .env
services:
  postgres: {container_name: pn-postgres, networks: {back: {aliases: [db]}, front: }}
  redis: {container_name: $NAMELESS, networks: [back]}
  crm-app:
    <<: *app
    environment:
      DATABASE_URL: postgresql://crm:${POSTGRES_PASSWORD}@db:5432/crm
      EMAIL_REDIRECT_TO:
      SMTP_HOST: ${RELAY}
  crm-worker:
    environment: ["EMAIL_REDIRECT_TO=dev@portnimara.com", "APP_URL=$ADDRESS"]
"""


def test_before_the_first_deploy_the_compose_file_has_a_say(tmp_path: Path) -> None:
    values = "ADDRESS=https://crm.portnimara.com\nAPP_URL=${ADDRESS}/\nDATABASE_URL=\n"
    write(tmp_path / "deploy" / ".env", f"{values}POSTGRES_PASSWORD={SECRET}\n")
    write(tmp_path / "deploy" / "docker-compose.prod.yml", COMPOSE)
    seen = look(tmp_path)
    app, worker = known(seen.crm), known(seen.worker)
    assert app.place == f"{tmp_path}/deploy/.env and docker-compose.prod.yml (crm-app)"
    assert app.trouble(CRM.variable["APP_URL"], PRODUCTION) == "a trailing slash"
    assert app.trouble(CRM.variable["DATABASE_URL"], PRODUCTION) == ""
    assert app.hosts == {"postgres": ("pn-postgres", "db"), "redis": ()}
    assert app.weaknesses(*CRM.secrets[0]) == ()
    for name in ("EMAIL_REDIRECT_TO", "SMTP_HOST"):
        with pytest.raises(UnavailableError, match="depends on the shell"):
            app.state(name)
    assert worker.state_among_others("EMAIL_REDIRECT_TO") == "set"
    assert worker.trouble(CRM.variable["APP_URL"], PRODUCTION) == ""
    assert (worker.count, worker.state("DATABASE_URL")) == (2, UNSET)
    assert SECRET not in seen.model_dump_json()


@pytest.mark.parametrize(
    ("compose", "why"),
    [
        (COMPOSE.replace("  env_file: .env", "  env_file: [.env, more.env]"), "also gets .* more.env"),
        (COMPOSE.replace(" .env", " [{path: .env, format: raw}]"), "format of its own"),
        (COMPOSE.replace("crm-app:", "other:"), "does not say by itself"),
        (f"include: [more.yml]\n{COMPOSE}", "does not say by itself"),
        ("services: [", "line 1"),
    ],
)
def test_what_the_compose_file_leaves_open_is_unknown(tmp_path: Path, compose: str, why: str) -> None:
    write(tmp_path / "deploy" / ".env", "APP_URL=https://crm.portnimara.com\n")
    write(tmp_path / "deploy" / "docker-compose.prod.yml", compose)
    with pytest.raises(UnavailableError, match=why):
        known(look(tmp_path).crm)


def test_what_compose_refuses_is_unknown(tmp_path: Path) -> None:
    write(tmp_path / "deploy" / ".env", f"BETTER_AUTH_SECRET='{SECRET}\n")
    with pytest.raises(UnavailableError, match=r"line 1: .* Docker Compose refuses the file") as caught:
        known(look(tmp_path).crm)
    assert SECRET not in str(caught.value)


def test_the_website_is_looked_at_where_the_target_says(tmp_path: Path) -> None:
    values = {"CRM_BERTHS_ENABLED": "true"}
    running = known(look(tmp_path, inspected("website", values)).website)
    stopped = known(look(tmp_path, inspected("website", values, Status="exited")).website)
    path = write(tmp_path / "website" / ".env", "CRM_BERTHS_ENABLED=true\n")
    on_server = known(look(tmp_path, env_file=str(path)).website)
    local = known(look(tmp_path, local_file=str(path)).website)
    assert running.place == "container website-website-1"
    assert stopped.place == "container website-website-1 (exited)"
    assert on_server.place == local.place == str(path)
    for seen in (running, stopped, on_server, local):
        assert seen.variables["CRM_BERTHS_ENABLED"].word == "true"


@pytest.mark.parametrize(
    "where",
    [{"container": "website-website-1"}, {"env_file": "/nowhere/.env"}, {"local_file": "/nowhere/.env"}],
)
def test_a_website_that_is_not_there_is_unknown(tmp_path: Path, where: dict[str, Any]) -> None:
    with pytest.raises(UnavailableError, match=r"^(there is no container|/nowhere/\.env does not exist)"):
        known(look(tmp_path, **where).website)
    with pytest.raises(UnavailableError, match=r"^assumed name not found: "):
        known(look(tmp_path, assumed=True, **where).website)


def test_a_local_file_is_read_though_the_server_cannot_be(tmp_path: Path) -> None:
    path = write(tmp_path / ".env", "CRM_BERTHS_ENABLED=true\n")
    assert PRODUCTION.website is not None
    website = PRODUCTION.website.model_copy(update={"environment": EnvironmentSource(local_file=str(path))})
    target = PRODUCTION.model_copy(update={"website": website})
    problem = UnavailableError("no SSH login")
    access = FakeAccess(target, FakeHost([], tmp_path, problem=problem))
    seen = asyncio.run(facts.collect(cast("Access", access)))
    assert isinstance(seen.website, Known)
    with pytest.raises(UnavailableError, match="no SSH login"):
        known(seen.crm)


def test_the_servers_files_are_read_as_root(rehearsal: Rehearsal, tmp_path: Path) -> None:
    target = targets.load(rehearsal.target_file)
    assert target.website is not None
    path = str(Path(target.compose.directory).parent / "website" / ".env")
    website = target.website.model_copy(update={"environment": EnvironmentSource(env_file=path)})
    observer = matrix.Observer(target.model_copy(update={"website": website}), tmp_path)
    first, second = (observer.look({"environments"}).facts["environments"] for _ in range(2))
    assert isinstance(first, Environments)
    assert known(first.website).place == path
    assert known(first.website).variables["NOCODB_URL"].url is not None
    assert first == second
