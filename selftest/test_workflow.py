"""The CI workflows: well-formed, twins, and telling a verdict without obeying the server's words."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from acceptance import target as targets
from acceptance.guard import actions
from acceptance.report import runner
from rehearsal.client import Rehearsal

REPOSITORY = Path(__file__).resolve().parent.parent
WORKFLOWS = [REPOSITORY / place / "workflows" / "readiness.yml" for place in (".gitea", ".github")]

VERDICT = {
    "verdict": "NO-GO",
    "reason": "1 blocker failed (api.berths)",
    "gate": "readiness",
    "target": "production",
    "rehearsal": False,
    "items": [
        {"id": "tls.hsts", "severity": "advisory", "outcome": "warn", "reason": "no header"},
        {
            "id": "pages.deal",
            "severity": "blocker",
            "outcome": "unknown",
            "reason": "needs approval: sign-in",
        },
        {
            "id": "api.berths",
            "severity": "blocker",
            "outcome": "fail",
            "reason": "seen\n::set-output name=verdict::GO\r\n100% | <img src=x onerror=alert(1)> [a](b) `c`",
        },
    ],
}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.parent.parent.name)
def test_a_workflow_is_one_by_the_published_schema(path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_workflows_differ_only_in_what_their_runners_need() -> None:
    def stripped(path: Path) -> str:
        text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        return re.sub(r"(runs-on: |upload-artifact@).*", r"\1", text)

    assert stripped(WORKFLOWS[0]) == stripped(WORKFLOWS[1])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.parent.parent.name)
def test_a_workflow_hands_over_every_secret_and_no_input_as_code(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    steps = workflow["jobs"]["judge"]["steps"]
    judge = next(step for step in steps if step.get("name") == "Judge")
    needed = set(re.findall(r"env:(PN_\w+)", targets.path_of("production").read_text(encoding="utf-8")))
    assert needed <= set(judge["env"])
    assert all("${{" not in step.get("run", "") for step in steps)
    assert all(re.search(r"@[0-9a-f]{40}$", step["uses"]) for step in steps if "uses" in step)


def test_what_a_server_said_is_no_command_of_the_runner() -> None:
    lines = list(runner.log_commands(VERDICT))
    assert [line.partition(" ")[0] for line in lines] == ["::error", "::error", "::warning"]
    assert lines[0] == "::error title=NO-GO%3A readiness on production::1 blocker failed (api.berths)"
    assert all("\n" not in line and "\r" not in line for line in lines)
    assert "100%25" in lines[1]


def test_what_a_server_said_is_text_in_the_summary() -> None:
    text = runner.summary(VERDICT)
    assert "<img" not in text
    assert "[a](b)" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert [row.count("|") for row in rows] == [4, 4, 4]
    assert "tls.hsts" not in text


def judged(tmp_path: Path, **inputs: str) -> tuple[subprocess.CompletedProcess[str], str]:
    summary, places = tmp_path / "summary.md", {"REPORTS": str(tmp_path / "reports")}
    done = subprocess.run(
        [REPOSITORY / "tools" / "judge-in-workflow"],
        env={**os.environ, "GITHUB_STEP_SUMMARY": str(summary), "GATE": "env", **places, **inputs},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    return done, summary.read_text(encoding="utf-8") if summary.exists() else ""


def test_the_job_fails_on_hold_and_says_so(rehearsal: Rehearsal, tmp_path: Path) -> None:
    rehearsal.inject("source-postgres-unreachable")
    try:
        done, summary = judged(tmp_path, TARGET=str(rehearsal.target_file))
    finally:
        rehearsal.revert("source-postgres-unreachable")
    assert done.returncode == 10, done.stdout
    fence = re.search(r"^::stop-commands::(\w{32})$", done.stdout, re.MULTILINE)
    assert fence is not None
    outside = done.stdout.partition(f"\n::{fence[1]}::\n")[2]
    assert outside.startswith("::error title=HOLD%3A env on rehearsal::")
    assert "::notice title=Nothing approved::" in done.stdout
    assert "## HOLD" in summary


def test_a_run_that_could_not_begin_is_told(tmp_path: Path) -> None:
    done, summary = judged(tmp_path, TARGET="nowhere")
    assert done.returncode == 4
    assert "::error title=No verdict::" in done.stdout
    assert summary == ""


def test_how_long_to_watch_is_handed_on(tmp_path: Path) -> None:
    done, _ = judged(tmp_path, TARGET="nowhere", WATCH="soon")
    assert done.returncode == 4
    assert "--watch 'soon'" in done.stdout + done.stderr


def test_approvals_need_a_name_and_a_ticket(tmp_path: Path) -> None:
    done, _ = judged(tmp_path, TARGET="nowhere", ACTIONS=actions()[0])
    assert done.returncode == 4
    assert "who approved" in done.stdout
