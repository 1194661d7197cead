"""The CRM's public routes: the berth list and the guarded intake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acceptance.check import Source
from acceptance.errors import UnavailableError
from acceptance.facts.base import Fact, Noun

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.transports.http import HttpAnswer

REQUIRED = ("id", "name", "status")
"""Keys that every berth must have: the website draws its map from them (assumed, the plan names none)."""


class Berths(Fact):
    """The answer of the berth list.

    Attributes:
        count: number of entries; None if the answer is not a list.
        incomplete: what is wrong with entries outside the schema, at most five.
    """

    http_status: int
    count: int | None
    incomplete: tuple[str, ...]
    excerpt: str
    source: Source

    @property
    def summary(self) -> str:
        """The answer in a few words."""
        entries = f"no list: {self.excerpt}" if self.count is None else f"{self.count} berths"
        return f"HTTP {self.http_status}, {'; '.join(self.incomplete) or entries}"


class Intake(Fact):
    """How intake answers a wrong secret."""

    http_status: int
    excerpt: str
    source: Source

    @property
    def summary(self) -> str:
        """The answer in a few words."""
        return f"HTTP {self.http_status} {self.excerpt}".strip()

    def verdict_status(self) -> int:
        """Return the status that intake itself answered with.

        Raises:
            UnavailableError: it was the proxy or a rate limit that answered, so nothing is known of intake.
        """
        if self.http_status in (429, 502, 504):
            raise UnavailableError(f"intake itself did not answer ({self.summary})")
        return self.http_status


class Api(Fact):
    """The public routes."""

    berths: Berths
    intake: Intake


def read_berths(answer: HttpAnswer) -> Berths:
    """Judge the form of the berth list; pure. A list may stand alone or under `berths` or `data`."""
    document = answer.json_body()
    if isinstance(document, dict):
        document = document.get("berths", document.get("data"))
    entries = document if isinstance(document, list) else []
    return Berths(
        http_status=answer.status,
        count=len(entries) if isinstance(document, list) else None,
        incomplete=tuple(
            problem for index, entry in enumerate(entries) if (problem := _problem(index, entry))
        )[:5],
        excerpt=answer.excerpt,
        source=Source(where=f"GET {answer.url}", again=f"curl -sS -i {answer.url}"),
    )


def _problem(index: int, entry: object) -> str:
    if not isinstance(entry, dict):
        return f"entry {index} is no object"
    missing = [key for key in REQUIRED if entry.get(key) in (None, "")]
    return f"entry {index} lacks {', '.join(missing)}" if missing else ""


async def collect(access: Access) -> Api:
    """Read the berth list, and offer intake a wrong secret with an empty body.

    Raises:
        UnavailableError: the routes do not answer at all.
    """
    routes = access.target.api
    berths = await access.http.send("berths", path=routes.berths)
    intake = await access.http.send(
        "intake-wrong-secret",
        path=routes.intake,
        method="POST",
        headers={"x-webhook-secret": "not-the-secret", "content-type": "application/json"},
        content=b"{}",
    )
    return Api(
        berths=read_berths(berths),
        intake=Intake(
            http_status=intake.status,
            excerpt=intake.excerpt,
            source=Source(
                where=f"POST {intake.url}",
                again="curl -sS -i -X POST -H 'X-Webhook-Secret: wrong' -H 'Content-Type: application/json' "
                f"-d '{{}}' {intake.url}",
            ),
        ),
    )


NOUN = Noun("api", Api, collect)
