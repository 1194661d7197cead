"""Whatever pytest is asked to show, nothing that the redactor knows is in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from selftest.canaries import Scanner, secret

ROOT = Path(__file__).resolve().parent.parent

_PLUGIN = """\
import os
import pytest
from acceptance.outlets import Outlets
from acceptance.redaction import Redactor

TOLD = os.environ["TOLD"]

@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    redactor = Redactor()
    for name in ("LONG", "SHORT"):
        redactor.learn(name, os.environ[name])
    config.pluginmanager.register(Outlets(redactor))

def pytest_unconfigure():
    if os.environ["END"] == "crash":
        raise RuntimeError(TOLD)
"""
_TESTS = """\
import logging, os, sys, threading, warnings
import pytest
from known import TOLD

def test_streams():
    print(TOLD)
    sys.stdout.writelines([TOLD, "\\n"])
    sys.stderr.write(TOLD)
    sys.stdout.buffer.write(TOLD.encode())
    sys.stdout.buffer.flush()

def test_libraries():
    logging.getLogger("library").error("told %s", TOLD)
    logging.getLogger("library").error("told %d", TOLD)
    warnings.warn(TOLD)
    thread = threading.Thread(target=_break, args=(RuntimeError, TOLD))
    thread.start()
    thread.join()

def test_end():
    kinds = {"exit": pytest.exit.Exception, "interrupt": KeyboardInterrupt}
    if os.environ["END"] in kinds:
        _break(kinds[os.environ["END"]], TOLD)

def _break(kind, told):
    raise kind(told)
"""
LONG, SHORT = secret(), "aB3$x9Q"
LINES = "\n".join(LONG[start : start + 8] for start in range(0, len(LONG), 8))


@pytest.mark.parametrize(
    ("end", "shown"),
    [
        ("exit", ("-rA", "-vv", "--log-cli-level=DEBUG")),
        ("interrupt", ("-s", "--full-trace", "--showlocals")),
        ("exit", ("--capture=tee-sys", "-rA", "--full-trace")),
        ("interrupt", ("--debug=told", "--capture=sys", "--full-trace")),
        ("crash", ("-q",)),
    ],
)
def test_nothing_known_is_shown(tmp_path: Path, end: str, shown: tuple[str, ...]) -> None:
    (tmp_path / "known.py").write_text(_PLUGIN, encoding="utf-8")
    (tmp_path / "test_it.py").write_text(_TESTS, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    told = f"{SHORT} {LONG} {LINES}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "known", *shown],
        cwd=tmp_path,
        env={
            **os.environ,
            "LONG": LONG,
            "SHORT": SHORT,
            "TOLD": told,
            "END": end,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    debug = tmp_path / "told"
    output += debug.read_text(encoding="utf-8") if debug.exists() else ""
    assert done.returncode == (1 if end == "crash" else pytest.ExitCode.INTERRUPTED), output
    assert "«redacted: LONG»" in output
    assert SHORT not in output
    assert Scanner({"it": LONG}).leaks(output) == set()
