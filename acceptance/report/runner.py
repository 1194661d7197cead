"""A run's verdict in the words of a CI runner: annotations in its log, and a summary in Markdown."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import Any

from acceptance.report.text import one_line

SHOWN = 10
"""Annotations for single items; a runner keeps about as many per step, the summary names them all."""

_LONGEST = 400
_NOT_FINE = ("fail", "unknown", "not-run")


def log_commands(verdict: Mapping[str, Any]) -> Iterator[str]:
    """Yield the runner's log commands: one for the verdict, then one for each blocker that holds it up.

    NO-GO and HOLD are errors with titles of their own; GO is a notice. The text is escaped as GitHub's and
    Gitea's runners expect it, so that nothing a server said can become a command of its own.

    Args:
        verdict: the content of verdict.json.
    """
    level = "notice" if verdict["verdict"] == "GO" else "error"
    yield _command(
        level, f"{verdict['verdict']}: {verdict['gate']} on {verdict['target']}", verdict["reason"]
    )
    for item in _open(verdict)[:SHOWN]:
        title = f"{item['id']}: {_outcome(item)}"
        yield _command("error" if item["outcome"] == "fail" else "warning", title, item["reason"])


def summary(verdict: Mapping[str, Any]) -> str:
    """Return the summary in Markdown; what came from elsewhere stands in it as text only.

    Args:
        verdict: the content of verdict.json.
    """
    lines = [
        f"## {verdict['verdict']}: {_text(verdict['gate'])} on {_text(verdict['target'])}",
        "",
        _text(verdict["reason"]),
    ]
    if verdict["rehearsal"]:
        lines += ["", "**REHEARSAL — not evidence about production.**"]
    found = _open(verdict)
    if found:
        lines += ["", "| blocker | outcome | why |", "|---|---|---|"]
        lines += [f"| {_text(item['id'])} | {_outcome(item)} | {_text(item['reason'])} |" for item in found]
    counted = len(verdict["items"])
    lines += ["", f"{counted} items; the bundle of the run is kept as an artefact, its page is signoff.html."]
    return "\n".join(lines) + "\n"


def _open(verdict: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the blockers that keep the verdict from GO, failed ones first."""
    found = [
        item for item in verdict["items"] if item["severity"] == "blocker" and item["outcome"] in _NOT_FINE
    ]
    return sorted(found, key=lambda item: _NOT_FINE.index(item["outcome"]))


def _outcome(item: Mapping[str, Any]) -> str:
    return {"fail": "failed", "unknown": "unknown", "not-run": "did not run"}[str(item["outcome"])]


def _cut(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _command(level: str, title: str, message: str) -> str:
    data = _cut(message).replace("%", "%25")
    properties = _cut(title).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={properties}::{data}"


def _text(text: str) -> str:
    """Return text that Markdown shows as it is: no HTML, no table cell, no link, no emphasis."""
    escaped = html.escape(_cut(text))
    return "".join(f"&#{ord(each)};" if each in "|`*_[]()!#~\\<>@" else each for each in escaped)
