"""The reports: what they show, and that nothing from a target can act in them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import textwrap
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from acceptance.evidence.record import ItemRecord, RunRecord
from acceptance.outcome import Outcome
from acceptance.report import junit, pytest_html, signoff, summary, view
from acceptance.report.text import cells, visible, wrap
from acceptance.verdict import Verdict
from selftest import records

ROOT = Path(__file__).resolve().parent.parent
ESCAPE = "\x1b"
POISON = (
    "<script>document.title='pwned'</script>",
    '"><img src=x onerror="document.title=\'pwned\'">',
    "' onmouseover='alert(1)",
    "]]><evil/>",
    "</td></tr></table></template></noscript></style>",
    "<!-- ",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;&#x3c;&amp;",
    "\x1b[31mred\x1b[2J\x1b]0;title\x07",
    "\x00\x08\x0b\x7f\x85\x9b31m",
    "\r\nE line",
    "\u202eevil\u2066\u200b\ufeff",
    "\ufffe\uffff",
    "w" * 300,
    "界" * 90,
)
hostile = st.lists(st.one_of(st.sampled_from(POISON), st.text(max_size=30)), min_size=1, max_size=4).map(
    "".join
)
ours = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Page(HTMLParser):
    """A parsed page: its elements, their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]

    @property
    def attributes(self) -> set[str]:
        return {name for _, attributes in self.elements for name in attributes}


def skeleton(page: Page) -> list[tuple[str, frozenset[str]]]:
    return [(tag, frozenset(attributes)) for tag, attributes in page.elements]


# --- text


@given(st.text())
@example("".join(POISON))
def test_visible_text_has_nothing_that_acts_or_hides(text: str) -> None:
    shown = visible(text)
    assert not re.search(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]", shown
    )
    assert visible(shown) == shown


def test_visible_text_tells_what_was_there() -> None:
    assert visible("a\x1b[31m\u202eb\tc\nd") == "a\\x1b[31m\\u202eb\tc\nd"


@given(hostile, st.integers(min_value=2, max_value=90))
def test_wrapped_lines_keep_the_width_and_every_character(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(cells(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(visible(text).split())


# --- sign-off page


@ours
@given(hostile)
def test_signoff_shows_hostile_text_as_text(text: str) -> None:
    page = Page(signoff.render(records.mixed(text)))
    only_backticks = "".join(character if character == "`" else "x" for character in visible(text))
    assert skeleton(page) == skeleton(Page(signoff.render(records.mixed(only_backticks))))
    assert visible(text.strip()) in page.text


@ours
@given(hostile)
def test_signoff_is_the_same_for_the_same_record(text: str) -> None:
    assert signoff.render(records.mixed(text)) == signoff.render(records.mixed(text))


@pytest.mark.parametrize(
    "record", [records.healthy(), records.mixed(), records.failing(40)], ids=["0", "1", "40"]
)
def test_signoff_is_static_and_self_contained(record: RunRecord) -> None:
    html = signoff.render(record)
    page = Page(html)
    assert "<script" not in html
    assert not {"style", "src", "href", "srcset", "action", "data", "poster"} & page.attributes
    assert not [name for name in page.attributes if name.startswith("on")]
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    css = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)[0]
    assert not re.search(r"url\(|@import|https?:", css)


def test_signoff_policy_allows_its_style_and_nothing_else() -> None:
    html = signoff.render(records.mixed())
    (css,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy == f"default-src 'none'; style-src '{signoff.digest(css)}'; img-src data:"


def test_signoff_headings_never_skip_a_level() -> None:
    levels = [
        int(tag[1]) for tag in Page(signoff.render(records.mixed())).tags if re.fullmatch(r"h[1-6]", tag)
    ]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_signoff_says_that_it_was_a_rehearsal() -> None:
    assert view.REHEARSAL in Page(signoff.render(records.mixed())).text
    production = signoff.render(records.mixed(rehearsal=False))
    assert 'class="banner"' not in production
    assert 'class="no-go"' in production


def test_signoff_lists_every_failure_with_its_remedy() -> None:
    html = signoff.render(records.failing(40))
    assert html.count('<article class="point fail">') == 40
    assert html.count("<b>Do:</b>") == 40


def test_signoff_without_a_failure_says_so() -> None:
    text = Page(signoff.render(records.healthy())).text
    assert "Nothing failed." in text


def test_signoff_of_a_run_that_did_not_finish() -> None:
    record = records.run(records.item("nginx.enabled", Outcome.PASS), finished=False)
    text = Page(signoff.render(record)).text
    assert record.verdict is Verdict.HOLD
    assert "did not finish" in text
    assert "Nothing failed before the run ended." in text


def test_signoff_tells_when_it_shows_less_than_there_is() -> None:
    assert signoff.shortened("x" * 5000).endswith("… the first 4000 of 5000 characters")
    assert signoff.shortened("x" * 4000) == "x" * 4000


# --- JUnit


def cases(record: RunRecord) -> dict[str, ElementTree.Element]:
    root = ElementTree.fromstring(junit.render(record))
    return {properties(case)["item"]: case for case in root.iter("testcase")}


def properties(case: ElementTree.Element) -> dict[str, str]:
    return {entry.get("name", ""): entry.get("value", "") for entry in case.findall("properties/property")}


@ours
@given(hostile)
def test_junit_is_well_formed_whatever_it_holds(text: str) -> None:
    root = ElementTree.fromstring(junit.render(records.mixed(text)))
    harmless = ElementTree.fromstring(junit.render(records.mixed()))
    assert [element.tag for element in root.iter()] == [element.tag for element in harmless.iter()]


@pytest.mark.parametrize(
    ("item", "category", "outcome"),
    [
        ("nginx.enabled", None, "pass"),
        ("nginx.upstream", "failure", "fail"),
        ("tls.hsts", None, "warn"),
        ("health.authenticated", "error", "unknown"),
        ("pages.login", "error", "not-run"),
        ("containers.images", None, "fail"),
        ("containers.env-current", "skipped", "not-applicable"),
    ],
)
def test_junit_category(item: str, category: str | None, outcome: str) -> None:
    case = cases(records.mixed())[item]
    assert [child.tag for child in case if child.tag != "properties"] == ([category] if category else [])
    assert properties(case)["outcome"] == outcome
    assert properties(case)["rehearsal"] == "true"
    assert properties(case)["target"] == "rehearsal"


def test_junit_keeps_a_waiver_apart_from_the_truth() -> None:
    waived = properties(cases(records.mixed())["containers.images"])
    assert (waived["outcome"], waived["item-outcome"]) == ("fail", "waived")


def test_junit_counts_what_it_lists() -> None:
    root = ElementTree.fromstring(junit.render(records.mixed()))
    (suite,) = root
    assert suite.get("name") == "phase1_verify"
    for attribute, tag in (
        ("tests", "testcase"),
        ("failures", "failure"),
        ("errors", "error"),
        ("skipped", "skipped"),
    ):
        assert suite.get(attribute) == root.get(attribute) == str(len(list(root.iter(tag))))


# --- terminal


def printed(record: RunRecord, *, colour: bool = False, width: int = 80) -> list[str]:
    return summary.lines(record, width=width, colour=colour, report_path="reports/rehearsal/x/signoff.html")


@ours
@given(hostile, st.booleans(), st.sampled_from([60, 80, 200]))
def test_terminal_prints_no_control_character_of_a_target(text: str, colour: bool, width: int) -> None:
    lines = [
        re.sub(r"\x1b\[[0-9;]+m", "", line)
        for line in printed(records.mixed(text), colour=colour, width=width)
    ]
    assert all(visible(line) == line for line in lines)
    assert not [line for line in lines if "\n" in line]
    assert max(cells(line) for line in lines) <= width


def test_terminal_without_colour_has_no_escape() -> None:
    assert ESCAPE not in "".join(printed(records.mixed()))


def test_terminal_says_what_failed_and_what_to_do() -> None:
    text = "\n".join(printed(records.mixed(), width=200))
    assert "nginx        ✓ 5   ✗ 1" in text
    assert "✗ nginx.upstream  Requests go to 127.0.0.1 and the declared port." in text
    assert "seen      http://127.0.0.1:3000" in text
    assert "do:       Correct proxy_pass in the vhost and reload nginx." in text
    assert "Planned, no check yet (4): pages.login, pages.branding, schema.columns, storage.objects" in text
    assert view.REHEARSAL in text
    assert "NO-GO — Blockers failed." in text
    assert "report: reports/rehearsal/x/signoff.html" in text


def test_terminal_gives_one_reason_for_all_that_it_keeps_from_being_known() -> None:
    lines = printed(records.mixed())
    assert len([line for line in lines if "refused the connection" in line]) == 1
    assert "    items     health.authenticated, realtime.upgrade" in lines


def test_terminal_shows_a_healthy_run_briefly() -> None:
    lines = printed(records.healthy(rehearsal=False))
    assert "GO — Every blocker passed." in lines
    assert not [line for line in lines if "✗" in line or "REHEARSAL" in line]


# --- grouping and wording


def test_an_item_with_two_reasons_is_listed_under_both() -> None:
    first = records.item("nginx.enabled", Outcome.UNKNOWN, reason="no login")
    second = records.check("nginx.enabled", Outcome.UNKNOWN, reason="no file")
    item = first.model_copy(update={"checks": (*first.checks, second)})
    questions = view.open_questions(records.run(item))
    assert [question.reason for question in questions] == ["no login", "no file"]


def test_unknown_blockers_come_before_unknown_advisories() -> None:
    record = records.run(
        records.item("tls.hsts", Outcome.UNKNOWN, reason="advisory"),
        records.item("nginx.enabled", Outcome.UNKNOWN, reason="blocker"),
    )
    assert [question.reason for question in view.open_questions(record)] == ["blocker", "advisory"]


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (records.healthy(rehearsal=False), "sign below"),
        (records.failing(1), "Repair what failed"),
        (records.healthy(planned=True), "4 planned items have no check yet"),
        (records.run(records.item("nginx.enabled", Outcome.UNKNOWN, reason="x")), "Get the missing answers"),
        (records.run(records.item("nginx.enabled", Outcome.PASS), finished=False), "did not finish"),
        (records.run(records.item("nginx.enabled", Outcome.PASS), whole=False), "run the whole gate"),
        (records.healthy(), "it decides nothing about production"),
    ],
)
def test_what_the_verdict_asks_for(record: RunRecord, words: str) -> None:
    assert words in view.request(record)


# --- pytest-html

CONFTEST = """
    from pathlib import Path
    import pytest
    from acceptance.evidence.record import RunRecord
    from acceptance.report import pytest_html

    HERE = Path(__file__).parent
    RECORD = RunRecord.model_validate_json((HERE / "record.json").read_text(encoding="utf-8"))
    CHECKS = {check.name.split("::")[1]: check for item in RECORD.items for check in item.checks}

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(config):
        pytest_html.configure(config, HERE / "raw.html")
        items = {item.id: (item.claim, item.severity) for item in RECORD.items}
        environment = {"Target": RECORD.target.file}
        rows = pytest_html.HtmlRows(lambda node: CHECKS.get(node.split("::")[1]), items, environment)
        config.pluginmanager.register(rows)
"""
HEADER = """
    import pytest

    @pytest.fixture
    def blind():
        raise RuntimeError("<b>no source</b>")

    @pytest.mark.parametrize("value", ["<img src=x onerror=alert(1)>"])
    def test_without_a_record(value):
        assert not value, value
"""
BODIES = {
    Outcome.PASS: "def {name}(): pass",
    Outcome.FAIL: "def {name}(): assert False, '<script>'",
    Outcome.UNKNOWN: "def {name}(blind): pass",
    Outcome.NOT_APPLICABLE: "def {name}(): pytest.skip('<i>')",
}


def bodies(items: tuple[ItemRecord, ...]) -> str:
    found = [check for item in items for check in item.checks]
    return "\n\n".join(BODIES[check.outcome].format(name=check.name.split("::")[1]) for check in found)


@pytest.fixture(scope="module")
def record() -> RunRecord:
    return records.mixed(" ".join(POISON))


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory, record: RunRecord) -> str:
    """What pytest-html wrote for a run with hostile text, before `finish`."""
    project = tmp_path_factory.mktemp("project")
    (project / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (project / "record.json").write_text(record.model_dump_json(), encoding="utf-8")
    (project / "conftest.py").write_text(textwrap.dedent(CONFTEST), encoding="utf-8")
    (project / "test_it.py").write_text(
        textwrap.dedent(HEADER) + "\n\n" + bodies(record.items), encoding="utf-8"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(project)]
    ended = subprocess.run(
        command,
        cwd=project,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stderr
    assert "Generated html report" not in ended.stdout
    return (project / "raw.html").read_text(encoding="utf-8")


def test_html_report_has_only_its_own_elements(raw: str, record: RunRecord) -> None:
    page = Page(pytest_html.finish(raw, record))
    assert page.tags.count("script") == 1
    assert page.tags.count("img") == 1  # pytest-html's own template
    assert not [name for name in page.attributes if name.startswith("on")]
    assert visible("\x1b[31mred") in page.text


def test_html_report_shows_every_check_and_every_item_without_a_script(raw: str, record: RunRecord) -> None:
    text = Page(pytest_html.finish(raw, record)).text
    assert all(item.id in text for item in record.items)
    assert all(check.name in text for item in record.items for check in item.checks)
    assert "? unknown" in text
    assert view.REHEARSAL in text
    assert "NO-GO" in text


def test_html_report_counts_our_outcomes(raw: str) -> None:
    labels = re.findall(r'<span class="\w+">(\d+ [^<,]+)', raw)
    # one more failure than the record has: the test without a record
    assert labels == [
        "3 Fail",
        "12 Pass",
        "1 Not applicable",
        "1 Warning",
        "0 Waived",
        "2 Unknown",
        "0 Not run",
    ]


def test_html_report_allows_its_own_script_and_style_only(raw: str, record: RunRecord) -> None:
    html = pytest_html.finish(raw, record)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src '{signoff.digest(script)}';" in policy
    assert "unsafe" not in policy


@ours
@given(text=hostile)
def test_finished_html_report_shows_hostile_text_as_text(raw: str, text: str) -> None:
    page = Page(pytest_html.finish(raw, records.mixed(text)))
    harmless = Page(pytest_html.finish(raw, records.mixed("plain")))
    assert skeleton(page) == skeleton(harmless)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium (apt-get install chromium)")
def test_html_report_in_a_browser(raw: str, record: RunRecord, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(pytest_html.finish(raw, record), encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    dom = Page(shown)
    assert shown.count('class="results-table-row') >= 19
    assert '<title id="head-title">Acceptance report</title>' in shown
    assert "evil" not in dom.tags
    assert not [name for name in dom.attributes if name.startswith("on")]
