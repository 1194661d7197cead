"""The run as JUnit XML, for the build server."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from acceptance.evidence.record import CheckRecord, ItemRecord, RunRecord
from acceptance.outcome import Outcome, Severity, graded
from acceptance.report import view
from acceptance.report.text import visible


def render(record: RunRecord) -> str:
    """Return the run as JUnit XML: one suite, one case per check, and one per item that has no check.

    A failed blocker is a failure; unknown and not run are errors; not applicable is skipped. A failed
    advisory and a waived item are told by the property `outcome` alone. Characters that XML 1.0 does not
    allow are shown as escapes.
    """
    suite = Element("testsuite", name=visible(record.gate))
    _properties(suite, _of_run(record))
    for item in record.items:
        for check in item.checks:
            _add_check(suite, record, item, check)
        if not item.checks:
            _add_item(suite, record, item)
    root = Element("testsuites")
    root.append(suite)
    for element in (suite, root):
        _count(element, suite, record)
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _of_run(record: RunRecord) -> dict[str, str]:
    return {
        "verdict": record.verdict.value,
        "reason": record.reason,
        "target": record.target.name,
        "rehearsal": _boolean(record.rehearsal),
        "suite-version": record.suite_version,
        "started": view.utc(record.started),
        "finished": view.utc(record.finished),
    }


def _add_check(suite: Element, record: RunRecord, item: ItemRecord, check: CheckRecord) -> None:
    name = f"{item.id} {check.name.split('::', 1)[-1]}"
    case = _case(suite, item, name, check.seconds)
    _properties(case, _of_case(record, item, graded(check.outcome, item.severity)))
    if item.outcome is not Outcome.WAIVED:
        _result(case, item, check.outcome, check.reason, _details(check))


def _add_item(suite: Element, record: RunRecord, item: ItemRecord) -> None:
    case = _case(suite, item, item.id, 0)
    _properties(case, _of_case(record, item, item.outcome))
    _result(case, item, item.outcome, item.reason, "")


def _case(suite: Element, item: ItemRecord, name: str, seconds: float) -> Element:
    return SubElement(
        suite, "testcase", classname=visible(item.section), name=visible(name), time=f"{seconds:.3f}"
    )


def _of_case(record: RunRecord, item: ItemRecord, outcome: Outcome) -> dict[str, str]:
    return {
        "item": item.id,
        "severity": item.severity.value,
        "outcome": outcome.value,
        "item-outcome": item.outcome.value,
        "target": record.target.name,
        "rehearsal": _boolean(record.rehearsal),
    }


def _result(case: Element, item: ItemRecord, outcome: Outcome, reason: str, details: str) -> None:
    if outcome is Outcome.FAIL and item.severity is Severity.BLOCKER:
        tag = "failure"
    elif outcome in (Outcome.UNKNOWN, Outcome.NOT_RUN):
        tag = "error"
    elif outcome is Outcome.NOT_APPLICABLE:
        tag = "skipped"
    else:
        return
    result = SubElement(case, tag, type=outcome.value, message=visible(reason))
    result.text = visible(details) or None


def _details(check: CheckRecord) -> str:
    lines = [check.title]
    for evidence in check.evidence:
        lines += [
            f"expected: {evidence.expected}",
            f"seen: {evidence.seen}",
            f"where: {evidence.where}",
            f"again: {evidence.again}",
        ]
    if check.remedy:
        lines.append(f"do: {check.remedy}")
    return "\n".join(lines)


def _properties(parent: Element, values: dict[str, str]) -> None:
    properties = SubElement(parent, "properties")
    for name, value in values.items():
        SubElement(properties, "property", name=name, value=visible(value))


def _count(element: Element, suite: Element, record: RunRecord) -> None:
    for attribute, path in (
        ("tests", "testcase"),
        ("failures", "testcase/failure"),
        ("errors", "testcase/error"),
        ("skipped", "testcase/skipped"),
    ):
        element.set(attribute, str(len(suite.findall(path))))
    seconds = sum(check.seconds for item in record.items for check in item.checks)
    element.set("time", f"{seconds:.3f}")


def _boolean(value: bool) -> str:
    return "true" if value else "false"
