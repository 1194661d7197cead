"""Runs against a server that shows secrets and markup wherever it can: none comes out, and nothing acts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Browser

from acceptance.cli import main
from acceptance.evidence.record import RunRecord
from acceptance.report import pytest_html
from acceptance.report.text import visible
from selftest.canaries import Scanner, forms, secret
from selftest.hostile import MARKUP, Outcome, Runs
from selftest.visits import browser, told, visited, without_policy

GUISES = sorted(forms(secret()))
WAYS = ("showing", "refusing", "broken", "killed")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def afterwards(hostile_runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is made of the bundles afterwards: the comparison, and a decision."""
    showing, refusing = hostile_runs.showing.bundle, hostile_runs.refusing.bundle
    page = tmp_path_factory.mktemp("afterwards") / "diff.html"
    assert main(["diff", str(refusing), str(showing), "--all", "--html", str(page)]) == 1
    assert main(["signoff", str(showing), "--decision", "no-go", "--by", "<script>fired()</script>"]) == 0
    return page


@pytest.fixture(scope="module")
def pages(hostile_runs: Runs, afterwards: Path) -> dict[str, str]:
    """Every page that comes of it."""
    showing, refusing = hostile_runs.showing.bundle, hostile_runs.refusing.bundle
    places = {
        "showing signoff": showing / "signoff.html",
        "showing report": showing / "report.html",
        "refusing signoff": refusing / "signoff.html",
        "refusing report": refusing / "report.html",
        "decided": showing.with_name(f"{showing.name}.decision") / "signoff-decided.html",
        "diff": afterwards,
    }
    return {name: path.read_text(encoding="utf-8") for name, path in places.items()}


# --- secrets


def _run(runs: Runs, way: str) -> Outcome:
    found: Outcome = getattr(runs, way)
    return found


def _knowable(runs: Runs, way: str) -> dict[str, str]:
    """What the suite can know: behind a server that refuses everything it meets no variable."""
    planted = runs.planted
    return planted.given | planted.unknown if way == "refusing" else planted.all


@pytest.mark.parametrize("way", WAYS)
def test_no_secret_is_in_any_file_or_on_the_terminal(hostile_runs: Runs, way: str) -> None:
    run = _run(hostile_runs, way)
    scanner = Scanner(_knowable(hostile_runs, way))
    assert scanner.leaks(run.output) == set()
    assert scanner.leaks_in([run.directory]) == {}


@pytest.mark.parametrize(("way", "code"), [("showing", 1), ("refusing", 1), ("broken", 3)])
def test_the_runs_went_as_they_were_meant_to(hostile_runs: Runs, way: str, code: int) -> None:
    run = _run(hostile_runs, way)
    assert run.code == code, run.output
    assert "«redacted" in run.output
    assert ("INTERNALERROR> " in run.output) == (way == "broken")


def test_the_killed_run_had_written_what_it_saw(hostile_runs: Runs) -> None:
    bundle = hostile_runs.killed.bundle
    assert json.loads((bundle / "verdict.json").read_text("utf-8"))["verdict"] == "HOLD"
    assert "«redacted" in "".join(path.read_text("utf-8") for path in (bundle / "facts").iterdir())
    assert not (bundle / "manifest.json").exists()


def test_what_was_planted_was_met(hostile_runs: Runs) -> None:
    bundle = hostile_runs.showing.bundle
    told = "".join(path.read_text("utf-8") for path in bundle.rglob("*.json*"))
    met = {name for name in hostile_runs.planted.met if f"«redacted: {name.upper()}_TOKEN»" in told}
    assert met >= {
        "log",
        "header",
        "body",
        "page",
        "console",
        "certificate",
        "row",
        "object",
        "label",
        "key",
        "nginx",
    }
    assert "«redacted: ODD_PASSWORD»" in told
    assert "«redacted: NEXT_PRIVATE_SIGNING_PASSPHRASE»" in told
    assert "intake_secret»" in told
    assert "LOCAL_TOKEN»" in hostile_runs.showing.output


def test_the_refusing_server_had_its_say(hostile_runs: Runs) -> None:
    told = (hostile_runs.refusing.bundle / "record.json").read_text("utf-8")
    wanted = ["intake_secret»", "admin_password»", "Bearer «redacted»"]
    wanted += ["root_password»"] if "root_password" in hostile_runs.planted.given else []
    assert [words for words in wanted if words not in told] == []


def test_a_picture_that_shows_a_secret_is_not_kept(hostile_runs: Runs) -> None:
    bundle = hostile_runs.showing.bundle
    record = json.loads((bundle / "record.json").read_text(encoding="utf-8"))
    kept = {path.stem for path in (bundle / "screenshots").iterdir()}
    assert kept.isdisjoint({"berths", "deal"})
    assert "the picture of the page deal was not kept: it shows a secret" in record["warnings"]


@pytest.mark.parametrize(
    "name", ["record.json", "signoff.html", "report.html", "junit.xml", "ledger.jsonl", "facts/api.json"]
)
def test_the_scanner_finds_what_is_planted_in_an_artefact(
    hostile_runs: Runs, tmp_path: Path, name: str
) -> None:
    text = (hostile_runs.showing.bundle / name).read_text(encoding="utf-8")
    canaries = {guise: secret() for guise in GUISES}
    planted = "\n".join(forms(value)[guise] for guise, value in canaries.items())
    middle = len(text) // 2
    (tmp_path / "artefact").write_text(f"{text[:middle]}\n{planted}\n{text[middle:]}", encoding="utf-8")
    assert Scanner(canaries).leaks_in([tmp_path]) == {"artefact": set(GUISES)}


def test_no_secret_is_in_what_is_made_of_a_bundle_afterwards(
    hostile_runs: Runs, afterwards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    showing, refusing = hostile_runs.showing.bundle, hostile_runs.refusing.bundle
    scanner = Scanner(_knowable(hostile_runs, "refusing"))
    main(["diff", str(showing), str(refusing), "--all"])
    main(["verify", str(showing)])
    output = "".join(capsys.readouterr())
    assert "facts changed" in output
    assert scanner.leaks(output) == set()
    assert scanner.leaks_in([afterwards]) == {}
    decision = showing.with_name(f"{showing.name}.decision")
    assert Scanner(hostile_runs.planted.all).leaks_in([decision]) == {}


# --- markup


def test_the_policy_of_the_other_report_lets_its_own_script_run_and_no_other(
    pages: dict[str, str], chromium: Browser, tmp_path: Path
) -> None:
    raw = without_policy(pages["showing report"])
    planted = raw.replace("<body>", f"<body>{' '.join(MARKUP)}", 1)
    policy = pytest_html._policy(planted)
    html = planted.replace('<meta charset="utf-8"/>', f'<meta charset="utf-8"/>{policy}', 1)
    with visited(chromium, html, tmp_path / "page.html") as visit:
        assert not visit.fires
        assert visit.page.locator("#results-table .results-table-row").count() > 0


@pytest.mark.parametrize(
    "name", ["showing signoff", "showing report", "refusing signoff", "refusing report", "decided", "diff"]
)
def test_nothing_acts_in_the_pages_of_a_hostile_server(
    pages: dict[str, str], chromium: Browser, tmp_path: Path, name: str
) -> None:
    with visited(chromium, without_policy(pages[name]), tmp_path / "page.html") as visit:
        assert (visit.fires, visit.suspects, visit.events) == (False, [], [])
        assert "fired" not in visit.page.title()


@pytest.mark.parametrize("name", ["showing signoff", "showing report"])
def test_every_kind_of_markup_reached_the_pages(
    pages: dict[str, str], chromium: Browser, tmp_path: Path, name: str
) -> None:
    with visited(chromium, pages[name], tmp_path / "page.html", scripts=False) as visit:
        assert [markup for markup in MARKUP if told(markup) not in visit.text] == []


@pytest.mark.parametrize("way", ["showing", "refusing"])
def test_nothing_acts_on_the_terminal(hostile_runs: Runs, way: str) -> None:
    lines = getattr(hostile_runs, way).output.splitlines()
    assert [line for line in lines if visible(line) != line] == []
    assert any("fired" in line for line in lines)


@pytest.mark.parametrize("file", ["reports/latest/junit.xml", "own.xml"])
def test_the_junit_files_are_well_formed(hostile_runs: Runs, file: str) -> None:
    tree = ElementTree.parse(hostile_runs.showing.directory / file)
    assert {element.tag for element in tree.iter()} <= {
        *("testsuites", "testsuite", "testcase", "properties", "property"),
        *("failure", "error", "skipped", "system-out", "system-err"),
    }


def test_the_other_report_tells_every_check_without_scripts(
    hostile_runs: Runs, pages: dict[str, str], chromium: Browser, tmp_path: Path
) -> None:
    record = RunRecord.model_validate_json((hostile_runs.showing.bundle / "record.json").read_bytes())
    with visited(chromium, pages["showing report"], tmp_path / "page.html", scripts=False) as visit:
        shown = " ".join(visit.page.locator("body").inner_text().split())
    names = [check.name for item in record.items for check in item.checks]
    assert [name for name in names if told(name) not in shown] == []
