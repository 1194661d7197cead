"""The CRM's public routes: the berth list and the guarded intake."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from acceptance.errors import UnavailableError
from acceptance.facts.base import Fact, Noun, Source

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.target import Api as ApiTarget
    from acceptance.transports.http import HttpAnswer


class Berths(Fact):
    """The answer of the berth list.

    Attributes:
        count: number of entries; None if the answer holds no list where one may stand.
        absent: keys that no entry has, though all should.
        incomplete: what is wrong with single entries, at most five.
    """

    http_status: int
    count: int | None
    absent: tuple[str, ...] = ()
    incomplete: tuple[str, ...]
    is_json: bool = False
    excerpt: str
    source: Source

    @property
    def summary(self) -> str:
        """The answer in a few words."""
        entries = f"no list: {self.excerpt}" if self.count is None else f"{self.count} berths"
        lacking = [f"no entry has {', '.join(self.absent)}"] if self.absent else []
        return f"HTTP {self.http_status}, {'; '.join([*lacking, *self.incomplete]) or entries}"

    def holds_any(self, *, list_assumed: bool) -> bool:
        """Tell whether the answer lists at least one berth.

        Args:
            list_assumed: True if the plan does not say where the list stands in the answer.

        Raises:
            UnavailableError: it holds no list where one is only assumed to be.
        """
        if self.http_status == 200 and self.count is None and list_assumed and self.is_json:
            raise self._no_list
        return self.http_status == 200 and bool(self.count)

    @property
    def _no_list(self) -> UnavailableError:
        return UnavailableError(
            f"assumed name not found: no list of berths in {self.excerpt}",
            "set api.berth_list in the target file to the key that holds it",
        )

    def in_schema(self, *, list_assumed: bool, keys_assumed: bool) -> bool:
        """Tell whether the answer is a list of berths, each with the keys of the target.

        Args:
            list_assumed: True if the plan does not say where the list stands in the answer.
            keys_assumed: True if the plan does not name the keys.

        Raises:
            UnavailableError: it differs only in what the plan leaves open, or holds no berth to judge.
        """
        if self.http_status != 200 or self.incomplete:
            return False
        if self.count is None and list_assumed and self.is_json:
            raise self._no_list
        if self.count == 0:
            raise UnavailableError(
                "the list of berths is empty, so nothing can be said of its schema",
                "enter a berth, or ask why",
            )
        if self.absent and keys_assumed:
            raise UnavailableError(
                f"assumed name not found: no berth has {', '.join(self.absent)}",
                "set api.berth_keys in the target file to what the website reads",
            )
        return self.count is not None and not self.absent


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


def read_berths(answer: HttpAnswer, routes: ApiTarget) -> Berths:
    """Read the form of the berth list; pure. The list may be the answer, or stand where the target says."""
    body = answer.json_body()
    document = body
    if isinstance(body, dict):
        document = next((body[key] for key in routes.berth_list if key in body), None)
    entries = document if isinstance(document, list) else []
    keys = {key for entry in entries if isinstance(entry, dict) for key in entry}
    absent = tuple(key for key in routes.berth_keys if entries and key not in keys)
    due = [key for key in routes.berth_keys if key not in absent]
    return Berths(
        http_status=answer.status,
        count=len(entries) if isinstance(document, list) else None,
        absent=absent,
        incomplete=tuple(
            problem for index, entry in enumerate(entries) if (problem := _problem(index, entry, due))
        )[:5],
        is_json=body is not None,
        excerpt=answer.excerpt,
        source=Source(where=f"GET {answer.url}", again=f"curl -sS -i {answer.url}"),
    )


def _problem(index: int, entry: object, due: Iterable[str]) -> str:
    if not isinstance(entry, dict):
        return f"entry {index} is no object"
    missing = [key for key in due if entry.get(key) in (None, "")]
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
        berths=read_berths(berths, routes),
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


NOUN = Noun("api", Api, collect, sources=("crm",))
