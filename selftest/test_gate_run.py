"""The gate as its user runs it: exit codes, verdict files, narrowing, kills, and no secret anywhere."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from acceptance import target as targets
from acceptance.cli import main
from acceptance.facts.catalogue import NOUNS
from rehearsal.client import Rehearsal
from selftest import warm

REPOSITORY = Path(__file__).parent.parent
GATE = "phase1_verify"


@dataclass(frozen=True)
class Run:
    code: int
    output: str
    reports: Path

    @property
    def bundle(self) -> Path:
        return max(self.reports.glob("*/2*"), key=lambda path: path.name)

    @property
    def verdict(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.bundle / "verdict.json").read_text(encoding="utf-8"))
        return document

    def outcomes(self) -> dict[str, str]:
        return {item["id"]: item["outcome"] for item in self.verdict["items"]}

    def item(self, item_id: str) -> dict[str, Any]:
        return next(item for item in self.verdict["items"] if item["id"] == item_id)


def _command(reports: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--reports", str(reports), *arguments]


def run(reports: Path, *arguments: str, **environment: str) -> Run:
    quietly = ("-p", "no:cacheprovider", "--reports", str(reports))
    done = warm.run("pytest", *quietly, *arguments, environment=environment)
    return Run(done.returncode, done.stdout + done.stderr, reports)


def run_at_a_shell(reports: Path, *arguments: str, **environment: str) -> Run:
    done = subprocess.run(
        _command(reports, *arguments),
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Run(done.returncode, done.stdout + done.stderr, reports)


@contextmanager
def injected(rehearsal: Rehearsal, fault: str) -> Iterator[None]:
    rehearsal.inject(fault)
    try:
        yield
    finally:
        rehearsal.revert(fault)


@pytest.fixture(scope="module")
def healthy(rehearsal: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Run:
    reports = tmp_path_factory.mktemp("healthy")
    return run_at_a_shell(reports, "-m", GATE, "--target", str(rehearsal.target_file))


@pytest.mark.user
def test_a_healthy_rehearsal_passes_all_that_is_checked(healthy: Run) -> None:
    planned = {item["id"] for item in healthy.verdict["items"] if item["reason"] == "planned"}
    others = {item: outcome for item, outcome in healthy.outcomes().items() if item not in planned}
    assert set(others.values()) == {"pass"}
    assert healthy.verdict["verdict"] == ("HOLD" if planned else "GO")
    assert healthy.code == (10 if planned else 0)


def test_the_verdict_file_has_its_form(healthy: Run) -> None:
    document = healthy.verdict
    assert document["schema"] == 1
    assert document["gate"] == GATE
    assert document["target"] == "rehearsal"
    assert document["rehearsal"] is True
    assert document["started"] < document["finished"]
    assert {"id", "severity", "outcome", "reason", "checks"} <= set(document["items"][0])


def test_every_report_is_there(healthy: Run) -> None:
    names = {path.name for path in healthy.bundle.iterdir()}
    assert {"signoff.html", "report.html", "verdict.json", "junit.xml", "ledger.jsonl"} <= names
    assert "REHEARSAL — not evidence about production" in healthy.output
    assert str(healthy.bundle) in healthy.output


def test_the_ledger_names_every_action(healthy: Run) -> None:
    lines = [json.loads(line) for line in (healthy.bundle / "ledger.jsonl").read_text("utf-8").splitlines()]
    assert {line["transport"] for line in lines} >= {"ssh", "http", "websocket", "tls", "postgres"}
    assert {line["name"] for line in lines if line["kind"] == "mutation"} == {"sign-in", "nginx-test"}
    assert sum(line["name"] == "ssh-login" for line in lines) == 1


def shown_secrets(rehearsal: Rehearsal, text: str) -> list[str]:
    """Return the beginnings of the rehearsal's own secrets that a text holds."""
    directory = rehearsal.target_file.parent / "secrets"
    secrets = [path.read_text("utf-8").strip() for path in directory.iterdir() if path.is_file()]
    env = (rehearsal.target_file.parent / "host/opt/pn-crm/.env").read_text("utf-8")
    secrets += [
        line.split("=", 1)[1]
        for line in env.splitlines()
        if any(w in line for w in ("SECRET", "PASSWORD", "KEY="))
    ]
    return [secret[:4] for secret in secrets if len(secret) > 10 and "@" not in secret and secret in text]


def everything_in(bundle: Path) -> str:
    return "".join(path.read_text("utf-8", "replace") for path in bundle.rglob("*") if path.is_file())


@pytest.mark.user
def test_no_secret_is_in_any_artefact(healthy: Run, rehearsal: Rehearsal) -> None:
    assert shown_secrets(rehearsal, healthy.output + everything_in(healthy.bundle)) == []


@pytest.mark.user
def test_a_failed_blocker_is_no_go(rehearsal: Rehearsal, tmp_path: Path) -> None:
    with injected(rehearsal, "health-degraded"):
        done = run(tmp_path, "-m", GATE, "--target", str(rehearsal.target_file))
    assert done.code == 1
    assert done.verdict["verdict"] == "NO-GO"
    assert done.item("health.public")["outcome"] == "fail"
    assert "degraded" in done.item("health.public")["reason"]
    tree = ET.parse(done.bundle / "junit.xml")
    failed = [case for case in tree.iter("testcase") if case.find("failure") is not None]
    assert [case.get("classname") for case in failed] == ["health"]
    for expected in ("expected", "seen", "where", "again"):
        assert expected in done.output


def test_a_failed_advisory_does_not_change_the_verdict(
    rehearsal: Rehearsal, tmp_path: Path, healthy: Run
) -> None:
    with injected(rehearsal, "tls-hsts-missing"):
        done = run(tmp_path, "-m", GATE, "--target", str(rehearsal.target_file))
    assert done.item("tls.hsts")["outcome"] == "warn"
    assert done.verdict["verdict"] == healthy.verdict["verdict"]
    assert done.code == healthy.code


@pytest.mark.parametrize(
    ("fault", "unknown", "known"),
    [
        ("source-sshd-stopped", "containers.running", "health.public"),
        ("source-intake-secret-unset", "health.authenticated", "health.public"),
        ("source-postgres-unreachable", "logs.no-42703", "containers.running"),
    ],
)
def test_a_source_out_of_reach_is_hold_with_a_reason(
    rehearsal: Rehearsal, tmp_path: Path, fault: str, unknown: str, known: str
) -> None:
    with injected(rehearsal, fault):
        done = run(tmp_path, "-m", GATE, "--target", str(rehearsal.target_file))
    assert done.code == 10
    assert done.verdict["verdict"] == "HOLD"
    assert done.item(unknown)["outcome"] == "unknown"
    assert done.item(unknown)["reason"]
    assert done.item(known)["outcome"] == "pass"
    assert "fail" not in done.outcomes().values()


def test_without_approvals_nothing_is_changed(rehearsal: Rehearsal, tmp_path: Path) -> None:
    done = run(tmp_path, "-m", GATE, "--target", str(rehearsal.target_file), "--no-approvals")
    ledger = [json.loads(line) for line in (done.bundle / "ledger.jsonl").read_text("utf-8").splitlines()]
    assert [line for line in ledger if line["kind"] == "mutation"] == []
    assert done.item("realtime.namespace")["outcome"] == "unknown"
    assert "needs approval: sign-in" in done.item("realtime.namespace")["reason"]
    assert done.item("nginx.valid")["outcome"] == "pass"


def test_a_narrowed_selection_is_hold_at_best(rehearsal: Rehearsal, tmp_path: Path) -> None:
    done = run(tmp_path, "-m", GATE, "--target", str(rehearsal.target_file), "-k", "test_api")
    assert done.code == 10
    assert "narrowed by -k" in done.verdict["reason"]
    assert done.outcomes()["api.berths"] == "pass"
    assert done.outcomes()["nginx.valid"] == "not-run"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no gate is named; use -m with one of: phase1_preflight, phase1_verify"),
        (("-m", "phase1"), "'phase1' is not a gate"),
        (("-m", f"{GATE} and not x"), "is not a gate"),
        (("-m", GATE, "--target", "nowhere"), "there is no such target"),
        (("-m", GATE, "--target", "./nowhere.toml"), "there is no such file"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_4(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = run(tmp_path, *arguments)
    assert done.code == 4
    assert said in done.output
    assert "Traceback" not in done.output
    assert not list(tmp_path.iterdir())


def test_an_unknown_action_is_exit_code_4(rehearsal: Rehearsal, tmp_path: Path) -> None:
    done = run(tmp_path, "-m", GATE, "--target", str(rehearsal.target_file), "--approve", "reboot")
    assert done.code == 4
    assert "there is no such action; use one of nginx-test, sign-in" in done.output
    assert done.verdict["verdict"] == "HOLD"


def test_the_latest_report_is_the_newest_look(healthy: Run) -> None:
    assert (healthy.reports / "latest").resolve() == healthy.bundle


def test_what_cannot_be_reported_is_no_go_ahead(rehearsal: Rehearsal, tmp_path: Path) -> None:
    broken = tmp_path / "broken_report.py"
    broken.write_text(
        "from acceptance.report import signoff\n"
        "def fail(*_):\n    raise OSError('no space left on device')\n"
        "signoff.render = fail\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        _command(
            tmp_path / "reports", "-m", GATE, f"--target={rehearsal.target_file}", "-p", "broken_report"
        ),
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode not in (0, 10)
    document = json.loads((tmp_path / "reports" / "latest" / "verdict.json").read_text(encoding="utf-8"))
    assert document["verdict"] == "HOLD"
    assert document["finished"] is None


def test_stopping_at_the_first_trouble_is_no_verdict_of_its_own(rehearsal: Rehearsal, tmp_path: Path) -> None:
    with injected(rehearsal, "source-sshd-stopped"):
        done = run(tmp_path, "-m", GATE, "--target", str(rehearsal.target_file), "-x")
    assert done.verdict["verdict"] == "HOLD"
    assert done.code == 10


def test_a_check_without_a_claim_passes_nothing(rehearsal: Rehearsal, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["acceptance.plugin"]\n', encoding="utf-8")
    check = tmp_path / "test_own.py"
    check.write_text(
        'import pytest\n@pytest.mark.item("nginx.enabled")\ndef test_nothing():\n    pass\n', encoding="utf-8"
    )
    own = ["--rootdir", str(REPOSITORY), "-c", str(REPOSITORY / "pytest.ini"), str(check)]
    done = run(tmp_path / "r", "-m", GATE, "--target", str(rehearsal.target_file), *own)
    assert done.item("nginx.enabled")["outcome"] == "unknown"
    assert "made no claim" in done.item("nginx.enabled")["reason"]


def test_a_killed_run_leaves_what_it_saw_and_is_hold_incomplete(
    rehearsal: Rehearsal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = subprocess.Popen(
        _command(tmp_path, "-m", GATE, "--target", str(rehearsal.target_file), "--watch", "10m"),
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    bundle = tmp_path / "latest"
    deadline = time.monotonic() + 60
    while not (bundle / "facts/containers.json").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    document = json.loads((bundle / "verdict.json").read_text(encoding="utf-8"))
    assert document["verdict"] == "HOLD"
    assert "incomplete" in document["reason"]
    assert document["finished"] is None
    assert {item["outcome"] for item in document["items"]} == {"not-run"}
    assert NOUNS["containers"].model.model_validate(
        json.loads((bundle / "facts/containers.json").read_text(encoding="utf-8"))["value"]
    )
    ledger = (bundle / "ledger.jsonl").read_text("utf-8").splitlines()
    assert "ssh-login" in {json.loads(line)["name"] for line in ledger}
    assert targets.Target.model_validate_json((bundle / "target.json").read_bytes()).rehearsal
    assert main(["verify", str(bundle)]) == 1
    assert capsys.readouterr().out.startswith("incomplete (killed run)")
    assert shown_secrets(rehearsal, everything_in(bundle.resolve())) == []


def test_an_interrupted_run_is_hold_incomplete(rehearsal: Rehearsal, tmp_path: Path) -> None:
    process = subprocess.Popen(
        _command(tmp_path, "-m", GATE, "--target", str(rehearsal.target_file)),
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    ledger = tmp_path / "latest" / "ledger.jsonl"
    deadline = time.monotonic() + 60
    while not (ledger.is_file() and ledger.read_text("utf-8")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 2
    document = json.loads((tmp_path / "latest" / "verdict.json").read_text(encoding="utf-8"))
    assert document["verdict"] == "HOLD"
    assert "incomplete" in document["reason"]


def test_collecting_only_and_the_suites_own_tests_are_left_alone(tmp_path: Path) -> None:
    collected = run_at_a_shell(tmp_path, "--collect-only", "-q", "-m", GATE)
    assert collected.code == 0
    own = run_at_a_shell(tmp_path, "-q", "selftest/test_verdict.py")
    assert own.code == 0
    assert "passed" in own.output
    assert not list(tmp_path.iterdir())


def test_the_hosts_modules_work_over_the_same_login(rehearsal: Rehearsal, tmp_path: Path) -> None:
    check = tmp_path / "test_own.py"
    check.write_text(
        "import pytest\n"
        "from acceptance.check import verify\n"
        "from acceptance.facts.base import Source\n"
        '@pytest.mark.item("nginx.enabled")\n'
        "def test_service(host, target):\n"
        '    """testinfra on our backend."""\n'
        '    source = Source(where="host", again="systemctl")\n'
        '    verify(host.service("nginx").is_running, expected="running", seen="no", source=source)\n'
        '    verify(host.file(target.nginx.config).is_file, expected="a file", seen="none", source=source)\n',
        encoding="utf-8",
    )
    configuration = ["--rootdir", str(REPOSITORY), "-c", str(REPOSITORY / "pytest.ini")]
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["acceptance.plugin"]\n', encoding="utf-8")
    own = [*configuration, str(check)]
    done = run(tmp_path / "reports", "-m", GATE, "--target", str(rehearsal.target_file), *own)
    assert done.item("nginx.enabled")["outcome"] == "pass", done.output
    ledger = (done.bundle / "ledger.jsonl").read_text("utf-8")
    assert ledger.count('"ssh-login"') == 1
