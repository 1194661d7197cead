"""What must not be in the repository, and what its documents promise."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

MACHINE_PATHS = re.compile(
    rf"{re.escape(str(ROOT))}/|(?<![\w.<>])/(root/\.|(home|Users)/[a-z]+|tmp/\w*venv)(?![\w-])"
)
INDEX_ADDRESSES = re.compile(
    r"--(extra-)?index-url|find-links\s*[=:]|trusted-host|//(pypi\.|files\.pythonhosted|registry\.npm)"
    r"|deb\.debian\.org"
)
SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(\\n|\s)*[A-Za-z0-9+/]{40}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}"
    r"|\b(password|passwd|token)[\"']?\s*[:=]\s*[\"'](?!env:|file:|cmd:)[A-Za-z0-9+/]{24,}[\"']",
    re.IGNORECASE,
)


POSSESSIVE_GROUPS = re.compile(r"\)[?*+}]\+|\(\?>")
"""Python 3.11.2 (Debian 12) matches possessive groups wrongly: https://github.com/python/cpython/issues/106052."""


def _tracked() -> list[Path]:
    """Every file of the repository but this one, which holds what it looks for."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [
        path
        for name in listing.split("\0")
        if name and (path := ROOT / name).is_file() and path != Path(__file__)
    ]


def _hits(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    found = []
    for path in paths:
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in pattern.finditer(text)]
    return found


@pytest.mark.parametrize(
    ("pattern", "example"),
    [
        (MACHINE_PATHS, "see /home/alice/x"),
        (INDEX_ADDRESSES, "--index-url x"),
        (SECRETS, "password = '" + "a1" * 12 + "'"),
    ],
)
def test_the_patterns_find_what_they_look_for(pattern: re.Pattern[str], example: str) -> None:
    assert pattern.search(example)


@pytest.mark.parametrize(
    "pattern", [MACHINE_PATHS, INDEX_ADDRESSES, SECRETS], ids=["path", "index", "secret"]
)
def test_no_file_holds(pattern: re.Pattern[str]) -> None:
    assert _hits(pattern, _tracked()) == []


def test_locks_are_layered() -> None:
    names = {path.stem: set(_requirements(path)) for path in LOCKS}
    assert names["base"] < names["rehearsal"] < names["dev"]


def _requirements(lock: Path) -> list[str]:
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_locks_pin_every_package_by_version_and_hash(lock: Path) -> None:
    pinned = re.compile(r"[a-z0-9-]+==\S+( ; [^-]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert [line for line in _requirements(lock) if not pinned.fullmatch(line)] == []


def test_documents_name_only_targets_that_make_knows() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    known = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {
        name
        for path in DOCUMENTS
        for name in re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert {"rehearsal", "test"} <= named <= known


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{path.name}: {link}"
        for path in DOCUMENTS
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8"))
        if not (path.parent / link).exists()
    ]
    assert broken == []


def test_no_expression_needs_what_the_oldest_python_gets_wrong() -> None:
    assert POSSESSIVE_GROUPS.search(r"(?:bearer\s+)?+")
    product = [path for path in _tracked() if path.suffix == ".py" and ROOT / "acceptance" in path.parents]
    assert _hits(POSSESSIVE_GROUPS, product) == []
