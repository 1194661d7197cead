"""What an operator forgets: each is one clear sentence and what to do, in a gate and in the doctor."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from acceptance import cli
from acceptance import target as targets
from acceptance.cli_doctor import INCOMPLETE
from rehearsal.client import Rehearsal
from selftest import warm
from selftest.test_gate_run import Run, run

REPOSITORY = Path(__file__).parent.parent
PRODUCTION = REPOSITORY / "targets" / "production.toml"


@dataclass(frozen=True)
class Told:
    """What a command said, and its exit code."""

    code: int
    lines: list[str]


def gate(*arguments: str) -> Told:
    """Run a gate that must not begin."""
    done = warm.run("pytest", "-p", "no:cacheprovider", "-m", *arguments)
    assert "Traceback" not in done.stderr + done.stdout
    return Told(done.returncode, [line for line in done.stderr.splitlines() if line.strip()])


def ask_doctor(capsys: pytest.CaptureFixture[str], *arguments: str) -> Told:
    """Ask the doctor about something that cannot be looked at."""
    code = cli.main(["doctor", *arguments])
    told = capsys.readouterr()
    assert told.out == ""
    return Told(code, told.err.splitlines())


def half_filled(directory: Path) -> Path:
    """Write production's target file with values missing, misspelt and in the clear."""
    text = PRODUCTION.read_text(encoding="utf-8")
    for old, new in {
        'user = "stefan"\n': "",
        '[health]\npath = "/api/public/health"\n': "[health]\n",
        'secret = "env:PN_INTAKE_SECRET"\n': "",
        'vhost = "crm_portnimara.conf"': 'vhots = "crm_portnimara.conf"',
        "port = 22022": 'port = "ssh"',
        '"env:PN_DATABASE_PASSWORD"': '"the-password-itself"',
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    path = directory / "half.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_target_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    for told in (gate("env", "--target", "nowhere.toml"), ask_doctor(capsys, "--target", "nowhere.toml")):
        assert told.code == 4
        assert told.lines[-1].endswith(
            "--target nowhere.toml: there is no such file; give the path of a target file."
        )


def test_a_target_that_nobody_knows(capsys: pytest.CaptureFixture[str]) -> None:
    told = ask_doctor(capsys, "--target", "prod")
    assert told.code == 4
    assert "--target prod: there is no such target; use one of " in told.lines[-1]
    assert "production" in told.lines[-1]


def test_no_target_for_the_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert ask_doctor(capsys) == Told(
        4, ["acceptance: doctor: give --target NAME|FILE; targets/ holds those that are known by name."]
    )
    told = ask_doctor(capsys, "--target", "rehearsal")
    assert told.code == 4
    assert "acceptance rehearse --keep" in told.lines[-1]


def test_a_half_filled_target_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = half_filled(tmp_path)
    for told in (gate("env", "--target", str(path)), ask_doctor(capsys, "--target", str(path))):
        assert told.code == 4
        assert told.lines[0].endswith(f"{path}: 6 mistake(s) in the target file; correct them:")
        assert sorted(told.lines[1:]) == [
            "  health.secret: it is required and missing",
            "  nginx.vhost: it is required and missing",
            "  nginx.vhots: there is no such key",
            "  postgres.password: a secret must be a reference (env:NAME, file:PATH or cmd:COMMAND), "
            "never the value itself",
            "  server.port: Input should be a valid integer, unable to parse string as an integer",
            "  server.user: it is required and missing",
        ]


def test_a_file_that_is_not_toml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.toml"
    path.write_text('name = "x\n')
    told = ask_doctor(capsys, "--target", str(path))
    assert told.code == 4
    assert told.lines[-1].endswith("correct the file.")


def test_a_stage_that_is_not_declared_or_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    undeclared = gate("cutover", "--target", "production")
    assert undeclared.code == 4
    assert undeclared.lines[-1].endswith("give --stage 0 to 5, or `stage` in the target file.")
    told = ask_doctor(capsys, "--target", "production", "--stage", "6")
    assert told == Told(4, ["acceptance: doctor: --stage 6: the stages are 0 to 5; name one of them."])


# What shows only when the target is looked at


@pytest.fixture(scope="module")
def forgetful(rehearsal: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A target whose server does not answer, with an expired token and a secret that is not set."""
    directory = tmp_path_factory.mktemp("forgetful")
    (directory / "token").write_text("0123456789abcdef0123456789abcdef01234567")
    text = rehearsal.target_file.read_text(encoding="utf-8")
    judged = targets.load(rehearsal.target_file)
    assert judged.gitea is not None
    assert judged.storage is not None
    for old, new in {
        f"port = {judged.server.port}\n": "port = 9\n",
        str(judged.gitea.token): f"file:{directory}/token",
        judged.storage.secret_key: "env:PN_FORGOTTEN",
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    path = directory / "forgetful.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def examined(forgetful: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    assert cli.main(["doctor", "--json", "--target", str(forgetful)]) == INCOMPLETE
    return {each["name"]: each for each in json.loads(capsys.readouterr().out)["sources"]}


@pytest.fixture(scope="module")
def forgotten(forgetful: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    reports = tmp_path_factory.mktemp("reports")
    return run(reports, "-m", "phase1_preflight", "--target", str(forgetful))


@pytest.mark.parametrize(
    ("item", "source", "words"),
    [
        ("deploy.files", "server", ("refused the connection", "check that sshd runs there")),
        ("ci.main-green", "gitea", ("unknown, revoked or expired", "check gitea.token in the target file")),
        (
            "storage.private",
            "secret.storage.secret_key",
            ("the secret env:PN_FORGOTTEN is not set", "export PN_FORGOTTEN before the run"),
        ),
    ],
)
def test_a_gate_and_the_doctor_say_the_same(
    forgotten: Run, examined: dict[str, dict[str, str]], item: str, source: str, words: tuple[str, str]
) -> None:
    reason, remedy = words
    told = forgotten.item(item)
    assert (told["outcome"], reason in told["reason"]) == ("unknown", True), told
    assert remedy in " ".join(forgotten.output.split())
    assert reason in examined[source]["told"]
    assert remedy in examined[source]["remedy"]
