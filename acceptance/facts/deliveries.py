"""Whether what visitors hand in at the website reaches the CRM, as far as it can be seen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from acceptance.errors import UnavailableError
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known
from acceptance.facts.containers import nanoseconds
from acceptance.facts.environments import Environments
from acceptance.facts.inquiry import Inquiry
from acceptance.facts.visits import Visit, Visits

if TYPE_CHECKING:
    from acceptance.access import Access


_OF_THE_INQUIRY = frozenset({400, 409, 422})
"""Refusals of what one visitor wrote, and not of the website."""


class Deliveries(Fact):
    """What the website delivered since it was started with the variables that it has.

    Attributes:
        started: when that was; None if it is not known.
        seen: the requests of the intake route that nginx's access log shows since then.
        test: whether the test inquiry arrived.
    """

    started: datetime | None
    seen: Attempt[tuple[Visit, ...]]
    test: Attempt[bool]
    log: str

    @property
    def source(self) -> Source:
        """Where they were seen."""
        return Source(where=f"{self.log}; the test inquiry", again=f"as root: grep POST {self.log}")

    def got_through(self) -> bool:
        """Tell whether the CRM takes what the website delivers.

        Raises:
            UnavailableError: nothing was delivered since the website was started, so nobody knows.
        """
        if self._test_arrived:
            return True
        if self._answered:
            return self._answered[-1].is_taken
        raise UnavailableError(
            f"no delivery of the website was seen{self._since}{self._why}",
            "run again with --approve test-inquiry, or after the next visitor's inquiry",
        )

    @property
    def summary(self) -> str:
        """What was seen, and by what."""
        told = ["the test inquiry arrived"] if self._test_arrived else []
        if self._answered:
            taken = sum(visit.is_taken for visit in self._answered)
            told.append(
                f"{taken} taken and {len(self._answered) - taken} refused{self._since}, the last "
                f"{self._answered[-1]}, as nginx's log shows"
            )
        return "; ".join(told) or f"none{self._since}"

    @property
    def _answered(self) -> tuple[Visit, ...]:
        """Those that tell of the website and of its way: what others send does not, nor a faulty inquiry."""
        posts = self.seen.value if isinstance(self.seen, Known) else ()
        return tuple(visit for visit in posts if visit.is_nodes and visit.status not in _OF_THE_INQUIRY)

    @property
    def _test_arrived(self) -> bool:
        return isinstance(self.test, Known) and self.test.value

    @property
    def _since(self) -> str:
        return f" since the website's start at {self.started:%Y-%m-%d %H:%M:%S}" if self.started else ""

    @property
    def _why(self) -> str:
        reasons = [each.reason for each in (self.seen, self.test) if isinstance(each, Unavailable)]
        if isinstance(self.test, Known) and not self.test.value:
            reasons.append("the test inquiry did not arrive")
        return f" ({'; '.join(reasons)})" if reasons else ""


def started(environments: Environments) -> datetime | None:
    """Return when the website was started with the variables that it has, in UTC; None if that is not known.

    Raises:
        UnavailableError: its environment could not be read.
    """
    moment = known(environments.website).started
    return datetime.fromtimestamp(nanoseconds(moment) / 1e9, tz=UTC) if moment else None


async def _seen(access: Access, since: datetime | None) -> Known[tuple[Visit, ...]] | Unavailable:
    try:
        visits = cast(Visits, await access.fact("visits"))
    except UnavailableError as error:
        return Unavailable.of(error)
    if since is None:
        return Unavailable(reason="since when the website runs as it does is not known")
    posts = [visit for visit in visits.found if visit.method == "POST" and visit.at > since]
    return Known(value=tuple(posts))


async def _test(access: Access) -> Known[bool] | Unavailable:
    try:
        inquiry = cast(Inquiry, await access.fact("inquiry"))
        return Known(value=inquiry.landed())
    except UnavailableError as error:
        return Unavailable.of(error)


async def collect(access: Access) -> Deliveries:
    """Gather what the access log and, if it was approved, the test inquiry show.

    Raises:
        UnavailableError: the website's environment could not be read.
    """
    environments = cast(Environments, await access.fact("environments"))
    since = started(environments)
    return Deliveries(
        started=since,
        seen=await _seen(access, since),
        test=await _test(access),
        log=access.target.nginx.access_log,
    )


NOUN = Noun("deliveries", Deliveries, collect, needs=("environments", "visits", "inquiry"))
