"""The pages in a real browser: login and its branding, the guard, and what a signed-in user is shown."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from acceptance.errors import UnavailableError
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, T, Unavailable

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.facts.session import Session
    from acceptance.target import Target
    from acceptance.transports.browser import Element, View
    from acceptance.transports.http import HttpAnswer

SMALLEST: Final = 16
"""Pixels that a logo must have each way; a placeholder has one."""

TOLERANCE: Final = 2
"""By how much of 255 each part of a colour may differ: other colour spaces do not come back exactly."""

FORM: Final = {
    "email field": 'input[type="email"], input[name="email" i], input[autocomplete~="username"]',
    "password field": 'input[type="password"]',
    "submit button": 'form button[type="submit"], form button:not([type]), form input[type="submit"]',
}
"""What a login form has, each with a selector."""

PAYLOAD_HOPS: Final = 3
"""Redirects to the same path that are followed: Next.js adds a parameter to its payload's address."""

_AS_IT_IS: Final = "correct it under [pages] in the target file"


class Rendered(Fact):
    """A page as the browser showed it.

    Attributes:
        asked: the path that was asked for; `assumed` if the plan does not state it.
        path: where the browser ended, with the host if it is another one.
        http_status: of the page where it ended.
        hops: the documents on the way.
        problem: why the browser shows it not or not quite.
        held_back: what the page wanted to send and the suite held back, because it was no read.
        elsewhere: what it wanted to load from hosts that the target does not name.
    """

    asked: str
    assumed: bool
    path: str
    http_status: int
    hops: tuple[str, ...]
    problem: str = ""
    console_errors: tuple[str, ...] = ()
    script_errors: tuple[str, ...] = ()
    failed_requests: tuple[str, ...] = ()
    held_back: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    source: Source

    @property
    def summary(self) -> str:
        """Where the browser ended and with what status."""
        return f"HTTP {self.http_status} at {self.path} {self.problem}".strip()

    @property
    def way(self) -> str:
        """Every document on the way."""
        return f"{' → '.join(self.hops)} {self.problem}".strip()

    def status(self) -> int:
        """Return the page's status.

        Raises:
            UnavailableError: the path was only assumed, and nothing is there.
        """
        if self.assumed and self.http_status == 404:
            raise UnavailableError(f"assumed name not found: the page {self.asked}", _AS_IT_IS)
        return self.http_status

    def troubles(self) -> tuple[str, ...]:
        """Return failed requests, uncaught exceptions and what was logged as an error.

        Raises:
            UnavailableError: the suite held something back, and what is wrong, or would have been, may
                come of that.
        """
        doubtful = (*self.script_errors, *self.console_errors)
        if not self.failed_requests and self.elsewhere:
            raise UnavailableError(
                f"{self.asked} loads from a host that the target does not name: {self.elsewhere[0]}",
                "add the host to pages.elsewhere in the target file, if it should",
            )
        if not self.failed_requests and doubtful and self.held_back:
            raise UnavailableError(
                f"{doubtful[0]} at {self.asked}, where {self.held_back[0]} was held back as it is no read",
                "look at the page's console by hand",
            )
        return (*self.failed_requests, *doubtful)


class Trait(Fact):
    """Something that a page must show.

    Attributes:
        key: the target's key that says what.
        wanted: what it says, None if it is unset.
        seen: what the page shows.
        assumed: the plan does not state it, so that its absence proves nothing.
    """

    key: str
    wanted: str | None
    seen: str
    holds: bool
    assumed: bool

    def judged(self) -> bool:
        """Tell whether the page shows it.

        Raises:
            UnavailableError: the target does not say what to look for, or what it assumes is not there.
        """
        if self.wanted is None:
            raise UnavailableError(f"the target does not say what {self.key} is", f"set {self.key}")
        if self.assumed and not self.holds:
            raise UnavailableError(
                f"assumed name not found: {self.key} is {self.wanted}, the page shows {self.seen}",
                f"correct {self.key} in the target file",
            )
        return self.holds


class Login(Fact):
    """The login page to a stranger.

    Attributes:
        lacking: the parts of a login form that are not visible.
    """

    page: Rendered
    lacking: tuple[str, ...]
    logo: Trait
    title: Trait
    colour: Trait

    @property
    def summary(self) -> str:
        """Where the browser ended and what of the form is there."""
        there = [part for part in FORM if part not in self.lacking]
        return f"{self.page.summary}, with {', '.join(there) or 'no part of a form'}"


class Shown(Fact):
    """A page with data, and the proof that it shows some."""

    page: Rendered
    proof: Trait

    def renders(self) -> bool:
        """Tell whether the page came and shows its data.

        Raises:
            UnavailableError: it cannot be told, because a path or a selector is only assumed.
        """
        return self.page.status() == 200 and self.proof.judged()

    @property
    def summary(self) -> str:
        """Where the browser ended and what it shows there."""
        return f"{self.page.summary}, {self.proof.seen}"


class Payload(Fact):
    """What a stranger is sent for a guarded page, before any browser looks at it.

    Attributes:
        kind: `HTML`, or `RSC` for what Next.js sends to its own client.
        data: how often the target's expressions for data match.
    """

    kind: str
    http_status: int
    data: int

    @property
    def summary(self) -> str:
        """The answer in a few words."""
        return f"{self.kind} HTTP {self.http_status} with {self.data or 'no'} pieces of data"


class Guarded(Fact):
    """A page that needs a session, as a stranger gets it.

    Attributes:
        at_login: True if the browser ended at the login page.
        rows: how many elements with data the browser shows.
        proven: whether the expressions for data match on a signed-in page; None if that is not known.
    """

    page: Rendered
    at_login: bool
    payloads: tuple[Payload, ...]
    rows: int
    proven: bool | None

    def answered(self) -> bool:
        """Tell whether the app led to the login page.

        Raises:
            UnavailableError: it was not the app that answered, or only an assumed path is missing.
        """
        statuses = [payload.http_status for payload in self.payloads]
        if any(status == 429 or status >= 500 for status in statuses):
            raise UnavailableError(f"the guard of {self.page.asked} did not answer ({self.summary})")
        if self.page.assumed and 404 in statuses:
            raise UnavailableError(f"assumed name not found: the page {self.page.asked}", _AS_IT_IS)
        return self.at_login

    def is_empty(self) -> bool:
        """Tell whether a stranger gets no data in any form.

        Raises:
            UnavailableError: nothing was found, but nobody knows whether it would have been.
        """
        self.answered()
        if self.rows or any(payload.data for payload in self.payloads):
            return False
        if self.proven is False:
            raise UnavailableError(
                "assumed name not found: no expression of pages.data matches the signed-in page either",
                "correct pages.data in the target file",
            )
        if self.proven is None and any(payload.http_status == 200 for payload in self.payloads):
            raise UnavailableError(
                "a stranger is sent a page, and only a signed-in page shows what data would look like in it",
                "run again with --approve sign-in",
            )
        return True

    @property
    def summary(self) -> str:
        """What was sent and shown."""
        sent = ", ".join(payload.summary for payload in self.payloads)
        return f"sent {sent}; shown {self.rows or 'no'} rows of data at {self.page.path}"


class Pages(Fact):
    """The pages of the CRM."""

    login: Attempt[Login]
    guarded: Attempt[Guarded]
    berths: Attempt[Shown]
    deal: Attempt[Shown]


def matches(content: str, expressions: tuple[str, ...]) -> int:
    """Count the places where an expression for data matches; pure."""
    return sum(len(re.findall(expression, content)) for expression in expressions)


def same_colour(one: str, other: str) -> bool:
    """Tell whether two colours (`#rrggbb`) look the same; pure. An empty one equals none."""
    parts = zip(_parts(one), _parts(other), strict=False)
    return bool(one and other) and all(abs(left - right) <= TOLERANCE for left, right in parts)


def _parts(colour: str) -> bytes:
    return bytes.fromhex(colour.removeprefix("#"))


def drawn(logo: Element | None) -> bool:
    """Tell whether a logo can be seen: loaded, visible, and more than a placeholder; pure."""
    if logo is None or not logo.visible:
        return False
    return min(logo.natural_width, logo.natural_height, logo.width, logo.height) >= SMALLEST


async def collect(access: Access) -> Pages:
    """Show the pages to a stranger and, if signing in is approved, to a user; all at the same time.

    Raises:
        UnavailableError: there is no browser, or it does not trust the server.
    """
    await access.browser.start()
    tried = asyncio.create_task(_attempt(_berths(access)))
    login, guarded, deal, listed = await asyncio.gather(
        _attempt(_login(access)), _attempt(_guarded(access, tried)), _attempt(_deal(access)), tried
    )
    berths = Known(value=listed.value.shown) if isinstance(listed, Known) else listed
    return Pages(login=login, guarded=guarded, berths=berths, deal=deal)


async def _attempt(look: Awaitable[T]) -> Known[T] | Unavailable:
    try:
        return Known(value=await look)
    except UnavailableError as error:
        return Unavailable.of(error)


async def _login(access: Access) -> Login:
    pages = access.target.pages
    selectors = FORM | {"logo": pages.logo, "brand": pages.brand_element}
    view = await _view(access, "login", pages.login, selectors)
    found = view.elements
    return Login(
        page=_rendered(access.target, "login", pages.login, view),
        lacking=tuple(part for part in FORM if not any(element.visible for element in found[part])),
        logo=_logo(access.target, found["logo"]),
        title=_trait(
            access.target,
            "title",
            pages.title,
            view.title or "no title",
            pages.title is not None and pages.title in view.title,
        ),
        colour=_colour(access.target, found["brand"]),
    )


def _logo(target: Target, found: tuple[Element, ...]) -> Trait:
    logo = next((element for element in found if element.visible), found[0] if found else None)
    seen = "no such element"
    if logo is not None:
        state = "visible" if logo.visible else "invisible"
        seen = (
            f"{state}, drawn {logo.width}×{logo.height}, its own size "
            f"{logo.natural_width}×{logo.natural_height} {_place(logo.address)}".strip()
        )
    trait = _trait(target, "logo", target.pages.logo, seen, drawn(logo))
    return trait if logo is None else trait.model_copy(update={"assumed": False})


def _colour(target: Target, found: tuple[Element, ...]) -> Trait:
    pages = target.pages
    colour = found[0].colours[pages.brand_property] if found else ""
    element = f"{pages.brand_property} of {pages.brand_element}"
    seen = f"{element}: {colour or 'not opaque' if found else 'no such element'}"
    trait = _trait(
        target, "brand_colour", pages.brand_colour, seen, same_colour(colour, pages.brand_colour or "")
    )
    place = target.is_assumed("pages.brand_element") or target.is_assumed("pages.brand_property")
    return trait.model_copy(update={"assumed": trait.assumed or place})


def _trait(target: Target, key: str, wanted: str | None, seen: str, holds: bool) -> Trait:
    name = f"pages.{key}"
    return Trait(key=name, wanted=wanted, seen=seen, holds=holds, assumed=target.is_assumed(name))


async def _guarded(access: Access, tried: Awaitable[Known[_Listed] | Unavailable]) -> Guarded:
    pages = access.target.pages
    selectors = {"rows": pages.berth_rows, "deal": pages.deal_proof}
    view = await _view(access, "guarded", pages.guarded, selectors)
    payloads = await asyncio.gather(
        _payload(access, "HTML", {"accept": "text/html"}), _payload(access, "RSC", {"rsc": "1"})
    )
    page = _rendered(access.target, "guarded", pages.guarded, view)
    listed = await tried
    return Guarded(
        page=page,
        at_login=urlsplit(view.url).path.rstrip("/") == pages.login.rstrip("/") and page.path.startswith("/"),
        payloads=tuple(payloads),
        rows=sum(element.visible for elements in view.elements.values() for element in elements),
        proven=listed.value.proven if isinstance(listed, Known) else None,
    )


async def _payload(access: Access, kind: str, headers: Mapping[str, str]) -> Payload:
    path = access.target.pages.guarded
    answer = await access.http.send("guarded-payload", path=path, headers=headers)
    for _ in range(PAYLOAD_HOPS):
        onward = _same_page(answer, path)
        if not onward:
            break
        path = onward
        answer = await access.http.send("guarded-payload", path=path, headers=headers)
    content = answer.body.decode("utf-8", errors="replace")
    return Payload(kind=kind, http_status=answer.status, data=matches(content, access.target.pages.data))


def _same_page(answer: HttpAnswer, path: str) -> str:
    """Return where an answer leads if that is the same page under another query, else nothing."""
    there, here = urlsplit(urljoin(path, answer.headers.get("location", ""))), urlsplit(path)
    same = answer.status // 100 == 3 and there.path == here.path and there.query != here.query
    return f"{there.path}?{there.query}" if same else ""


@dataclass(frozen=True)
class _Listed:
    """The berth list, and whether the expressions for data match in it; None if it shows none."""

    shown: Shown
    proven: bool | None


async def _berths(access: Access) -> _Listed:
    pages = access.target.pages
    session = await _session(access)
    if session.http_status >= 500:
        return _Listed(_shut_out(access.target, "berths", pages.berths, session), None)
    view = await _view(
        access, "berths", pages.berths, {"rows": pages.berth_rows}, cookie=access.session_cookie
    )
    rows = sum(element.visible for element in view.elements["rows"])
    proof = _trait(access.target, "berth_rows", pages.berth_rows, f"{rows or 'no'} berths", rows > 0)
    shown = Shown(page=_rendered(access.target, "berths", pages.berths, view), proof=proof)
    return _Listed(shown, matches(view.content, pages.data) > 0 if rows else None)


async def _deal(access: Access) -> Shown:
    pages = access.target.pages
    if pages.deal is None:
        raise UnavailableError("the target names no page with a deal", "set pages.deal, say to /deals/1")
    session = await _session(access)
    if session.http_status >= 500:
        return _shut_out(access.target, "deal", pages.deal, session)
    view = await _view(access, "deal", pages.deal, {"proof": pages.deal_proof}, cookie=access.session_cookie)
    visible = sum(element.visible and bool(element.text) for element in view.elements["proof"])
    proof = _trait(
        access.target, "deal_proof", pages.deal_proof, "a deal" if visible else "no deal", visible > 0
    )
    return Shown(page=_rendered(access.target, "deal", pages.deal, view), proof=proof)


async def _session(access: Access) -> Session:
    """Return the run's one sign-in if it can be used, or if the server could not answer it.

    Raises:
        UnavailableError: it was not approved, or refused.
    """
    session: Session = await access.fact("session")  # type: ignore[assignment]
    if session.http_status < 500 and not session.signed_in:
        raise UnavailableError(*session.refusal)
    return session


def _shut_out(target: Target, name: str, path: str, session: Session) -> Shown:
    """Return a page that nobody gets to see, because the server fails when somebody signs in."""
    page = Rendered(
        asked=path,
        assumed=target.is_assumed(f"pages.{name}"),
        path=path,
        http_status=session.http_status,
        hops=(),
        problem="when signing in",
        source=session.source,
    )
    return Shown(page=page, proof=_trait(target, name, path, "nothing", holds=False))


async def _view(access: Access, name: str, path: str, selectors: Mapping[str, str], cookie: str = "") -> View:
    view = await access.browser.view(path, selectors, cookie=cookie)
    access.pictures[name], access.pictured[name] = view.picture, view.shown
    return view


def _rendered(target: Target, name: str, asked: str, view: View) -> Rendered:
    url = f"https://{target.public.name}{asked}"
    here = _shortener(target.public.name)
    return Rendered(
        asked=asked,
        assumed=target.is_assumed(f"pages.{name}"),
        path=here(view.url),
        http_status=view.status,
        hops=tuple(f"{hop.status} {here(hop.url)}" for hop in view.hops),
        problem=view.problem,
        console_errors=view.console_errors,
        script_errors=view.script_errors,
        failed_requests=view.failed_requests,
        held_back=view.held_back,
        elsewhere=view.elsewhere,
        source=Source(where=f"{url} in Chromium", again=f"open {url} in a browser", picture=name),
    )


def _shortener(name: str) -> Callable[[str], str]:
    def short(url: str) -> str:
        return _place(url).removeprefix(f"https://{name}") or "/"

    return short


def _place(url: str) -> str:
    """Return an address without its query; of a picture inside the page only its kind."""
    return url.partition(",")[0] if url.startswith("data:") else url.partition("?")[0]


NOUN = Noun("pages", Pages, collect, sources=("crm", "browser"), needs=("session",))
