"""pytest-html's report with our outcomes, escaped evidence, and a table for browsers without JavaScript.

What pytest-html 4.2 does by itself, and what is done about it here: test ids, environment values and links
go into the page as markup (every cell is replaced, the environment is ours); only pytest's own outcomes
exist (each of ours takes the place of one of them, under its own name and colour); without JavaScript the
page is empty (`finish` adds a plain table); the page carries no content security policy (`finish` adds one
that allows the page's own script and style and nothing else).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from html import escape
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_html
from pytest_html.basereport import BaseReport
from pytest_metadata.plugin import metadata_key

from acceptance.check import Evidence
from acceptance.evidence.record import CheckRecord, ItemRecord, RunRecord
from acceptance.outcome import Outcome, Severity, graded
from acceptance.report import view
from acceptance.report.signoff import LARGEST, LIMITS, digest, shortened
from acceptance.report.text import visible

_AnyReport = pytest.TestReport | pytest.CollectReport

_RESOURCES: Final = Path(pytest_html.__file__).parent / "resources"

_PLACES: Final = {
    Outcome.FAIL: "failed",
    Outcome.UNKNOWN: "error",
    Outcome.WARN: "xfailed",
    Outcome.WAIVED: "xpassed",
    Outcome.NOT_APPLICABLE: "skipped",
    Outcome.NOT_RUN: "rerun",
    Outcome.PASS: "passed",
}
"""Which of pytest-html's outcomes each of ours takes the place of: its script filters and sorts by them."""

_OF_PYTEST: Final = {
    "passed": Outcome.PASS,
    "failed": Outcome.FAIL,
    "skipped": Outcome.NOT_APPLICABLE,
}

_CSS: Final = """
body { min-width: 0; margin: 1.5rem; color: #1c2329; font-size: 13px; overflow-wrap: anywhere; }
a, #results-table, .filters button, .collapse button { color: #1c2329; font-size: 13px; }
#results-table td { vertical-align: top; }
#environment td { min-width: 6rem; }
.results-table-row .col-result { display: none; }
.col-outcome, .col-item, .col-severity, .col-duration, th { white-space: nowrap; }
.col-outcome { font-weight: bold; }
.col-outcome.pass, span.passed { color: #1d6b41; }
.col-outcome.fail, .verdict.no-go, span.failed { color: #a3211c; }
.col-outcome.warn, .col-outcome.waived, .verdict.hold, span.xfailed, span.xpassed { color: #8a5300; }
.col-outcome.unknown, .col-outcome.not-run, span.error, span.rerun { color: #55408f; }
.col-outcome.not-applicable, span.skipped { color: #5c6670; }
.verdict.go { color: #1d6b41; }
.verdict { font-size: 24px; font-weight: bold; }
.banner { padding: 8px 12px; background: #f6d56b; color: #2b2100; font-weight: bold; }
.logwrapper, .logwrapper .log { max-height: none; background: #f7f6f3; }
.logwrapper .logexpander, .media { display: none; }
.logwrapper .log { top: 0; height: auto; min-height: 0; padding: 8px; }
.listed li { margin: 4px 0; }
.plain { width: 100%; }
.plain th, .plain td { padding: 5px; border: 1px solid #d9d6ce; text-align: left; vertical-align: top; }
.plain pre { margin: 0; white-space: pre-wrap; }
@media (max-width: 44rem) {
  .summary__data, .controls { display: block; }
  .filters, .collapse { flex-wrap: wrap; }
  #results-table :is(.col-severity, .col-check, .col-duration) { display: none; }
  #results-table :is([data-column-type="severity"], [data-column-type="check"]) { display: none; }
  #results-table [data-column-type="duration"] { display: none; }
  .col-outcome, .col-item { white-space: normal; }
  .col-claim { min-width: 9rem; }
}
"""

_WITHOUT_SCRIPT: Final = ".summary, #results-table, #environment, #environment-header { display: none; }"

_SHARED: Final = LARGEST - 200_000
"""Bytes that the checks of a page share; pytest-html's script and style take the rest."""

_ROW: Final = 2500
"""Bytes of a check's row but for what is told of it, twice over: once for the script, once in the table."""

_LEAST: Final = 400
"""Bytes that are told of a check however many there are."""

_ELEMENT = re.compile(r"<(script|style)[^>]*>(.*?)</\1>", re.DOTALL)


def configure(config: pytest.Config, path: Path) -> None:
    """Switch pytest-html on: a self-contained report at `path`.

    To be called before pytest-html's own `pytest_configure`, from one with `tryfirst=True`.
    """
    config.option.htmlpath = str(path)
    config.option.self_contained_html = True


class HtmlRows:
    """A pytest plugin that fills pytest-html's table from our records.

    Args:
        lookup: returns the check of a node id, or None; asked when the test's teardown is reported, so the
            check's record has to exist by then.
        items: claim and severity by item id.
        environment: what the environment table shows, nothing else is.
    """

    def __init__(
        self,
        lookup: Callable[[str], CheckRecord | None],
        items: Mapping[str, tuple[str, Severity]],
        environment: Mapping[str, str],
    ) -> None:
        self._lookup = lookup
        self._items = items
        self._environment = environment
        self._shown: Counter[str] = Counter()
        self._checks = 0
        self._report: Any = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Replace the environment that was gathered; pytest-html puts its values into the page as markup."""
        metadata = session.config.stash[metadata_key]
        metadata.clear()
        metadata.update({visible(name): _text(value) for name, value in self._environment.items()})

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note how many checks share the page."""
        self._checks = len(session.items)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Retire pytest-html's writer once it has written, so that the terminal ends with our summary."""
        result = yield
        manager = session.config.pluginmanager
        for plugin in manager.get_plugins():
            if isinstance(plugin, BaseReport):
                manager.unregister(plugin)
        return result

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_report_title(self, report: Any) -> None:  # noqa: ANN401 pytest-html has no types
        """Give the report its title and its outcomes our names."""
        self._report = report
        report.title = "Acceptance report"
        report.set_data("initialSort", "original")
        report.set_data("renderCollapsed", ["passed", "skipped", "rerun"])
        report.outcomes.pop("retried", None)
        for outcome, place in _PLACES.items():
            report.outcomes[place]["label"] = view.WORDS[outcome].capitalize()

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Replace the columns."""
        cells[:] = [
            '<th class="sortable" data-column-type="result" hidden>Result</th>',
            '<th class="sortable" data-column-type="outcome">Outcome</th>',
            '<th class="sortable" data-column-type="item">Item</th>',
            '<th class="sortable" data-column-type="claim">Claim</th>',
            '<th class="sortable" data-column-type="severity">Severity</th>',
            '<th class="sortable" data-column-type="check">Check</th>',
            '<th class="sortable" data-column-type="duration">Duration</th>',
        ]

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_row(self, report: _AnyReport, cells: list[str]) -> None:
        """Replace the cells of a row; nothing of what pytest-html put there stays."""
        outcome, check = self._judged(report)
        claim, severity = self._item(check)
        name = check.name if check else report.nodeid
        if _is_shown(report):
            self._shown[_PLACES[outcome]] += 1
        cells[:] = [
            f'<td class="col-result" hidden>{_PLACES[outcome].capitalize()}</td>',
            _outcome_cell(outcome),
            f'<td class="col-item">{_cell(check.item if check else "")}</td>',
            f'<td class="col-claim">{_cell(claim)}</td>',
            f'<td class="col-severity">{severity}</td>',
            f'<td class="col-check">{_cell(name)}</td>',
            f'<td class="col-duration">{1000 * getattr(report, "duration", 0):.0f} ms</td>',
        ]

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_table_html(self, report: _AnyReport, data: list[str]) -> None:
        """Replace the log of a row by the check's evidence; what no record belongs to keeps its traceback."""
        check = self._lookup(report.nodeid)
        if check is not None:
            data[:] = [_text(line) for line in _details(check, self._checks)]
        elif report.longreprtext:
            data[:] = [_text(shortened(report.longreprtext))]
        else:
            data.clear()

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self) -> None:
        """Count our outcomes in the places of pytest's."""
        for place, counter in self._report.outcomes.items():
            counter["value"] = self._shown[place]

    def _judged(self, report: _AnyReport) -> tuple[Outcome, CheckRecord | None]:
        check = self._lookup(report.nodeid)
        if check is None:
            broken = report.outcome == "failed" and report.when != "call"
            return Outcome.UNKNOWN if broken else _OF_PYTEST[report.outcome], None
        _, severity = self._items.get(check.item, ("", Severity.BLOCKER))
        return graded(check.outcome, severity), check

    def _item(self, check: CheckRecord | None) -> tuple[str, str]:
        if check is None or check.item not in self._items:
            return "", ""
        claim, severity = self._items[check.item]
        return claim, severity.value


def finish(html: str, record: RunRecord) -> str:
    """Return pytest-html's finished file with the verdict, what has no row, a plain table and a policy.

    The plain table is for browsers without JavaScript. To be called once, at the end of the session, before
    the file is written by the one writer.
    """
    page = re.sub(
        r"<p>Report generated on .*?</p>", lambda _: _heading(record), html, count=1, flags=re.DOTALL
    )
    page = re.sub(r'<p class="run-count">.*?</p>', lambda _: _counted(record), page, count=1, flags=re.DOTALL)
    page = page.replace(
        "</head>", f"<style>{_CSS}</style><noscript><style>{_WITHOUT_SCRIPT}</style></noscript></head>", 1
    )
    page = page.replace("<footer>", f"{_apart(record)}<noscript>{_plain(record)}</noscript><footer>", 1)
    page = page.replace("<html>", '<html lang="en">', 1).replace(' onclick="location.reload()"', "", 1)
    return page.replace('<meta charset="utf-8"/>', f'<meta charset="utf-8"/>{_policy(page)}', 1)


def _policy(page: str) -> str:
    allowed: dict[str, list[str]] = {"script": [], "style": []}
    own = (_RESOURCES / "app.js").read_text(encoding="utf-8").strip()
    for kind, content in _ELEMENT.findall(page):
        if kind == "style" or content.strip() == own:
            allowed[kind].append(f"'{digest(content)}'")
    sources = "; ".join(f"{kind}-src {' '.join(hashes)}" for kind, hashes in allowed.items())
    return (
        '<meta http-equiv="Content-Security-Policy" '
        f"content=\"default-src 'none'; {sources}; img-src data:\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
    )


def _heading(record: RunRecord) -> str:
    banner = f'<p class="banner">{view.REHEARSAL}</p>' if record.rehearsal else ""
    target = record.target
    return (
        f'{banner}<p class="verdict {record.verdict.value.lower()}">{record.verdict.value}</p>'
        f"<p>{_text(record.reason)}</p>"
        f"<p>{_text(record.gate)} on {_text(target.name)} ({_text(target.public_name)}), "
        f"{view.utc(record.started)} to {view.utc(record.finished)}, suite {_text(record.suite_version)}</p>"
    )


def _counted(record: RunRecord) -> str:
    checks = sum(len(item.checks) for item in record.items)
    return (
        f'<p class="run-count">{view.count(checks, "check")} of {view.count(len(record.items), "item")}, '
        f"{view.duration(record)}.</p>"
    )


def _apart(record: RunRecord) -> str:
    return _listed("Waived", list(view.with_outcome(record, Outcome.WAIVED))) + _listed(
        "Items without a check", [item for item in record.items if not item.checks]
    )


def _listed(title: str, items: list[ItemRecord]) -> str:
    if not items:
        return ""
    rows = "".join(
        f"<li><b>{_text(item.id)}</b> {_text(item.claim)} ({item.severity.value}; "
        f"{_text(item.reason or view.WORDS[item.outcome])})</li>"
        for item in items
    )
    return f'<section class="listed"><h2>{title}</h2><ul>{rows}</ul></section>'


def _plain(record: RunRecord) -> str:
    checks = [(item, check) for item in record.items for check in item.checks]
    rows = "".join(_plain_row(item, check, len(checks)) for item, check in checks)
    return (
        '<h2>Checks</h2><table class="plain"><thead><tr><th>Outcome</th><th>Item</th><th>Claim</th>'
        f"<th>Severity</th><th>Evidence</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _plain_row(item: ItemRecord, check: CheckRecord, checks: int) -> str:
    details = _text("\n".join(_details(check, checks)))
    return (
        f'<tr>{_outcome_cell(graded(check.outcome, item.severity))}<td class="col-item">{_text(item.id)}</td>'
        f"<td>{_text(item.claim)}</td><td>{item.severity.value}</td>"
        f"<td>{_text(check.name)}<pre>{details}</pre></td></tr>"
    )


def _outcome_cell(outcome: Outcome) -> str:
    return f'<td class="col-outcome {outcome.value}">{view.SYMBOLS[outcome]} {view.WORDS[outcome]}</td>'


def _details(check: CheckRecord, checks: int) -> list[str]:
    """Return what is told of one of so many checks, cut to its share of the page."""
    text = ""
    share = max(_SHARED // max(checks, 1) - _ROW, _LEAST)
    for longest in LIMITS:
        text = "\n".join(_told(check, longest))
        if 2 * len(text) <= share and _weight(text) <= share:
            break
    else:
        text = shortened(text, _LEAST)
    return [f" {line}" if line.startswith("E") else line for line in text.split("\n")]


def _weight(text: str) -> int:
    """Return how many bytes of the page a text takes: for the page's script, and in the plain table."""
    markup = _text(text)
    return len(escape(json.dumps(markup))) + len(markup.encode())


def _told(check: CheckRecord, longest: int) -> list[str]:
    lines = [check.title]
    if check.reason:
        lines.append(f"reason    {shortened(check.reason, longest)}")
    if check.remedy:
        lines.append(f"do        {shortened(check.remedy, longest)}")
    for evidence in check.evidence:
        lines += ["", *_particulars(evidence, longest)]
    return lines


def _particulars(evidence: Evidence, longest: int) -> list[str]:
    return [
        f"claim     {'holds' if evidence.holds else 'does not hold'}",
        f"expected  {shortened(evidence.expected, longest)}",
        f"seen      {shortened(evidence.seen, longest)}",
        f"where     {shortened(evidence.where, longest)}",
        f"again     {shortened(evidence.again, longest)}",
    ]


def _is_shown(report: _AnyReport) -> bool:
    return report.when == "call" or report.outcome != "passed"


def _text(text: str) -> str:
    return escape(visible(text))


def _cell(text: str) -> str:
    return " ".join(_text(text).split())
