"""Chromium, driven by Playwright: shows pages of the public name and changes nothing there.

The browser is one that this machine has already; none is downloaded. It gets a profile and a home of its own
that vanish with it, and is told on its command line where the public name is and which certificate the suite
has verified: nothing of the machine changes.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.async_api import Browser as Chromium
from playwright.async_api import (
    BrowserContext,
    BrowserType,
    ConsoleMessage,
    Error,
    Page,
    Request,
    Response,
    Route,
    WebSocketRoute,
    async_playwright,
)
from playwright.async_api import TimeoutError as TookTooLong
from pydantic import BaseModel, ConfigDict

from acceptance.errors import RefusedError, UnavailableError
from acceptance.excerpt import cut
from acceptance.guard import Guard
from acceptance.ledger import Ledger
from acceptance.sections.public import Public

PROGRAMS: Final = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
"""Where a browser is looked for if the environment's CHROME names none."""

WIDTH, HEIGHT = 1280, 800
"""The size of the window, and of every picture, in pixels."""

SETTLE_S: Final = 5.0
"""How long a loaded page may go on asking for things before it is looked at as it is."""

MOST_MOVES: Final = 3
"""How often a page that goes on to another one is looked at again."""

START_S: Final = 30.0
"""How long the browser may take to start."""

CONTENT_LIMIT: Final = 1024 * 1024
"""Longest document kept, in characters."""

_SHORT: Final = Path("/tmp")  # noqa: S108 - the directory in it is made safely
"""Chromium puts a socket into its temporary directory, and a socket's path has 104 characters at most."""

_QUIET: Final = (
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-client-side-phishing-detection",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-quic",
    "--disable-sync",
)

SWITCHED_OFF: Final = (
    *("AvoidCorsURLLoaderRestartOnRedirect", "AvoidUnnecessaryBeforeUnloadCheckSync"),
    *("DestroyProfileOnBrowserClose", "HttpsFirstBalancedModeAutoEnable", "HttpsUpgrades", "LensOverlay"),
    *("MediaRouter", "NetworkTimeServiceQuerying", "OptimizationHints", "PaintHolding", "PreconnectToSearch"),
    *("TcpPortRandomizationWin", "ThirdPartyStoragePartitioning"),
    *("msEdgeUpdateLaunchServicesPreferredVersion", "msForceBrowserSignIn"),
    *("AimEnabled", "WebUIOmniboxAimPopup", "WebUIOmniboxPopup"),
)
"""Chromium's features that are not wanted: those that Playwright 1.65 names, whose list this one replaces,
and the drop-downs of the address bar. Nobody sees that; still, Chromium 156 draws them for each tab, which
takes it longer than the page itself.
"""

ONLY_THE_PAGE: Final = f"--disable-features={','.join(SWITCHED_OFF)}"
"""The same, as Chromium's command line says it."""

_HELD_BACK: Final = "net::ERR_BLOCKED_BY_CLIENT"
_GIVEN_UP: Final = "net::ERR_ABORTED"
"""Why a request failed that the suite held back, and one that the page itself gave up."""

_MOVED_ON: Final = "Execution context was destroyed"
"""Playwright's words for a page that went away while it was asked."""

_DESCRIBE: Final = """\
(selectors) => {
  const canvas = document.createElement('canvas')
  const paint = canvas.getContext('2d', { willReadFrequently: true })
  const colour = (value) => {
    paint.clearRect(0, 0, 1, 1)
    paint.fillStyle = 'transparent'
    paint.fillStyle = value
    paint.fillRect(0, 0, 1, 1)
    const [red, green, blue, alpha] = paint.getImageData(0, 0, 1, 1).data
    const hex = [red, green, blue].map((part) => part.toString(16).padStart(2, '0')).join('')
    return alpha === 255 ? `#${hex}` : ''
  }
  const describe = (element) => {
    const box = element.getBoundingClientRect()
    const style = getComputedStyle(element)
    const picture = element instanceof HTMLImageElement
    return {
      visible: box.width > 0 && box.height > 0
        && element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }),
      text: (element.innerText ?? '').trim().slice(0, 200),
      width: Math.round(box.width),
      height: Math.round(box.height),
      natural_width: picture ? element.naturalWidth : Math.round(box.width),
      natural_height: picture ? element.naturalHeight : Math.round(box.height),
      address: picture ? element.currentSrc : '',
      colours: {
        'background-color': colour(style.backgroundColor),
        'color': colour(style.color),
        'border-top-color': colour(style.borderTopColor),
      },
    }
  }
  const found = (selector) => {
    try {
      return [...document.querySelectorAll(selector)].slice(0, 500).map(describe)
    } catch (error) {
      return null
    }
  }
  return Object.fromEntries(Object.entries(selectors).map(([name, selector]) => [name, found(selector)]))
}
"""


_SHOWN: Final = """\
() => [document.documentElement.innerText,
  ...[...document.querySelectorAll('input, textarea')].map((field) => field.value || field.placeholder),
].join('\\n')
"""

_Objection = Literal["", "no read", "elsewhere"]
"""Why a request may not pass; empty if it may."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Element(_Model):
    """An element of a page as it is drawn; lengths in CSS pixels.

    Attributes:
        text: at most its first 200 characters.
        natural_width, natural_height: an image's own size, 0 if it did not load; of anything else the box.
        address: where an image came from.
        colours: `#rrggbb` by CSS property, empty where it is not opaque.
    """

    visible: bool
    text: str
    width: int
    height: int
    natural_width: int
    natural_height: int
    address: str
    colours: dict[str, str]


class Hop(_Model):
    """One document on the way to the page, redirects included."""

    status: int
    url: str


class View(_Model):
    """A page as the browser shows it.

    Attributes:
        url: where the browser ended.
        hops: every document of the main frame, in order; the last one is the page.
        content: the page's document as the server sent it, empty if the browser did not keep it.
        elements: what each selector found, in the order of the document, at most 500 each.
        problem: the browser's reason why it shows the page not or not quite; empty if it does.
        console_errors: what was logged as an error, with its place; not that a request failed.
        script_errors: exceptions that no script caught.
        failed_requests: answered with 400 or more, or not at all.
        held_back: requests that the suite did not let pass, because they were not reads.
        elsewhere: requests that it did not let pass, because they went to a host that is not declared.
        shown: the text of the window, what stands in its fields included.
        picture: a PNG of the window.
    """

    url: str
    hops: tuple[Hop, ...]
    title: str
    content: str
    elements: dict[str, tuple[Element, ...]]
    problem: str
    console_errors: tuple[str, ...]
    script_errors: tuple[str, ...]
    failed_requests: tuple[str, ...]
    held_back: tuple[str, ...]
    elsewhere: tuple[str, ...]
    shown: str
    picture: bytes

    @property
    def status(self) -> int:
        """The page's own HTTP status."""
        return self.hops[-1].status


def executable() -> str:
    """Return the path of a browser on this machine.

    Raises:
        UnavailableError: there is none, or the environment's CHROME names none.
    """
    named = os.environ.get("CHROME")
    found = filter(None, map(shutil.which, [named] if named else PROGRAMS))
    program = next(found, None)
    if program is None:
        raise UnavailableError(
            f"CHROME={named} is no program" if named else "this machine has no Chromium or Chrome",
            "apt-get install chromium (macOS: brew install --cask chromium), or set CHROME to its path",
        )
    return program


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the hash of a certificate's public key as Chromium's command line wants it."""
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


def name_rules(public: Public, elsewhere: tuple[str, ...]) -> str:
    """Return Chromium's rules of name resolution: the public name where it is today, and no other name.

    The first rule that fits counts.
    """
    rules = []
    for port, endpoint in ((443, public.connect_https), (80, public.connect_http)):
        if endpoint is not None:
            rules.append(f"MAP {public.name}:{port} {endpoint.address}:{endpoint.port}")
    excluded = [f"EXCLUDE {name}" for name in elsewhere]
    if public.connect_https is None:
        excluded.append(f"EXCLUDE {public.name}")
    return ", ".join([*rules, "MAP * ~NOTFOUND", *excluded])


class Browser:
    """One browser for a run, started when the first page is wanted.

    Args:
        elsewhere: other hosts that pages may load from.
        certificate: returns the public name's certificate, verified by the target's own authority.
    """

    def __init__(
        self,
        public: Public,
        elsewhere: tuple[str, ...],
        guard: Guard,
        ledger: Ledger,
        certificate: Callable[[], Awaitable[x509.Certificate]],
    ) -> None:
        self._public = public
        self._elsewhere = elsewhere
        self._guard = guard
        self._ledger = ledger
        self._certificate = certificate
        self._resources = AsyncExitStack()
        self._starting: asyncio.Task[Chromium] | None = None
        self._visitors: dict[str, asyncio.Task[BrowserContext]] = {}

    async def view(self, path: str, selectors: Mapping[str, str], *, cookie: str = "") -> View:
        """Show a page in a tab of its own and describe it once it has settled.

        Args:
            path: path and query.
            selectors: CSS selectors of the elements to describe, each under a name.
            cookie: a session's `name=value`; without it the visitor is a stranger.

        Raises:
            UnavailableError: no browser, no answer, or a selector is wrong.
        """
        url = f"https://{self._public.name}{path}"
        chromium = await self._started()
        try:
            async with AsyncExitStack() as stack:
                page = await (await self._visitor(chromium, cookie)).new_page()
                stack.push_async_callback(page.close)
                visit = _Visit(page, self._objection, self._ledger)
                await page.route("**/*", visit.on_route)
                await page.route_web_socket("**/*", visit.on_web_socket)
                await visit.go(url, self._public.timeout_s)
                return await visit.describe_once_still(selectors)
        except TookTooLong as error:
            raise UnavailableError(
                f"{url}: the browser did not finish it within {self._public.timeout_s:g} s"
            ) from error
        except Error as error:
            raise UnavailableError(
                f"https://{self._public.name}: the browser got no answer ({_reason(error)})"
            ) from error

    async def start(self) -> None:
        """Start the browser, if that has not begun.

        Raises:
            UnavailableError: this machine has none, it does not start, or the server is not to be trusted.
        """
        await self._started()

    async def close(self) -> None:
        """End the browser and remove what it kept."""
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)
        await self._resources.aclose()

    async def _started(self) -> Chromium:
        if self._starting is None:
            self._starting = asyncio.create_task(self._start(), name="browser")
        return await asyncio.shield(self._starting)

    async def _start(self) -> Chromium:
        program = executable()
        rules = name_rules(self._public, self._elsewhere)
        flags = [*_QUIET, ONLY_THE_PAGE, f"--host-resolver-rules={rules}"]
        if self._public.ca_file is not None:
            key = fingerprint(await self._certificate())
            flags.append(f"--ignore-certificate-errors-spki-list={key}")
        home = self._resources.enter_context(
            tempfile.TemporaryDirectory(prefix="acceptance-browser-", dir=_SHORT if _SHORT.is_dir() else None)
        )
        try:
            playwright = await self._resources.enter_async_context(async_playwright())
            chromium = await _launched(playwright.chromium, program, flags, home)
        except (Error, OSError) as error:
            raise UnavailableError(
                f"{program} did not start ({_reason(error)})", f"start {program} --headless by hand"
            ) from error
        self._resources.push_async_callback(chromium.close)
        return chromium

    async def _visitor(self, chromium: Chromium, cookie: str) -> BrowserContext:
        """Return the window of a stranger or of a session's owner; they share nothing."""
        if cookie not in self._visitors:
            self._visitors[cookie] = asyncio.create_task(self._window(chromium, cookie), name="window")
        return await asyncio.shield(self._visitors[cookie])

    async def _window(self, chromium: Chromium, cookie: str) -> BrowserContext:
        context = await chromium.new_context(
            viewport={"width": WIDTH, "height": HEIGHT},
            service_workers="block",
            accept_downloads=False,
            reduced_motion="reduce",
        )
        await context.route("**/*", _refuse)  # whatever opens itself, beside the tabs that are watched
        name, _, value = cookie.partition("=")
        if name:
            origin = f"https://{self._public.name}"
            secure = name.startswith(("__Secure-", "__Host-"))
            await context.add_cookies([{"name": name, "value": value, "url": origin, "secure": secure}])
        return context

    def _objection(self, method: str, url: str) -> _Objection:
        """Tell why a request of a page must not be sent; whatever passes is declared."""
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if parts.scheme not in ("http", "https"):
            return ""
        if parts.hostname != self._public.name and parts.hostname not in self._elsewhere:
            self._guard.refuse("browser", method, f"{parts.hostname}{path}", "not for a host of the target")
            return "elsewhere"
        name = f"page-{method.lower()}" if parts.hostname == self._public.name else "page-elsewhere"
        try:
            self._guard.page(name, method, path)
        except RefusedError:
            return "no read"
        return ""


class _Visit:
    """One page in one window: lets its requests pass or not, and notes what happens."""

    def __init__(self, page: Page, objection: Callable[[str, str], _Objection], ledger: Ledger) -> None:
        self._page = page
        self._objection = objection
        self._ledger = ledger
        self._navigated = ""
        self._problem = ""
        self._documents: list[Response] = []
        self._console: list[tuple[str, str]] = []
        self._scripts: list[str] = []
        self._failed: list[tuple[str, str]] = []
        self._stopped: list[tuple[str, str, _Objection]] = []
        page.on("request", self._on_request)
        page.on("response", self._on_response)
        page.on("requestfailed", self._on_failure)
        page.on("console", self._on_console)
        page.on("pageerror", self._on_script_error)

    async def on_route(self, route: Route) -> None:
        """Let a request pass, or end it before it leaves."""
        request = route.request
        objection = self._objection(request.method, request.url)
        with contextlib.suppress(Error):  # the window was closed meanwhile
            if objection:
                told = f"{request.method} {_short(request.url)}"
                self._stopped.append((request.url, told, objection))
                await route.abort("blockedbyclient")
            else:
                await route.continue_()

    async def on_web_socket(self, socket: WebSocketRoute) -> None:
        """End a websocket before it leaves: what it would say cannot be told from a change."""
        self._stopped.append((socket.url, f"websocket {_short(socket.url)}", "no read"))
        await socket.close()

    def _on_request(self, request: Request) -> None:
        if request.is_navigation_request() and request.resource_type == "document":
            self._navigated = request.url

    def _on_response(self, response: Response) -> None:
        request = response.request
        self._note(request, str(response.status))
        if request.is_navigation_request() and response.frame == self._page.main_frame:
            self._documents.append(response)
        if response.status >= 400:
            self._failed.append(
                (request.url, f"HTTP {response.status} for {request.method} {_short(request.url)}")
            )

    def _on_failure(self, request: Request) -> None:
        reason = request.failure or "no answer"
        self._note(request, reason)
        told = any(url == request.url for url, _ in self._failed)
        if not told and not reason.startswith((_HELD_BACK, _GIVEN_UP)):
            self._failed.append((request.url, f"{reason} for {request.method} {_short(request.url)}"))

    def _note(self, request: Request, result: str) -> None:
        if not result.startswith(_HELD_BACK):
            self._ledger.record(
                "browser",
                f"page-{request.method.lower()}",
                detail=f"{request.method} {request.url}",
                result=result,
            )

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            place = message.location["url"]
            self._console.append((place, f"{message.text} ({_short(place)})"))

    def _on_script_error(self, error: Error) -> None:
        self._scripts.append(_reason(error))

    async def go(self, url: str, timeout_s: float) -> None:
        """Load the page and let it settle.

        Raises:
            playwright.async_api.Error: nothing answered, or not in time.
        """
        try:
            await self._page.goto(url, wait_until="load", timeout=1000 * timeout_s)
        except TookTooLong:
            raise
        except Error as error:
            if not self._documents:
                raise
            self._problem = _reason(error)
        await self._settle()

    async def describe_once_still(self, selectors: Mapping[str, str]) -> View:
        """Return what the window shows, also of a page that goes on to another while it is looked at.

        Chromium shows its own page for a navigation that failed, some time after it told the failure.

        Raises:
            UnavailableError: a selector is not valid, or no document came at all.
            playwright.async_api.Error: the page never stood still.
        """
        for _ in range(MOST_MOVES):
            try:
                return await self._describe(selectors)
            except Error as error:
                if _MOVED_ON not in str(error):
                    raise
            await self._settle()
        return await self._describe(selectors)

    async def _settle(self) -> None:
        with contextlib.suppress(TookTooLong):
            await self._page.wait_for_load_state("networkidle", timeout=1000 * SETTLE_S)

    async def _describe(self, selectors: Mapping[str, str]) -> View:
        found = await self._page.evaluate(_DESCRIBE, dict(selectors))
        wrong = [selectors[name] for name, elements in found.items() if elements is None]
        if wrong:
            raise UnavailableError(
                f"{wrong[0]!r} is no CSS selector", "correct it under [pages] in the target file"
            )
        if not self._documents:
            raise UnavailableError(f"{self._page.url}: the browser got no document")
        told = {url for url, *_ in (*self._stopped, *self._failed)}
        return View(
            url=self._navigated if self._problem else self._page.url,
            hops=tuple(Hop(status=document.status, url=document.url) for document in self._documents),
            title=await self._page.title(),
            content=await self._content(),
            elements={name: tuple(map(Element.model_validate, elements)) for name, elements in found.items()},
            problem=self._problem,
            console_errors=tuple(
                text
                for url, text in self._console
                if url not in told or not text.startswith("Failed to load resource")
            ),
            script_errors=tuple(self._scripts),
            failed_requests=tuple(text for _, text in self._failed),
            held_back=tuple(text for _, text, objection in self._stopped if objection == "no read"),
            elsewhere=tuple(text for _, text, objection in self._stopped if objection == "elsewhere"),
            shown=str(await self._page.evaluate(_SHOWN))[:CONTENT_LIMIT],
            picture=await self._page.screenshot(type="png", animations="disabled"),
        )

    async def _content(self) -> str:
        try:
            return (await self._documents[-1].text())[:CONTENT_LIMIT]
        except (Error, UnicodeDecodeError):
            return ""


async def _refuse(route: Route) -> None:
    with contextlib.suppress(Error):  # the window was closed meanwhile
        await route.abort("blockedbyclient")


async def _launched(kind: BrowserType, program: str, flags: list[str], home: str) -> Chromium:
    """Start the browser in its sandbox; where it cannot have one (root, most containers), without."""
    options: dict[str, Any] = {
        "executable_path": program,
        "args": flags,
        "env": {"HOME": home, "TMPDIR": home, "PATH": os.environ.get("PATH", os.defpath)},
        "timeout": 1000 * START_S,
        "handle_sigint": False,
        "handle_sigterm": False,
        "handle_sighup": False,
    }
    if os.geteuid() != 0:
        with contextlib.suppress(Error):
            return await kind.launch(chromium_sandbox=True, **options)
    return await kind.launch(chromium_sandbox=False, **options)


def _reason(error: Exception) -> str:
    """Return the first line of an error without Playwright's name of the method."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return cut(line.removeprefix("Page.goto: ").split(" at http", 1)[0], 200)


def _short(url: str) -> str:
    """Return an address without its query, for people."""
    return cut(url.partition("?")[0], 200)
