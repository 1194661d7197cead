"""Data flows one way: each layer knows only those below it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

JUDGING = (
    "acceptance.check",
    "acceptance.judge",
    "acceptance.outcome",
    "acceptance.verdict",
    "acceptance.run",
)
TELLING = ("acceptance.evidence", "acceptance.report", "acceptance.gate_run", "acceptance.plugin")
LOOKING = ("acceptance.access", "acceptance.transports", "acceptance.observer")

FORBIDDEN = {
    "acceptance/target.py": ("acceptance.guard", "acceptance.facts", *LOOKING, *JUDGING, *TELLING),
    "acceptance/guard": ("acceptance.facts", *LOOKING, *JUDGING, *TELLING),
    "acceptance/transports": ("acceptance.facts", "acceptance.access", *JUDGING, *TELLING),
    "acceptance/facts": ("acceptance.observer", *JUDGING, *TELLING),
    "acceptance/check.py": ("acceptance.guard", *LOOKING, *TELLING),
    "acceptance/verdict.py": ("acceptance.facts", "acceptance.guard", *LOOKING, *TELLING),
    "acceptance/evidence": ("acceptance.guard", "acceptance.report", "acceptance.gate_run", *LOOKING),
    "acceptance/report": ("acceptance.guard", "acceptance.gate_run", *LOOKING),
    "tests": ("acceptance.guard", *LOOKING, *TELLING),
}
"""What a layer may not import; apart from these everything below `acceptance` may be."""


def imported(path: Path) -> set[str]:
    """Return the modules a file imports when it is run; what only type checkers read does not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    return {
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }


def within(name: str, packages: tuple[str, ...]) -> bool:
    """Tell whether a module is one of the packages, or in one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def files(place: str) -> list[Path]:
    """Return the Python files of a layer."""
    path = REPOSITORY / place
    return [path] if path.suffix else sorted(path.rglob("*.py"))


@pytest.mark.parametrize("layer", FORBIDDEN)
def test_a_layer_knows_only_those_below_it(layer: str) -> None:
    found = {
        f"{path.relative_to(REPOSITORY)} imports {name}"
        for path in files(layer)
        for name in imported(path)
        if within(name, FORBIDDEN[layer])
    }
    assert found == set()


def test_the_suite_knows_nothing_of_the_rehearsal_until_one_is_asked_for() -> None:
    lazily = {"acceptance/observer.py", "acceptance/cli.py"}
    found = {
        str(path.relative_to(REPOSITORY))
        for path in [*files("acceptance"), *files("tests")]
        if any(within(name, ("rehearsal", "selftest", "benchmarks")) for name in imported(path))
    }
    assert found <= lazily
