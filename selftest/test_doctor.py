"""`acceptance doctor`: what can be read, what is missing for which gate; nothing is judged."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from acceptance import checklist, cli, doctor, guard, probes, sources
from acceptance import target as targets
from acceptance.access import Access
from acceptance.doctor import Examination, examine
from acceptance.facts.base import Fact, Noun, Unavailable
from acceptance.facts.catalogue import NOUNS
from acceptance.guard.commands import Call
from acceptance.guard.parameters import look_up
from acceptance.ledger import Ledger
from acceptance.position import Position
from acceptance.secrets import Redactor, Secrets
from acceptance.target import Target
from acceptance.transports.host import Result
from acceptance.transports.http import Http
from rehearsal.client import Rehearsal

REPOSITORY = Path(__file__).parent.parent
PLAN = checklist.load()
WRITTEN = {"phase1_preflight", "phase1_verify", "env", "cutover", "readiness"}


@pytest.fixture(scope="module")
def target(rehearsal: Rehearsal) -> Target:
    return targets.load(rehearsal.target_file)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A directory to start from, with an empty home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


# What a fact needs


@pytest.mark.parametrize(
    ("fact", "needed"),
    [
        ("builds", {"gitea"}),
        ("pages", {"crm", "browser", "secret.sign_in"}),
        ("redirect", {"crm", "root"}),
        ("release", {"gitea", "registry"}),
        ("schema", {"postgres", "manifest", "engine"}),
    ],
)
def test_sources_of_a_fact_and_of_those_it_is_made_from(fact: str, needed: set[str]) -> None:
    assert sources.of([fact], NOUNS) == needed


def test_every_fact_has_a_source() -> None:
    bare = {name for name in NOUNS if not sources.of([name], NOUNS)}
    assert bare == {"outside"}, "what only knocks at ports needs nothing of the target"


LOOKING: ContextVar[str] = ContextVar("noun", default="")
"""Whose look is under way."""

TRANSPORTS = {
    "host": "server",
    "tls": "crm",
    "websocket": "crm",
    "browser": "browser",
    "registry": "registry",
    "postgres": "postgres",
    "redis": "redis",
    "storage": "storage",
    "dns": "dns",
}
"""What an attribute of `Access` leads to."""

LOCAL = {"manifest", "website-file", "documents"}
"""Files of the operator, which no transport reads."""


class Recording(Access):
    """Notes which sources each noun's look touches."""

    touched: ClassVar[defaultdict[str, set[str]]] = defaultdict(set)

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401 - any attribute's
        if name in TRANSPORTS:
            self.touched[LOOKING.get()].add(TRANSPORTS[name])
        return super().__getattribute__(name)

    def site(self, name: str) -> Http:
        self.touched[LOOKING.get()].add(name)
        return super().site(name)

    def secret(self, reference: str) -> str:
        known = {"health.secret", "sign_in.email", "sign_in.password"}
        keys = {key for key in known if look_up(self.target, key) == reference}
        self.touched[LOOKING.get()] |= {f"secret.{key.partition('.')[0]}" for key in keys}
        return super().secret(reference)

    def note(self, calls: Iterable[Call]) -> None:
        """Note what commands need besides the login."""
        for each in calls:
            keys = {key for parameter in each.command.parameters for key in parameter.keys}
            found = {"root"} if each.command.privileged else set()
            self.touched[LOOKING.get()] |= found | ({"engine"} if "server.tools.docker" in keys else set())


def noted(noun: Noun) -> Noun:
    """Return the noun with a collector that says whose look it is."""

    async def collect(access: Access) -> Fact:
        LOOKING.set(noun.name)
        return await noun.collect(access)

    return replace(noun, collect=collect)


def test_a_look_touches_what_its_noun_declares(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl", Redactor())
    allowed = guard.Guard(ledger, guard.Approvals(guard.actions()), target)
    nouns = {name: noted(noun) for name, noun in NOUNS.items()}

    async def look() -> tuple[Recording, dict[str, Fact | Unavailable]]:
        access = Recording(target, Secrets(Redactor()), allowed, ledger, nouns, watch_s=0.1)
        run = access.host.run

        async def noting(*calls: Call) -> tuple[Result, ...]:
            access.note(calls)
            return await run(*calls)

        monkeypatch.setattr(access.host, "run", noting)
        try:
            return access, await access.collect(nouns)
        finally:
            await access.close()

    access, facts = asyncio.run(look())
    ledger.close()
    known = {source.name: source for source in probes.all_of(target, Position(1))}
    for name, fact in facts.items():
        named = sources.of([name], NOUNS)
        reach = doctor.closed(named, known) | named
        assert access.touched[name] <= reach, name
        assert isinstance(fact, Unavailable) or {*NOUNS[name].sources} - LOCAL <= access.touched[name], name


def test_every_gate_with_checks_is_planned() -> None:
    gates = {gate.name: gate for gate in doctor.plan(PLAN, Position(1))}
    assert {name for name, gate in gates.items() if gate.sources} == WRITTEN
    assert {"gitea", "registry", "storage", "dns", "root"} <= gates["phase1_preflight"].sources
    assert "browser" in gates["phase1_verify"].sources
    assert "browser" not in gates["phase1_preflight"].sources
    assert {name for name, gate in gates.items() if "stage" in gate.sources} == {"cutover", "readiness"}


# On the rehearsal


@pytest.mark.user
def test_nothing_is_missing_on_the_rehearsal(
    rehearsal: Rehearsal, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["doctor", "--target", str(rehearsal.target_file)]) == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    assert "✗" not in told
    assert told.endswith("Nothing is missing.\n")


def test_the_same_as_json(
    rehearsal: Rehearsal, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = []
    monkeypatch.setattr(Ledger, "record", lambda *_, kind="read", **__: kinds.append(kind))
    assert cli.main(["doctor", "--json", "--target", str(rehearsal.target_file)]) == 0
    assert set(kinds) == {"read"}
    found = json.loads(capsys.readouterr().out)
    assert (found["target"], found["complete"]) == ("rehearsal", True)
    assert {each["state"] for each in found["sources"]} == {"readable"}
    gates = {each["gate"]: each for each in found["gates"]}
    assert gates["readiness"] == {"gate": "readiness", "complete": True, "missing": [], "planned": 0}
    assert gates["phase2_backup"]["planned"] > 0


def altered(rehearsal: Rehearsal, **sections: dict[str, Any] | None) -> Target:
    """Return the rehearsal's target with other values; a section that is None is left out."""
    document = tomllib.loads(rehearsal.target_file.read_text(encoding="utf-8"))
    for name, values in sections.items():
        if values is None:
            del document[name]
        else:
            document[name] = {**document[name], **values}
    return Target.model_validate(document)


def told(found: Examination) -> dict[str, str]:
    """Return what was said of each source that cannot be read."""
    return {
        name: f"{finding.told} → {finding.remedy}"
        for name, finding in found.findings.items()
        if finding.state != "readable"
    }


def test_each_missing_thing_is_one_sentence_and_what_to_do(
    rehearsal: Rehearsal, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "LIMIT_S", 1.0)
    monkeypatch.setenv("CHROME", "no-such-browser")
    wrong = here / "wrong"
    wrong.write_text("0123456789abcdef0123456789abcdef01234567")
    broken = altered(
        rehearsal,
        gitea={"token": f"file:{wrong}"},
        registry={"username": "matt", "password": f"file:{wrong}"},
        health={"secret": "env:PN_NOT_SET"},
        sign_in={"email": f"file:{here}/nowhere", "password": "cmd:false"},
        storage={"secret_key": f"file:{wrong}", "access_key": "cmd:sleep 60"},
        redis={"password": "env:PN_NEITHER"},
        database_schema={"manifest": "gone.json"},
        server={"identity": "~/.ssh/none", "host_key": None, "known_hosts": "~/.ssh/known_hosts"},
        website=None,
    ).model_copy(update={"documents": ()})
    found = examine(broken, PLAN, Position())
    said = told(found)
    wanted = {
        "secret.health.secret": "the secret env:PN_NOT_SET is not set → export PN_NOT_SET before the run",
        "secret.sign_in.email": "cannot be read (No such file or directory) → create the file or correct",
        "secret.sign_in.password": "the secret command false did not answer",
        "secret.storage.access_key": "no answer within 1 s → try it by hand",
        "storage": "not tried: it needs secret storage.access_key",
        "gitea": "HTTP 401, the token is refused: unknown, revoked or expired → check gitea.token",
        "registry": "refuses",
        "manifest": "there is no schema manifest gone.json → make one",
        "documents": "the target file names no document → name the plan",
        "website": "the target file has no [website] → describe it there",
        "browser": "CHROME=no-such-browser is no program",
        "key": "there is no key file ~/.ssh/none → put it there, or correct server.identity",
        "host-key": "no host key of [127.",
        "server": "not tried: it needs SSH key",
        "redis": "not tried: it needs Docker engine, secret redis.password",
        "stage": "no stage of the cutover is declared → give --stage 0 to 5",
    }
    assert {name: said.get(name) for name, words in wanted.items() if words not in said.get(name, "")} == {}
    assert {"crm", "dns"} <= found.findings.keys() - said.keys()
    gates = {gate.name: {one.source.name for one in found.missing(gate)} for gate in found.gates}
    assert "manifest" in gates["phase1_verify"] - gates["phase1_preflight"]
    assert "website" in gates["cutover"] - gates["phase1_verify"]
    assert not found.is_complete


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ({"port": 9}, "refused the connection → check that sshd runs there"),
        ({"user": "nobody-of-this-name"}, "the server refused the key"),
        ({"host_key": "not a key"}, "server.host_key is no public key"),
    ],
)
def test_the_way_onto_the_server(rehearsal: Rehearsal, server: dict[str, Any], words: str) -> None:
    said = told(examine(altered(rehearsal, server=server), PLAN, Position(1)))
    assert words in f"{said.get('server')} {said.get('host-key')}"
    assert said["engine"].startswith("not tried: it needs ")


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's rehearsal has no way up to root")
def test_a_wrong_root_password(rehearsal: Rehearsal, here: Path) -> None:
    (here / "password").write_text("wrong")
    privilege = {"method": "su", "password": f"file:{here}/password"}
    said = told(examine(altered(rehearsal, server={"privilege": privilege}), PLAN, Position(1)))
    assert said["root"].startswith("no root privilege: ")
    assert "server" not in said


def test_an_answer_is_readable_whatever_it_says(rehearsal: Rehearsal) -> None:
    rehearsal.inject("container-app-stopped")
    try:
        found = examine(targets.load(rehearsal.target_file), PLAN, Position(1))
    finally:
        rehearsal.revert("container-app-stopped")
    assert found.findings["crm"].told.endswith("HTTP 502")
    assert found.is_complete


# Out of reach


def isolated(*arguments: str) -> list[str]:
    """Return a command that runs in a network namespace of its own, which has no way out."""
    own = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*own, "true"], check=False).returncode != 0:
        pytest.skip("no network namespace can be made here")
    return [*own, *arguments]


def test_production_out_of_reach(here: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(here / "key")], check=True)
    public = " ".join((here / "key.pub").read_text().split()[:2])
    (here / "secret").write_text("long enough for a secret")
    text = (REPOSITORY / "targets" / "production.toml").read_text(encoding="utf-8")
    lines = [
        line.partition("env:PN_")[0] + f'file:{here}/secret"' if '"env:PN_' in line else line
        for line in text.splitlines()
    ]
    filled = "\n".join(lines).replace("~/.ssh/id_ed25519_2026", str(here / "key"))
    filled = filled.replace("[server]\n", f'[server]\nhost_key = "{public}"\n', 1)
    (here / "copy.toml").write_text(filled)
    command = [sys.executable, "-m", "acceptance.cli", "doctor", "--target", "copy.toml", "--json"]
    done = subprocess.run(
        isolated(*command, "--stage", "1"),
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (10, "")
    found = {each["name"]: each for each in json.loads(done.stdout)["sources"]}
    assert {each["state"] for name, each in found.items() if name.startswith("secret.")} == {"readable"}
    assert found["server"]["told"] == "no SSH login: there is no route to 45.142.177.246:22022"
    assert found["engine"]["state"] == "not tried"
    for name in ("crm", "website", "gitea", "registry", "storage", "dns"):
        assert found[name]["state"] == "missing", name
        assert found[name]["remedy"], name
