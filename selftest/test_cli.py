"""`acceptance rehearse`, as an operator and other programs use it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from acceptance import checklist, target
from acceptance.cli import main
from acceptance.transports.http import trust
from rehearsal.faults.catalogue import FAULTS

REPOSITORY = Path(__file__).parent.parent


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "acceptance.cli", "rehearse", *arguments]


@contextmanager
def kept(target_file: Path, *faults: str) -> Iterator[subprocess.Popen[str]]:
    named = [word for fault in faults for word in ("--fault", fault)]
    process = subprocess.Popen(
        _command("--keep", "--stage", "2", *named, "--target-file", str(target_file)),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert any(line.startswith("ready:") for line in process.stdout)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


def _health(path: Path) -> httpx.Response:
    judged = target.load(path)
    endpoint = judged.public.https
    with httpx.Client(verify=trust(judged.public.ca_file), trust_env=False) as client:
        return client.get(
            f"https://{endpoint.address}:{endpoint.port}{judged.health.path}",
            headers={"host": judged.public.name},
            extensions={"sni_hostname": judged.public.name},
        )


@pytest.mark.user
def test_a_kept_rehearsal_is_a_target_and_can_be_stopped(tmp_path: Path) -> None:
    target_file = tmp_path / "kept.toml"
    with kept(target_file, "health-degraded") as process:
        root = target_file.resolve().parent
        assert _health(target_file).json()["status"] == "degraded"
        assert target.load(target_file).stage == 2
        stopped = subprocess.run(_command("--stop", str(target_file)), cwd=REPOSITORY, check=False)
        assert stopped.returncode == 0
        assert process.wait(timeout=30) == 0
    assert not target_file.exists()
    assert not root.exists()


def test_an_interrupt_ends_it(tmp_path: Path) -> None:
    target_file = tmp_path / "kept.toml"
    with kept(target_file) as process:
        root = target_file.resolve().parent
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    assert not target_file.is_symlink()
    assert not root.exists()


def test_faults_are_listed_with_what_they_turn_red(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rehearse", "--list-faults", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {entry["name"] for entry in listed} == set(FAULTS)
    known = set(checklist.load().items)
    assert all(set(entry["reddens"]) <= known for entry in listed)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rehearse"], "give one of --keep, --stop FILE and --list-faults"),
        (["rehearse", "--keep"], "give --target-file FILE"),
        (["rehearse", "--keep", "--target-file", "x.toml", "--fault", "flood"], "there is no such fault"),
        (["rehearse", "--keep", "--target-file", "x.toml", "--stage", "6"], "the stages are 0 to 5"),
        (["rehearse", "--list-faults", "--stage", "2"], "it goes with --keep"),
        (["rehearse", "--stop", "nowhere.toml"], "there is no such file"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_4(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 4
    told = capsys.readouterr().err
    assert said in told
    assert len(told.strip().splitlines()) == 1


def test_an_existing_file_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    precious = tmp_path / "mine.toml"
    precious.write_text("mine", encoding="utf-8")
    assert main(["rehearse", "--keep", "--target-file", str(precious)]) == 4
    assert precious.read_text(encoding="utf-8") == "mine"
    assert "it exists already" in capsys.readouterr().err


def test_unknown_commands_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["levitate"])
    assert left.value.code == 4
    assert "levitate" in capsys.readouterr().err
