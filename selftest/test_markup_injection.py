"""Nothing that a server, a check or an operator writes acts in a report or on the terminal."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from acceptance.evidence.record import RunRecord, Screenshot
from acceptance.outcome import Outcome
from acceptance.report import junit, pytest_html, signoff, summary
from acceptance.report.text import visible
from acceptance.transports.browser import executable
from selftest import records
from selftest.hostile import MARKUP, NUL, Runs

ROOT = Path(__file__).resolve().parent.parent
ACTING = [markup for markup in MARKUP if "fired()" in markup]
EVERYTHING = f"{NUL}{' '.join(MARKUP)}"
LARGEST = 5_000_000
REPORTS = ("signoff.html", "report.html")

_LISTEN = "window.fired = () => { window.hasFired = true }"
_POKE = """() => {
  for (const element of document.querySelectorAll('body *')) {
    if (element instanceof HTMLDetailsElement) element.open = true
    for (const kind of ['mouseover', 'focus', 'load', 'error']) element.dispatchEvent(new Event(kind))
  }
}"""
_SUSPECTS = """() => [...document.querySelectorAll('*')].flatMap((element) =>
  [...element.attributes]
    .filter(({ name, value }) => name.startsWith('on') || /^\\s*javascript:/i.test(value))
    .map(({ name, value }) => `${element.tagName} ${name}=${value}`)
    .concat(/^(IFRAME|OBJECT|EMBED|BASE|FORM)$/.test(element.tagName) ? [element.tagName] : []))"""
_SKELETON = "() => [...document.querySelectorAll('*')].map((element) => element.tagName).join(' ')"


@dataclass
class Visit:
    """What happened while a page was open."""

    page: Page
    events: list[str] = field(default_factory=list)

    def poke(self) -> None:
        """Open and hover over whatever is there, and give scripts a moment."""
        for button in self.page.get_by_text("Show all details").all():
            button.click()
        self.page.evaluate(_POKE)
        self.page.wait_for_timeout(150)

    @property
    def has_fired(self) -> bool:
        """True once anything of what was planted was run."""
        return bool(self.page.evaluate("() => window.hasFired === true"))

    @property
    def suspects(self) -> list[str]:
        """Elements and attributes that none of the reports has."""
        found: list[str] = self.page.evaluate(_SUSPECTS)
        return found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=executable()) as browser:
        yield browser


def visited(chromium: Browser, html: str, path: Path, *, scripts: bool = True) -> Visit:
    """Open a page from a file, as its reader would."""
    path.write_text(html, encoding="utf-8")
    visit = Visit(chromium.new_context(java_script_enabled=scripts).new_page())
    visit.page.on("dialog", lambda dialog: visit.events.append(f"dialog {dialog.message}"))
    visit.page.on("popup", lambda popup: visit.events.append(f"window {popup.url}"))
    visit.page.on("download", lambda download: visit.events.append(f"download {download.url}"))
    visit.page.on(
        "request",
        lambda request: (
            None if request.url.startswith((path.as_uri(), "data:")) else visit.events.append(request.url)
        ),
    )
    visit.page.add_init_script(_LISTEN)
    visit.page.goto(path.as_uri())
    return visit


def without_policy(html: str) -> str:
    """Return the page without its content security policy, so that escaping alone protects it."""
    bare, number = re.subn(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", html)
    assert number == 1
    return bare


def mixed() -> str:
    return signoff.render(records.mixed(EVERYTHING))


# --- the canary itself


@pytest.mark.parametrize("markup", ACTING)
def test_what_is_planted_acts_where_nothing_is_escaped(
    chromium: Browser, tmp_path: Path, markup: str
) -> None:
    html = f"<!DOCTYPE html><details><p title=\"x {markup}\">{markup}</p><b title='{markup}'>x</b></details>"
    visit = visited(chromium, html, tmp_path / "page.html")
    visit.poke()
    assert visit.has_fired or visit.suspects


def test_the_policy_alone_stops_it_too(chromium: Browser, tmp_path: Path) -> None:
    html = mixed().replace("<main>", f"<main>{' '.join(MARKUP)}")
    visit = visited(chromium, html, tmp_path / "page.html")
    visit.poke()
    assert visit.suspects
    assert not visit.has_fired


def test_the_policy_of_the_other_report_lets_its_own_script_run_and_no_other(
    hostile_runs: Runs, chromium: Browser, tmp_path: Path
) -> None:
    raw = without_policy((hostile_runs.showing.bundle / "report.html").read_text(encoding="utf-8"))
    planted = raw.replace("<body>", f"<body>{' '.join(MARKUP)}", 1)
    policy = pytest_html._policy(planted)
    html = planted.replace('<meta charset="utf-8"/>', f'<meta charset="utf-8"/>{policy}', 1)
    visit = visited(chromium, html, tmp_path / "page.html")
    visit.poke()
    assert not visit.has_fired
    assert visit.page.locator("#results-table .results-table-row").count() > 0


# --- real runs against a hostile server


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("way", ["showing", "refusing"])
def test_nothing_acts_in_the_reports_of_a_hostile_server(
    hostile_runs: Runs, chromium: Browser, tmp_path: Path, way: str, name: str
) -> None:
    html = (getattr(hostile_runs, way).bundle / name).read_text(encoding="utf-8")
    for page in (html, without_policy(html)):
        visit = visited(chromium, page, tmp_path / "page.html")
        visit.poke()
        assert (visit.has_fired, visit.suspects, visit.events) == (False, [], [])
        assert "fired" not in visit.page.title()


def test_every_kind_of_markup_reached_the_reports(
    hostile_runs: Runs, chromium: Browser, tmp_path: Path
) -> None:
    html = (hostile_runs.showing.bundle / "signoff.html").read_text(encoding="utf-8")
    shown = visited(chromium, html, tmp_path / "page.html").page.locator("main").text_content() or ""
    assert [markup for markup in MARKUP if visible(markup) not in shown] == []


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


# --- records with markup in every field


def test_a_browser_sees_the_same_elements_whatever_the_text(chromium: Browser, tmp_path: Path) -> None:
    harmless = signoff.render(records.mixed("plain"))
    skeletons = [
        visited(chromium, without_policy(html), tmp_path / "page.html").page.evaluate(_SKELETON)
        for html in (mixed(), harmless)
    ]
    assert skeletons[0] == skeletons[1]


def test_nothing_acts_wherever_the_text_stands(chromium: Browser, tmp_path: Path) -> None:
    visit = visited(chromium, without_policy(mixed()), tmp_path / "page.html")
    visit.poke()
    assert (visit.has_fired, visit.suspects, visit.events) == (False, [], [])


def test_the_sign_off_page_is_complete_without_scripts(chromium: Browser, tmp_path: Path) -> None:
    record = records.mixed(EVERYTHING)
    page = visited(chromium, signoff.render(record), tmp_path / "page.html", scripts=False).page
    shown = " ".join((page.locator("body").text_content() or "").split())
    checks = [check for item in record.items for check in item.checks]
    wanted = [text for item in record.items for text in (item.id, item.claim)]
    wanted += [text for check in checks for text in (check.title, check.name)]
    wanted += [text for check in checks for entry in check.evidence for text in (entry.expected, entry.seen)]
    wanted += [look.reason for look in record.looks] + list(record.warnings)
    assert [text for text in wanted if " ".join(visible(text).split()) not in shown] == []


def test_the_other_report_tells_every_check_without_scripts(
    hostile_runs: Runs, chromium: Browser, tmp_path: Path
) -> None:
    bundle = hostile_runs.showing.bundle
    record = RunRecord.model_validate_json((bundle / "record.json").read_text(encoding="utf-8"))
    html = (bundle / "report.html").read_text(encoding="utf-8")
    page = visited(chromium, html, tmp_path / "page.html", scripts=False).page
    shown = page.locator("body").inner_text()
    assert [
        check.name
        for item in record.items
        for check in item.checks
        if " ".join(visible(check.name).split()) not in " ".join(shown.split())
    ] == []


# --- size


def long_run(number: int) -> RunRecord:
    """A run whose every check failed or has no answer, for a reason and with evidence too long for a page."""
    text = EVERYTHING + "\"'<>&\u202e界" * 700
    items = []
    for place in range(number):
        outcome = Outcome.UNKNOWN if place % 5 == 0 else Outcome.FAIL
        item = records.item(f"section{place % 6}.item-{place}", outcome, reason=f"{place} {text}")
        check = item.checks[0].model_copy(update={"evidence": (records.evidence(text, holds=False),)})
        items.append(item.model_copy(update={"checks": (check,), "remedy": "Repair it."}))
    return records.run(*items, rehearsal=False)


@pytest.fixture(scope="module")
def long_record() -> RunRecord:
    return long_run(500)


def test_a_sign_off_page_of_500_long_checks_is_small_and_says_what_it_cuts(long_record: RunRecord) -> None:
    html = signoff.render(long_record)
    assert len(html.encode()) <= LARGEST
    assert "… the first " in html
    assert all(item.id in html for item in long_record.items)


def test_a_page_with_pictures_that_are_too_large_goes_without_them() -> None:
    png = b"\x89PNG" + bytes(LARGEST)
    shot = {
        "name": "login",
        "file": "screenshots/login.png",
        "sha256": sha256(png).hexdigest(),
    }
    record = records.mixed().model_copy(update={"screenshots": (Screenshot(**shot),)})
    assert len(signoff.render(record, {"login": png}).encode()) <= LARGEST


def test_the_record_is_whole(long_record: RunRecord) -> None:
    again = RunRecord.model_validate_json(long_record.model_dump_json())
    assert again == long_record
    assert len(again.items[0].checks[0].evidence[0].seen) > 4_000


def test_the_other_outputs_bear_long_evidence(long_record: RunRecord) -> None:
    few = long_record.model_copy(update={"items": long_record.items[:20]})
    assert ElementTree.fromstring(junit.render(few)).tag == "testsuites"
    lines = summary.lines(few, width=80, colour=False, report_path="reports/x")
    assert len(lines) < 60 * len(few.items)


_CONFTEST = """
    from pathlib import Path
    import pytest
    from acceptance.evidence.record import RunRecord
    from acceptance.report import pytest_html

    HERE = Path(__file__).parent
    RECORD = RunRecord.model_validate_json((HERE / "record.json").read_text(encoding="utf-8"))
    CHECKS = [check for item in RECORD.items for check in item.checks]

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(config):
        pytest_html.configure(config, HERE / "raw.html")
        items = {item.id: (item.claim, item.severity) for item in RECORD.items}
        find = lambda node: CHECKS[int(node.split("[")[1].strip("]"))]
        config.pluginmanager.register(pytest_html.HtmlRows(find, items, {"Target": "x"}))
"""
_TESTS = """
    import pytest

    @pytest.mark.parametrize("number", range(500))
    def test_it(number):
        pass
"""


def test_the_other_report_of_500_long_checks_is_small_and_says_what_it_cuts(
    tmp_path: Path, long_record: RunRecord
) -> None:
    record = long_record
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (tmp_path / "record.json").write_text(record.model_dump_json(), encoding="utf-8")
    (tmp_path / "conftest.py").write_text(textwrap.dedent(_CONFTEST), encoding="utf-8")
    (tmp_path / "test_it.py").write_text(textwrap.dedent(_TESTS), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    html = pytest_html.finish((tmp_path / "raw.html").read_text(encoding="utf-8"), record)
    assert len(html.encode()) <= LARGEST
    assert "… the first " in html
    assert html.count('<tr><td class="col-outcome') == 500
    assert json.dumps(record.items[0].id)[1:-1] in html
