"""A verdict can be recomputed from its bundle, offline; waivers and baselines."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from acceptance.errors import UnavailableError
from acceptance.evidence.stored import Baseline, StoredBundle
from acceptance.evidence.verify import INCOMPLETE, verify
from acceptance.facts.catalogue import NOUNS
from rehearsal.client import Rehearsal
from selftest.test_gate_run import GATE, Run, injected, run, run_at_a_shell


@pytest.fixture(scope="module")
def degraded(rehearsal: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in which one blocker and one advisory fail, and one item is unknown."""
    with (
        injected(rehearsal, "health-degraded"),
        injected(rehearsal, "tls-hsts-missing"),
        injected(rehearsal, "source-registry-unreachable"),
    ):
        return run(tmp_path_factory.mktemp("degraded"), "-m", GATE, "--target", str(rehearsal.target_file))


def _replayed(bundle: Path, reports: Path, *arguments: str, **environment: str) -> Run:
    return run(reports, "-m", GATE, "--replay", str(bundle), *arguments, **environment)


def test_a_replay_gives_the_same_outcomes_and_exit_code(degraded: Run, tmp_path: Path) -> None:
    again = _replayed(degraded.bundle, tmp_path)
    assert again.code == degraded.code == 1
    assert again.outcomes() == degraded.outcomes()
    assert again.item("health.public")["reason"] == degraded.item("health.public")["reason"]
    assert "judged differently" not in again.output


def test_a_replay_needs_no_network(degraded: Run, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-m",
        GATE,
        f"--replay={degraded.bundle}",
        f"--reports={tmp_path}",
    ]
    offline = ["unshare", "--net", *command] if shutil.which("unshare") and _may_unshare() else command
    done = subprocess.run(
        offline, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == degraded.code
    assert next(tmp_path.glob("*/*-replay/ledger.jsonl")).read_text(encoding="utf-8") == ""


def _may_unshare() -> bool:
    return subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode == 0


def test_two_replays_give_the_same_reports_but_for_the_times(degraded: Run, tmp_path: Path) -> None:
    first, second = (
        _timeless(
            run_at_a_shell(
                tmp_path / seed, "-m", GATE, "--replay", str(degraded.bundle), PYTHONHASHSEED=seed
            ).bundle
        )
        for seed in "12"
    )
    assert set(first) >= {"signoff.html", "report.html", "junit.xml", "record.json", "verdict.json"}
    assert [name for name in first if first[name] != second[name]] == []


def _timeless(bundle: Path) -> dict[str, str]:
    """Return what a bundle's text files hold, without times, durations and what depends on them."""
    moment = r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*(?:Z| UTC|\+00:00)?"
    length = r"(?<=\"seconds\":)\s*[\d.e-]+|(?<=time=\")[\d.]+|\b\d+ ms\b|\b[\d.]+ s\b|\d\d:\d\d:\d\d"
    files = [path for path in bundle.rglob("*") if path.suffix in {".html", ".json", ".jsonl", ".xml"}]
    return {
        path.relative_to(bundle).as_posix(): re.sub(f"{moment}|{length}", "…", path.read_text("utf-8"))
        for path in files
        if path.name not in {"manifest.json", "statement.json"}
    }


def test_a_replay_that_is_killed_before_its_end_leaves_no_page_with_a_verdict(
    degraded: Run, tmp_path: Path
) -> None:
    (tmp_path / "killer.py").write_text(
        "import os, signal\ndef pytest_terminal_summary():\n    os.kill(os.getpid(), signal.SIGKILL)\n",
        encoding="utf-8",
    )
    again = _replayed(degraded.bundle, tmp_path / "r", "-p", "killer", PYTHONPATH=str(tmp_path))
    assert again.verdict["verdict"] == "HOLD"
    assert "incomplete" in again.verdict["reason"]
    assert not (again.bundle / "signoff.html").exists()
    assert verify(again.bundle).findings == (INCOMPLETE,)


def test_the_command_replays_too(degraded: Run) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "acceptance.cli", "replay", str(degraded.bundle)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == degraded.code
    assert f"replayed from {degraded.bundle.name}" in done.stdout


def test_an_edited_bundle_is_refused(degraded: Run, tmp_path: Path) -> None:
    copy = tmp_path / "edited"
    shutil.copytree(degraded.bundle, copy)
    path = copy / "facts" / "health.json"
    path.write_text(path.read_text(encoding="utf-8").replace("degraded", "ok"), encoding="utf-8")
    refused = _replayed(copy, tmp_path / "reports")
    assert refused.code == 4
    assert "facts/health.json" in refused.output
    assert not (tmp_path / "reports").exists()


def test_what_is_judged_differently_is_told(degraded: Run, tmp_path: Path) -> None:
    (tmp_path / "newer_suite.py").write_text(
        "from acceptance.facts.realtime import Opening\nOpening.opened = property(lambda _: False)\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-m", GATE, "-p", "newer_suite"),
            *(f"--replay={degraded.bundle}", f"--reports={tmp_path / 'reports'}"),
        ],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "judged differently than before: realtime.upgrade was pass, is fail" in " ".join(
        done.stdout.split()
    )
    assert not (tmp_path / "reports" / "latest").exists()


def test_a_narrowed_run_stays_hold(rehearsal: Rehearsal, tmp_path: Path) -> None:
    done = run(tmp_path / "a", "-m", GATE, "--target", str(rehearsal.target_file), "-k", "test_api")
    again = _replayed(done.bundle, tmp_path / "b")
    assert again.code == 10
    assert "narrowed" in again.verdict["reason"]


def test_what_is_no_bundle_is_exit_code_4(tmp_path: Path) -> None:
    nothing = _replayed(tmp_path, tmp_path / "reports")
    assert nothing.code == 4
    assert "not a finished bundle" in nothing.output


def test_a_baseline_tells_earlier_facts(degraded: Run) -> None:
    baseline = Baseline(StoredBundle(degraded.bundle), NOUNS)
    assert baseline.fact("health").model_dump()["public"]["state"] == "degraded"
    with pytest.raises(UnavailableError, match="no baseline was given"):
        Baseline(None, NOUNS).fact("health")
    other = Baseline(StoredBundle(degraded.bundle), {"weather": replace(NOUNS["health"], name="weather")})
    with pytest.raises(UnavailableError, match=r"in the baseline: .*holds no fact weather"):
        other.fact("weather")


def _waivers(directory: Path, expires: str, item: str = "health.public", target: str = "rehearsal") -> Path:
    path = directory / "waivers.toml"
    path.write_text(
        f'[[waiver]]\nitem = "{item}"\ntarget = "{target}"\nreason = "known, harmless"\n'
        f'ticket = "PN-7"\napprover = "Matt"\nexpires = {expires}\n',
        encoding="utf-8",
    )
    return path


def test_a_waived_check_runs_and_shows_its_true_outcome(degraded: Run, tmp_path: Path) -> None:
    waivers = _waivers(tmp_path, "2999-01-01T00:00:00Z")
    again = _replayed(degraded.bundle, tmp_path / "reports", "--waivers", str(waivers))
    item = again.item("health.public")
    assert (item["outcome"], item["true_outcome"]) == ("waived", "fail")
    assert "waived by Matt until 2999-01-01 00:00 UTC (PN-7): known, harmless" in item["waiver"]
    assert "health.public" not in again.verdict["reason"]
    assert "known, harmless" in (again.bundle / "signoff.html").read_text(encoding="utf-8")


def test_an_expired_waiver_is_ignored_with_a_warning(degraded: Run, tmp_path: Path) -> None:
    waivers = _waivers(tmp_path, "2020-01-01T00:00:00Z")
    again = _replayed(degraded.bundle, tmp_path / "reports", "--waivers", str(waivers))
    assert again.item("health.public")["outcome"] == "fail"
    assert again.code == 1
    assert "the waiver of health.public expired on 2020-01-01" in " ".join(again.output.split())


def test_another_targets_waiver_does_not_count(degraded: Run, tmp_path: Path) -> None:
    waivers = _waivers(tmp_path, "2999-01-01T00:00:00Z", target="production")
    again = _replayed(degraded.bundle, tmp_path / "reports", "--waivers", str(waivers))
    assert again.item("health.public")["outcome"] == "fail"


@pytest.mark.parametrize(
    ("expires", "item", "said"),
    [
        ("2999-01-01T00:00:00Z", "health.absent", "there is no item health.absent"),
        ("2999-01-01T00:00:00", "health.public", "must have a time zone"),
        ('"soon"', "health.public", "expires"),
    ],
)
def test_a_wrong_waiver_is_exit_code_4(
    degraded: Run, tmp_path: Path, expires: str, item: str, said: str
) -> None:
    again = _replayed(degraded.bundle, tmp_path / "r", "--waivers", str(_waivers(tmp_path, expires, item)))
    assert again.code == 4
    assert said in again.output
    assert "Traceback" not in again.output
