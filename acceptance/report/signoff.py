"""The sign-off page: one static file with the verdict, the evidence and a place to sign."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from acceptance.evidence.decision import Decision
from acceptance.evidence.record import RunRecord
from acceptance.facts import watch
from acceptance.facts.base import LookRecord
from acceptance.outcome import Outcome
from acceptance.report import chart, view
from acceptance.report.text import visible

_TEMPLATES: Final = Path(__file__).parent / "templates"
LARGEST: Final = 5_000_000
"""Bytes of a page with 500 checks; the record beside it holds everything."""

LIMITS: Final = (4000, 1000, 250, 60)
"""Characters of one value; a lower limit is taken if the page would be too large. It says where it cuts."""


@dataclass(frozen=True)
class Bar:
    """One line of the timeline; `x` and `width` in thousandths of the longest moment."""

    look: LookRecord
    x: str
    width: str


def render(
    record: RunRecord,
    pictures: Mapping[str, bytes] = MappingProxyType({}),
    decision: Decision | None = None,
) -> str:
    """Return the page as HTML: no script, nothing loaded, the same bytes for the same record.

    Args:
        record: what is shown.
        pictures: the record's screenshots as PNG; one that is missing or not the record's is left out.
        decision: what was decided on the record; without it the page has room for a signature.

    Every text of the record is escaped by the template engine, after characters that act or hide have
    been replaced by visible escapes.
    """
    css = style()
    shown = {
        "record": record,
        "decision": decision,
        "view": view,
        "css": css,
        "policy": policy(css),
        "bars": timeline(record.looks, watch.NOUN.name if record.watch else ""),
        "chart": chart.draw(record.watch) if record.watch else None,
        "failed": view.with_outcome(record, Outcome.FAIL),
        "warned": view.with_outcome(record, Outcome.WARN),
        "waived": view.with_outcome(record, Outcome.WAIVED),
        "questions": view.open_questions(record),
        "total": len(record.items) - len(view.planned(record)),
    }
    sources = images(record, pictures)
    page = ""
    for longest, each in (*((limit, sources) for limit in LIMITS), (LIMITS[-1], {})):
        page = template("signoff.html.j2").render(shown, images=each, longest=longest)
        if len(page.encode()) <= LARGEST:
            break
    return page


def images(record: RunRecord, pictures: Mapping[str, bytes]) -> dict[str, Markup]:
    """Return the address of each of the record's screenshots, which holds the picture itself."""
    return {
        shot.name: Markup("data:image/png;base64,{}").format(base64.b64encode(pictures[shot.name]).decode())
        for shot in record.screenshots
        if hashlib.sha256(pictures.get(shot.name, b"")).hexdigest() == shot.sha256
    }


@cache
def style() -> str:
    """Return the page's style sheet."""
    return (_TEMPLATES / "signoff.css").read_text(encoding="utf-8")


def policy(css: str) -> str:
    """Return the content security policy of a page whose only style is the given one."""
    return f"default-src 'none'; style-src '{digest(css)}'; img-src data:"


def digest(content: str) -> str:
    """Return the hash of an inline element's content as a content security policy writes it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def timeline(looks: tuple[LookRecord, ...], charted: str = "") -> tuple[Bar, ...]:
    """Return the looks in the order in which they began, with their place on a common scale.

    Args:
        looks: all of them.
        charted: the fact that has a chart of its own; it would make every other bar too short to be seen.
    """
    looks = tuple(look for look in looks if look.fact != charted)
    end = max((look.started_s + look.seconds for look in looks), default=0) or 1
    ordered = sorted(looks, key=lambda look: (look.started_s, look.fact))
    return tuple(
        Bar(
            look=look,
            x=f"{1000 * look.started_s / end:.1f}",
            width=f"{max(1000 * look.seconds / end, 4):.1f}",
        )
        for look in ordered
    )


def shortened(value: str, longest: int = LIMITS[0]) -> str:
    """Return the value, or its beginning and a note on its length."""
    if len(value) <= longest:
        return value
    return f"{value[:longest]}\n… the first {longest} of {len(value)} characters"


@cache
def template(name: str) -> Template:
    """Return a page's template; every text that is put into it is shortened, made visible and escaped.

    Texts are cut after `longest` characters, if the template is rendered with it.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


@pass_context
def _finalize(context: Context, value: object) -> object:
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return visible(shortened(value, context.get("longest", LIMITS[0])))
