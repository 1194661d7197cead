"""The berths that the website shows its visitors, and those of the CRM, read side by side."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from acceptance.errors import UnavailableError
from acceptance.excerpt import cut
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.transports.http import HttpAnswer

_SEPARATORS = re.compile(r"[\s_-]+")

SHOWN = 5
"""How many berths a message names at most."""


class Listing(Fact):
    """A list of berths.

    Attributes:
        berths: each as `A1 available`, by what tells it from the others; None if the answer holds no list.
        not_found: what the plan leaves open and the answer has not where the target assumes it; empty if
            nothing is.
    """

    http_status: int
    berths: tuple[str, ...] | None
    not_found: str
    excerpt: str
    url: str

    @property
    def source(self) -> Source:
        """Where it was read."""
        return Source(where=f"GET {self.url}", again=f"curl -sS -i {self.url}")

    @property
    def summary(self) -> str:
        """The answer in a few words."""
        if self.berths is None:
            return f"HTTP {self.http_status}, no list: {self.excerpt}"
        return f"HTTP {self.http_status}, {len(self.berths)} berths"

    def entries(self) -> tuple[str, ...]:
        """Return the berths; none if the answer is no list of them.

        Raises:
            UnavailableError: it is not what the target assumes, so that nothing is known of the berths.
        """
        if self.not_found:
            raise UnavailableError(
                f"assumed name not found: {self.not_found} at {self.url}",
                "correct [website] or [api] in the target file",
            )
        return self.berths or ()


class BerthFeed(Fact):
    """Both lists, and whether the website's front page comes.

    Attributes:
        page_status: of the front page.
        website, crm: the lists, read at the same time.
    """

    page_status: Attempt[int]
    page_url: str
    website: Attempt[Listing]
    crm: Attempt[Listing]

    @property
    def page_source(self) -> Source:
        """Where the front page was read."""
        return Source(where=f"GET {self.page_url}", again=f"curl -sS -i {self.page_url}")

    def differences(self) -> tuple[str, ...]:
        """Name the berths that one list has and the other has not, each as it is there.

        `Under Offer` and `under_offer` are the same.

        Raises:
            UnavailableError: one of the lists cannot be read, or both are empty, so that there is nothing to
                compare.
        """
        crm, website = known(self.crm), known(self.website)
        held, shown = _by_spelling(crm.entries()), _by_spelling(website.entries())
        if crm.http_status != 200 or crm.berths is None:
            raise UnavailableError(f"the CRM's list of berths cannot be read ({crm.summary})")
        if not held and not shown:
            raise UnavailableError(
                "both lists of berths are empty, so there is nothing to compare", "enter a berth, or ask why"
            )
        return (
            *(f"only the website shows {berth}" for spelt, berth in shown.items() if spelt not in held),
            *(f"only the CRM has {berth}" for spelt, berth in held.items() if spelt not in shown),
        )

    @property
    def summary(self) -> str:
        """Both lists in a few words."""
        return f"website: {known(self.website).summary}; CRM: {known(self.crm).summary}"


def _by_spelling(berths: Iterable[str]) -> Mapping[str, str]:
    """Return berths by what counts of their spelling."""
    return {_SEPARATORS.sub(" ", berth).casefold(): berth for berth in berths}


def summary(entries: Sequence[str]) -> str:
    """Join entries for people, the first `SHOWN` of them; pure."""
    rest = len(entries) - SHOWN
    return "; ".join(entries[:SHOWN]) + (f"; and {rest} more" if rest > 0 else "")


@dataclass(frozen=True)
class Feed:
    """Where a list of berths is and what it looks like.

    Attributes:
        site: the target's name for the server.
        request: the declared request.
        places: where the list may stand in the answer, if it is not the answer itself.
        keys: what tells a berth from the others.
        assumed: which of `path`, `places` and `keys` the plan does not state.
    """

    site: str
    request: str
    path: str
    places: tuple[str, ...]
    keys: tuple[str, ...]
    assumed: tuple[str, ...] = ()

    def read(self, answer: HttpAnswer) -> Listing:
        """Read the list from an answer; pure.

        Raises:
            UnavailableError: the answer was cut off.
        """
        if answer.truncated:
            raise UnavailableError(f"{answer.url}: the list is longer than what is read of an answer")
        body = answer.json_body()
        document = body
        if isinstance(body, Mapping):
            lists = (body[place] for place in self.places if isinstance(body.get(place), list))
            document = next(lists, None)
        found = document if isinstance(document, list) else []
        entries = [entry for entry in found if isinstance(entry, Mapping)]
        is_list = isinstance(document, list)
        lacking = [key for key in self.keys if entries and not any(key in entry for entry in entries)]
        return Listing(
            http_status=answer.status,
            berths=tuple(sorted(map(self._told, entries))) if is_list else None,
            not_found=self._not_found(answer.status, lacking, is_list=is_list, is_json=body is not None),
            excerpt="" if is_list else answer.excerpt,
            url=answer.url,
        )

    def _told(self, entry: Mapping[str, object]) -> str:
        return " ".join(str(entry.get(key)) for key in self.keys)

    def _not_found(self, status: int, lacking: Sequence[str], *, is_list: bool, is_json: bool) -> str:
        if "path" in self.assumed and (200 < status < 500 or (status == 200 and not is_json)):
            return f"no list of berths (HTTP {status})"
        if status == 200 and is_json and not is_list and "places" in self.assumed:
            return "no list of berths"
        if lacking and "keys" in self.assumed:
            return f"no berth with {', '.join(lacking)}"
        return ""


def feeds(access: Access) -> tuple[Feed, Feed]:
    """Return where the website's and the CRM's berths are listed.

    Raises:
        UnavailableError: the target has no website.
    """
    target = access.target
    website, api = target.website, target.api
    if website is None:
        raise UnavailableError("the target file has no [website]", "describe it there: [website]")

    def assumed(**keys: str) -> tuple[str, ...]:
        return tuple(name for name, key in keys.items() if target.is_assumed(key))

    return (
        Feed(
            site="website",
            request="website-berths",
            path=website.berths,
            places=website.berth_list,
            keys=tuple(website.berth_keys),
            assumed=assumed(path="website.berths", places="website.berth_list", keys="website.berth_keys"),
        ),
        Feed(
            site="crm",
            request="berths",
            path=api.berths,
            places=api.berth_list,
            keys=tuple(website.berth_keys.values()),
            assumed=assumed(places="api.berth_list", keys="website.berth_keys"),
        ),
    )


async def _listing(access: Access, feed: Feed) -> Known[Listing] | Unavailable:
    try:
        return Known(value=feed.read(await access.site(feed.site).send(feed.request, path=feed.path)))
    except UnavailableError as error:
        return Unavailable.of(error)


async def _both(access: Access, feeds: tuple[Feed, Feed]) -> tuple[Attempt[Listing], Attempt[Listing]]:
    return await asyncio.gather(_listing(access, feeds[0]), _listing(access, feeds[1]))


async def _page(access: Access, path: str) -> Known[int] | Unavailable:
    try:
        answer = await access.site("website").send("website-page", path=path)
    except UnavailableError as error:
        return Unavailable.of(error)
    if 300 <= answer.status < 400 and _is_page_assumed(access):
        return Unavailable(
            reason=f"assumed name not found: {answer.url} is no page but leads to "
            f"{cut(answer.headers.get('location', 'nowhere'), 80)}",
            remedy="correct website.public.name or website.page in the target file",
        )
    return Known(value=answer.status)


def _is_page_assumed(access: Access) -> bool:
    return any(access.target.is_assumed(key) for key in ("website.page", "website.public.name"))


async def collect(access: Access) -> BerthFeed:
    """Read both lists, a second time if they differ: a berth may have been changed in between.

    Raises:
        UnavailableError: the target has no website.
    """
    both = feeds(access)
    path = access.target.website.page if access.target.website else ""
    page, (shown, held) = await asyncio.gather(_page(access, path), _both(access, both))
    if isinstance(shown, Known) and isinstance(held, Known) and shown.value.berths != held.value.berths:
        shown, held = await _both(access, both)
    return BerthFeed(page_status=page, page_url=access.site("website").url(path), website=shown, crm=held)


NOUN = Noun("berth_feed", BerthFeed, collect, sources=("crm", "website"))
