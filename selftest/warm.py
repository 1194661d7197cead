"""Runs commands of the suite as processes of their own, forked from one that has loaded what they need.

Loading it takes longer than most of these runs. The rest is as at a shell: arguments, environment, working
directory, output and exit code. What is about the start of Python itself, or about signals, starts one.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from acceptance.argv import joined

REPOSITORY = Path(__file__).parent.parent

LONGEST_S = 180.0

_FORKED = multiprocessing.get_context("forkserver")
_FORKED.set_forkserver_preload(
    [
        *("_pytest.config", "_pytest.junitxml", "_pytest.python", "_pytest.terminal", "boto3"),
        *(
            "acceptance.access",
            "acceptance.evidence.bundle",
            "acceptance.facts.catalogue",
            "acceptance.judge",
        ),
        *("acceptance.report.signoff", "acceptance.verdict"),
    ]
)
"""Not what pytest rewrites, like `acceptance.plugin` and the checks, nor what is run: each run loads that."""


def run(
    module: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Do what `python -m MODULE ARGUMENTS…` does in the repository, and return how it ended.

    Args:
        environment: what is added to this process's.

    Raises:
        subprocess.TimeoutExpired: it did not end in time; it was killed.
    """
    words = joined(arguments)  # in separate words, pytest would begin again, and load everything
    variables = {**os.environ, **(environment or {})}
    with tempfile.TemporaryDirectory(prefix="warm-") as directory:
        out, err = Path(directory) / "out", Path(directory) / "err"
        process = _FORKED.Process(target=_become, args=(module, words, variables, out, err))
        process.start()
        process.join(LONGEST_S)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired([module, *words], LONGEST_S, _read(out), _read(err))
        return subprocess.CompletedProcess([module, *words], process.exitcode, _read(out), _read(err))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _become(module: str, arguments: list[str], variables: dict[str, str], out: Path, err: Path) -> None:
    for number, path, flags in (
        (0, Path(os.devnull), os.O_RDONLY),
        (1, out, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        (2, err, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(REPOSITORY)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as the process lives
    sys.path[:0] = [str(REPOSITORY), *filter(None, variables.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
