"""Nothing that anybody writes acts in a page of the suite's, and no page is too large."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Browser

from acceptance.evidence.decision import Choice, Decision
from acceptance.evidence.diff import compare, load
from acceptance.evidence.record import RunRecord, Screenshot
from acceptance.outcome import Outcome
from acceptance.report import diff, junit, pytest_html, signoff, summary
from acceptance.report.signoff import LARGEST
from selftest import bundles, records
from selftest.hostile import MARKUP, NUL
from selftest.visits import browser, told, visited, without_policy

ROOT = Path(__file__).resolve().parent.parent
ACTING = [markup for markup in MARKUP if "fired()" in markup]
EVERYTHING = f"{NUL}{' '.join(MARKUP)}"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


def decision(text: str) -> Decision:
    """A decision with the text in every field that a person or a name fills."""
    return Decision(
        decision=Choice.GO,
        by=f"Owner {text}",
        decided=datetime(2026, 3, 4, 10, tzinfo=UTC),
        accepted_hold=f"Checked by hand. {text}",
        rehearsal=True,
        gate=f"phase1_verify {text}",
        target=f"rehearsal {text}",
        verdict=records.mixed().verdict,
        bundle=f"run {text}",
        manifest="0" * 64,
    )


def poisoned(directory: Path, text: str) -> dict[str, str]:
    """Return the pages that the suite itself makes, with the text in every field that may hold any."""
    seen = bundles.containers(status=f"running {text}", secret="b" * 16)
    container = seen.all[0].model_copy(update={"addresses": {f"net {text}": "172.18.0.2"}, "name": text})
    seen = seen.model_copy(update={"all": (container,)})
    before = bundles.sealed(directory / "a", records.healthy(), {"containers": bundles.containers()})
    after = bundles.sealed(directory / "b", records.mixed(text), {"containers": seen})
    return {
        "signoff": signoff.render(records.mixed(text)),
        "decided": signoff.render(records.mixed(text), {}, decision(text)),
        "diff": diff.render(compare(load(before), load(after)), everything=True),
    }


@pytest.fixture(scope="module")
def own_pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    directory = tmp_path_factory.mktemp("poisoned")
    return {
        "hostile": poisoned(directory / "hostile", EVERYTHING),
        "harmless": poisoned(directory / "harmless", "plain"),
    }


# --- the canary itself


@pytest.mark.parametrize("markup", ACTING)
def test_what_is_planted_acts_where_nothing_is_escaped(
    chromium: Browser, tmp_path: Path, markup: str
) -> None:
    html = f"<!DOCTYPE html><details><p title=\"x {markup}\">{markup}</p><b title='{markup}'>x</b></details>"
    with visited(chromium, html, tmp_path / "page.html") as visit:
        assert visit.fires or visit.suspects


@pytest.mark.parametrize("name", ["signoff", "diff"])
def test_the_policy_alone_stops_it_too(
    own_pages: dict[str, dict[str, str]], chromium: Browser, tmp_path: Path, name: str
) -> None:
    html = own_pages["harmless"][name].replace("<main>", f"<main>{' '.join(MARKUP)}")
    with visited(chromium, html, tmp_path / "page.html") as visit:
        assert visit.suspects
        assert not visit.fires


# --- pages with markup in every field


@pytest.mark.parametrize("name", ["signoff", "decided", "diff"])
def test_nothing_acts_wherever_the_text_stands(
    own_pages: dict[str, dict[str, str]], chromium: Browser, tmp_path: Path, name: str
) -> None:
    skeletons = []
    for pages in own_pages.values():
        with visited(chromium, without_policy(pages[name]), tmp_path / "page.html") as visit:
            assert (visit.fires, visit.suspects, visit.events) == (False, [], [])
            skeletons.append(visit.skeleton)
    assert skeletons[0] == skeletons[1]


# --- without JavaScript


def test_the_sign_off_page_is_complete_without_scripts(
    own_pages: dict[str, dict[str, str]], chromium: Browser, tmp_path: Path
) -> None:
    record = records.mixed(EVERYTHING)
    checks = [check for item in record.items for check in item.checks]
    wanted = [text for item in record.items for text in (item.id, item.claim)]
    wanted += [text for check in checks for text in (check.title, check.name)]
    wanted += [text for check in checks for entry in check.evidence for text in (entry.expected, entry.seen)]
    wanted += [look.reason for look in record.looks] + list(record.warnings)
    with visited(chromium, own_pages["hostile"]["signoff"], tmp_path / "page.html", scripts=False) as visit:
        assert [text for text in wanted if told(text) not in visit.text] == []


def test_the_decided_page_is_complete_without_scripts(
    own_pages: dict[str, dict[str, str]], chromium: Browser, tmp_path: Path
) -> None:
    made = decision(EVERYTHING)
    wanted = [
        made.by,
        made.accepted_hold,
        made.bundle,
        made.manifest,
        made.gate,
        "GO — for the rehearsal only",
    ]
    with visited(chromium, own_pages["hostile"]["decided"], tmp_path / "page.html", scripts=False) as visit:
        assert [text for text in wanted if told(text) not in visit.text] == []


# --- size


def long_run(number: int) -> RunRecord:
    """A run whose every check failed or has no answer, for a reason and with evidence too long for a page."""
    text = EVERYTHING + "\"'<>&\u202e界" * 550
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
    shot = Screenshot(name="login", file="screenshots/login.png", sha256=sha256(png).hexdigest())
    record = records.mixed().model_copy(update={"screenshots": (shot,)})
    assert len(signoff.render(record, {"login": png}).encode()) <= LARGEST


def test_the_record_is_whole(long_record: RunRecord) -> None:
    again = RunRecord.model_validate_json(long_record.model_dump_json())
    assert again == long_record
    assert len(again.items[0].checks[0].evidence[0].seen) > 4_000


def test_the_other_outputs_bear_long_evidence(long_record: RunRecord) -> None:
    few = long_record.model_copy(update={"items": long_record.items[:20]})
    assert ElementTree.fromstring(junit.render(few)).tag == "testsuites"
    lines = summary.lines(few, width=80, colour=False, report_path="reports/x")
    assert len(lines) < 100 * len(few.items)


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
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (tmp_path / "record.json").write_text(long_record.model_dump_json(), encoding="utf-8")
    (tmp_path / "conftest.py").write_text(textwrap.dedent(_CONFTEST), encoding="utf-8")
    (tmp_path / "test_it.py").write_text(textwrap.dedent(_TESTS), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    html = pytest_html.finish((tmp_path / "raw.html").read_text(encoding="utf-8"), long_record)
    assert len(html.encode()) <= LARGEST
    assert "… the first " in html
    assert html.count('<tr><td class="col-outcome') == 500
