"""A page in a browser, watched for anything that it does by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from acceptance.report.text import visible
from acceptance.transports.browser import ONLY_THE_PAGE, executable

_LISTEN = "window.fired = () => { window.hasFired = true }"
_POKE = """async () => {
  for (const element of document.querySelectorAll('body *')) {
    if (element instanceof HTMLDetailsElement) element.open = true
    for (const kind of ['mouseover', 'focus', 'load', 'error']) element.dispatchEvent(new Event(kind))
  }
  await new Promise((done) => setTimeout(done, 60))
  return window.hasFired === true
}"""
_SUSPECTS = """() => [...document.querySelectorAll('*')].flatMap((element) =>
  [...element.attributes]
    .filter(({ name, value }) => name.startsWith('on') || /^\\s*javascript:/i.test(value))
    .map(({ name, value }) => `${element.tagName} ${name}=${value}`)
    .concat(/^(IFRAME|OBJECT|EMBED|BASE|FORM)$/.test(element.tagName) ? [element.tagName] : []))"""
_SKELETON = "() => [...document.querySelectorAll('*')].map((element) => element.tagName).join(' ')"


@dataclass
class Visit:
    """An open page, and what it did by itself."""

    page: Page
    events: list[str] = field(default_factory=list)

    @property
    def fires(self) -> bool:
        """True if anything of what was planted runs once everything is opened and hovered over."""
        for button in self.page.get_by_text("Show all details").all():
            button.click()
        return bool(self.page.evaluate(_POKE))

    @property
    def suspects(self) -> list[str]:
        """Elements and attributes that none of the reports has."""
        found: list[str] = self.page.evaluate(_SUSPECTS)
        return found

    @property
    def skeleton(self) -> str:
        """The names of all its elements, in order."""
        return str(self.page.evaluate(_SKELETON))

    @property
    def text(self) -> str:
        """What there is to be read, folded or not."""
        return " ".join((self.page.locator("body").text_content() or "").split())


@contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium once for many visits."""
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=executable(), args=[ONLY_THE_PAGE]) as started,
    ):
        yield started


@contextmanager
def visited(chromium: Browser, html: str, path: Path, *, scripts: bool = True) -> Iterator[Visit]:
    """Open a page from a file, as its reader would."""
    path.write_text(html, encoding="utf-8")
    with chromium.new_context(java_script_enabled=scripts) as context:
        visit = Visit(context.new_page())
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
        yield visit


def without_policy(html: str) -> str:
    """Return the page without its content security policy, so that escaping alone protects it."""
    bare, number = re.subn(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", html)
    assert number == 1
    return bare


def told(text: str) -> str:
    """Return a text as a page shows it."""
    return " ".join(visible(text).split())
