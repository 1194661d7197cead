"""A walk through all stages of the cutover and back, every wrong order, and what the walk's facts rest on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acceptance import contract, cutover, guard, judge
from acceptance import target as targets
from acceptance.access import Access
from acceptance.errors import UnavailableError
from acceptance.evidence.record import CheckRecord
from acceptance.evidence.volatile import is_volatile
from acceptance.facts.base import Fact, Known, Unavailable
from acceptance.facts.berth_feed import BerthFeed, Feed
from acceptance.facts.catalogue import NOUNS
from acceptance.facts.deliveries import Deliveries
from acceptance.facts.environments import Environment, Environments
from acceptance.facts.inquiry import Inquiry, read_utm
from acceptance.facts.port_settings import PortSettings, Setting
from acceptance.facts.shape import look_at
from acceptance.facts.switches import MAILS, Switches, flipped, lost
from acceptance.facts.visits import Visit, Visits, read
from acceptance.guard.commands import NGINX_VISITS, call
from acceptance.ledger import Ledger
from acceptance.outcome import Outcome
from acceptance.position import Position
from acceptance.secrets import Redactor, Secrets
from acceptance.target import Target
from acceptance.transports.host import Result
from acceptance.transports.http import HttpAnswer
from rehearsal.client import Rehearsal, boot
from rehearsal.services import website
from selftest import matrix, warm
from selftest.rehearsed import site_of

WAY = (0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0)
BY_PYTEST = (0, 1, 2, 3, 4, 5, 9)
"""Steps of the way at which the gate is run as by an operator: each stage, and one on the way back."""

TWICE = 7
"""The step of the way at which everything is looked at a second time."""

CHECKS = [check for check in matrix.checks() if judge.item_of(check).startswith("cutover.")]
WATCHED = "cutover.5-quiet"
"""Watching takes its time and has tests of its own."""


@dataclass(frozen=True)
class Step:
    """A stage that was reached, and what was seen there.

    Attributes:
        verdict: of the gate, if it was run there.
        again: what was seen there a second time, if it was looked at twice.
    """

    stage: int
    target: Target
    facts: matrix.Facts
    verdict: str = ""
    again: matrix.Facts = field(default_factory=dict)

    def records(self, declared: int) -> list[CheckRecord]:
        """Judge what was seen as if a stage were declared."""
        position = Position(declared)
        given = {"target": self.target, "position": position}
        return [
            judge.judge(check, self.facts, given, variant)
            for check in CHECKS
            if judge.item_of(check) != WATCHED
            and not position.excuse(matrix.CHECKLIST.items[judge.item_of(check)])
            for variant in judge.variants(check)
        ]


NOUNS_OF_ALL = {noun for check in CHECKS for noun in matrix.nouns_of(check)} - {
    "watch",
    "inquiry",
    "deliveries",
}
MOVING = {"environments", "port_settings", "berth_feed", "visits"}
"""What a flip can change; the rest of the facts is looked at once."""

DELIVERING = {"inquiry", "deliveries"}
"""Looked at from stage 2 on only, because an inquiry is sent for it."""


@pytest.fixture(scope="module")
def rehearsal() -> Iterator[Rehearsal]:
    with boot(lambda _line: None, WAY[0]) as booted:
        yield booted


@pytest.fixture(scope="module")
def walk(rehearsal: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> list[Step]:
    directory = tmp_path_factory.mktemp("walk")
    target = targets.load(rehearsal.target_file)
    look = matrix.Observer(target, directory).look(NOUNS_OF_ALL)
    steps = [Step(WAY[0], target, look.facts, gate(rehearsal, WAY[0], directory))]
    for number, stage in enumerate(WAY[1:], start=1):
        rehearsal.go_to_stage(stage)
        target = targets.load(rehearsal.target_file)
        verdict = gate(rehearsal, stage, directory) if number in BY_PYTEST else ""
        nouns = MOVING | (DELIVERING if stage >= 2 else set())
        observer = matrix.Observer(target, directory)
        found = observer.look(nouns, look)
        again = observer.look(nouns, look).facts if number == TWICE else {}
        steps.append(Step(stage, target, {**look.facts, **found.facts}, verdict, again))
    return steps


def gate(rehearsal: Rehearsal, stage: int, reports: Path) -> str:
    """Run the gate as an operator does, and return its verdict."""
    warm.run(
        *("pytest", "-p", "no:cacheprovider", "-m", "cutover"),
        *("--stage", str(stage), "--target", str(rehearsal.target_file), "--reports", str(reports)),
    )
    document = json.loads((reports / "latest" / "verdict.json").read_text(encoding="utf-8"))
    assert document["gate"] == "cutover"
    return str(document["verdict"])


@pytest.mark.user
@pytest.mark.parametrize("number", range(len(WAY)), ids=[f"{n}-stage-{stage}" for n, stage in enumerate(WAY)])
def test_each_stage_is_in_order_when_it_is_reached(walk: list[Step], number: int) -> None:
    step = walk[number]
    odd = {
        record.name: record.reason
        for record in step.records(step.stage)
        if record.outcome is not Outcome.PASS
    }
    assert odd == {}
    assert step.target.stage == step.stage


@pytest.mark.user
def test_the_gate_says_go_at_each_stage_and_on_the_way_back(walk: list[Step]) -> None:
    assert {number: walk[number].verdict for number in BY_PYTEST} == dict.fromkeys(BY_PYTEST, "GO")


def test_a_second_look_differs_in_nothing_but_what_is_declared(walk: list[Step]) -> None:
    step = walk[TWICE]
    assert set(step.again) == MOVING | DELIVERING
    for name, fact in step.again.items():
        before, after = ({**leaves(each.model_dump(mode="json"))} for each in (step.facts[name], fact))
        differing = {
            place
            for place in before.keys() | after.keys()
            if before.get(place) != after.get(place) and not is_volatile(name, place)
        }
        assert differing == set(), name


def leaves(value: object, place: tuple[str, ...] = ()) -> dict[tuple[str, ...], object]:
    entries = (
        value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, list) else None
    )
    if entries is None:
        return {place: value}
    found: dict[tuple[str, ...], object] = {}
    for name, entry in entries.items():
        found |= leaves(entry, (*place, str(name)))
    return found


@pytest.mark.parametrize("declared", range(6))
@pytest.mark.parametrize("stage", range(6))
def test_another_stage_than_the_real_one_is_red(walk: list[Step], stage: int, declared: int) -> None:
    given = {"target": walk[stage].target, "position": Position(declared)}
    (check,) = [check for check in CHECKS if judge.item_of(check) == "cutover.stage"]
    record = judge.judge(check, walk[stage].facts, given)
    alike = declared in {0: (0, 1), 1: (0, 1), 4: (4, 5), 5: (4, 5)}.get(stage, (stage,))
    assert record.outcome is (Outcome.PASS if alike else Outcome.FAIL)
    assert alike or "belongs to stage" in record.reason or "sets it" in record.reason


@pytest.mark.parametrize("switch", [each.name for each in cutover.load().of_the("website")])
def test_a_variable_that_is_set_before_its_time_is_red(
    rehearsal: Rehearsal, walk: list[Step], switch: str, tmp_path: Path
) -> None:
    site, step = site_of(rehearsal), walk[1]
    variables = {**website.environment(site, 1), switch: website.environment(site, 5)[switch]}
    path = tmp_path / "website.env"
    path.write_text("".join(f"{name}={value}\n" for name, value in variables.items()), encoding="utf-8")
    facts = {
        **step.facts,
        **matrix.Observer(with_file(step.target, path), tmp_path).look(["environments"]).facts,
    }
    records = Step(1, step.target, facts).records(1)
    red = {record.item: record.reason for record in records if record.outcome is Outcome.FAIL}
    assert {"cutover.stage", "cutover.0-dormant"} <= set(red)
    assert f"{switch} is set, which belongs to stage" in red["cutover.stage"]


def with_file(target: Target, path: Path) -> Target:
    assert target.website is not None
    environment = {"environment": {"local_file": str(path)}}
    changed = {**target.website.model_dump(), **environment}
    return Target.model_validate({**target.model_dump(), "website": changed})


# The test inquiry


@dataclass
class Tried:
    """A look for one fact, and what went over the wire for it."""

    fact: Fact | Unavailable
    sent: list[str]


def try_inquiry(target: Target, directory: Path, *approved: str) -> Tried:
    ledger = Ledger(directory / "ledger.jsonl", Redactor())
    allowed = guard.Guard(ledger, guard.Approvals(approved), target)

    async def look() -> Fact | Unavailable:
        access = Access(target, Secrets(Redactor()), allowed, ledger, NOUNS)
        try:
            return (await access.collect(["inquiry"]))["inquiry"]
        finally:
            await access.close()

    fact = asyncio.run(look())
    ledger.close()
    lines = (directory / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
    return Tried(
        fact, [json.loads(line)["name"] for line in lines if json.loads(line)["transport"] == "http"]
    )


def test_without_approval_nothing_is_sent(rehearsal: Rehearsal, walk: list[Step], tmp_path: Path) -> None:
    del rehearsal
    tried = try_inquiry(walk[2].target, tmp_path)
    assert isinstance(tried.fact, Unavailable)
    assert tried.fact.reason == "needs approval: test-inquiry"
    assert tried.sent == []


def test_nothing_is_sent_that_could_not_be_looked_for(
    rehearsal: Rehearsal, walk: list[Step], tmp_path: Path
) -> None:
    del rehearsal
    declared = walk[2].target.model_dump()
    declared["website"]["submissions"]["table"] = "inquiries_of_the_website"
    tried = try_inquiry(Target.model_validate(declared), tmp_path, "test-inquiry")
    assert isinstance(tried.fact, Unavailable)
    assert tried.fact.reason == "there is no table inquiries_of_the_website"
    assert tried.sent == []


INQUIRY = Inquiry(
    marker="acceptance-0123456789abcdef",
    http_status=200,
    excerpt="",
    arrived=True,
    waited_s=3,
    sent_utm={"utm_source": "a"},
    arrived_utm={"utm_source": "a"},
    utm_assumed=False,
    is_page=False,
    path_assumed=True,
    url="https://portnimara.test/api/inquiry",
    table="website_submissions",
)


@pytest.mark.parametrize(
    ("status", "arrived", "landed"),
    [(200, True, True), (200, False, False), (500, False, False), (502, False, False)]
    + [(status, False, None) for status in (301, 400, 403, 404, 429)],
)
def test_a_refused_inquiry_says_nothing_of_the_crm(status: int, arrived: bool, landed: bool | None) -> None:
    inquiry = INQUIRY.model_copy(update={"http_status": status, "arrived": arrived})
    if landed is None:
        with pytest.raises(UnavailableError, match="did not take"):
            inquiry.landed()
    else:
        assert inquiry.landed() is landed


def test_a_page_that_answers_a_form_is_at_most_a_wrong_path() -> None:
    page = INQUIRY.model_copy(update={"is_page": True, "arrived": False})
    with pytest.raises(UnavailableError, match="assumed name not found"):
        page.landed()
    assert page.model_copy(update={"path_assumed": False}).landed() is False
    assert page.model_copy(update={"arrived": True}).landed()


def test_utm_values_of_the_crms_own_do_not_count() -> None:
    row = read_utm('{"utm_source": "a", "utm_term": null, "utm_content": "", "utm_id": "7"}')
    assert row == {"utm_source": "a", "utm_id": "7"}
    assert INQUIRY.model_copy(update={"arrived_utm": row}).came_with_utm()


def test_utm_values_that_only_an_assumed_form_lost_are_unknown() -> None:
    lost = INQUIRY.model_copy(update={"arrived_utm": {}})
    assert lost.came_with_utm() is False
    with pytest.raises(UnavailableError, match="assumed name not found"):
        lost.model_copy(update={"utm_assumed": True}).came_with_utm()


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ('{"utm_source": "a", "gclid": "x", "utm_medium": 1}', {"utm_source": "a", "utm_medium": "1"}),
        ("utm_source=a%20b&page=1", {"utm_source": "a b"}),
        ("?utm_source=a", {"utm_source": "a"}),
        (None, {}),
        ("null", {}),
        ("[1]", {}),
    ],
)
def test_utm_values_of_a_row(column: object, values: dict[str, str]) -> None:
    assert read_utm(column) == values


# nginx's access log

LOG = "/var/log/nginx/access.log"
INTAKE = "/api/public/website-inquiries"
BERTHS = "/api/public/berths"
SIX, NOON = "23/Nov/2026:06:00:00", "23/Nov/2026:12:00:05"


def line(
    agent: str, method: str = "POST", path: str = INTAKE, status: int = 201, at: str = "12:00:01"
) -> str:
    return f'192.0.2.7 - - [23/Nov/2026:{at} +0100] "{method} {path} HTTP/1.1" {status} 5 "-" "{agent}"'


def visits_of(*lines: str, rc: int = 0) -> Visits:
    text = "\n".join([f"log 7 {SIX} +0100", *lines, f"log 9 {SIX} +0100", f"until {NOON} +0100"]) + "\n"
    answer = Result(call(NGINX_VISITS, LOG, INTAKE, BERTHS), rc, text.encode(), "")
    return read(answer, LOG, INTAKE, assumed=True)


def test_visits_are_those_of_others_and_keep_no_address() -> None:
    visits = visits_of(
        line("node"),
        line("port-nimara-acceptance", status=401),
        line("curl/7.88.1", "GET", "/api/public/berths?x=1", 200),
        line("node", "GET", "/api/public/berths", 200),
        line("Mozilla/5.0", status=401),
    )
    told = [(visit.method, visit.path, visit.status, visit.agent) for visit in visits.found]
    assert told == [
        ("POST", INTAKE, 201, "node"),
        ("GET", "/api/public/berths", 200, "node"),
        ("POST", INTAKE, 401, "Mozilla/5.0"),
    ]
    assert "192.0.2.7" not in visits.model_dump_json()
    assert visits.found[0].at == datetime(2026, 11, 23, 11, 0, 1, tzinfo=UTC)


def test_a_line_about_no_http_is_passed_over_but_another_format_is_not() -> None:
    garbage = f'192.0.2.7 - - [23/Nov/2026:12:00:01 +0100] "\\x16\\x03 {INTAKE}" 400 5 "-" "-"'
    assert visits_of(garbage).found == ()
    with pytest.raises(UnavailableError, match="format `combined`"):
        visits_of(f'{{"request": "POST {INTAKE}"}}')


def test_a_log_that_is_not_there_is_unknown() -> None:
    with pytest.raises(UnavailableError, match="assumed name not found: there is no"):
        visits_of(rc=4)


def test_only_a_log_that_would_have_shown_it_proves_that_nobody_came() -> None:
    visits = visits_of(line("node"))
    before, after = (visits.found[0].at + timedelta(seconds=one) for one in (-1, 1))
    assert visits.since(before, LOG) == visits.found
    assert visits.since(after, LOG) == ()
    with pytest.raises(UnavailableError, match="nginx logs these requests to off"):
        visits.since(after, "off")
    with pytest.raises(UnavailableError, match="since when the website runs"):
        visits.since(None, LOG)
    with pytest.raises(UnavailableError, match="is empty"):
        visits.model_copy(update={"lines": 0}).since(after, LOG)
    with pytest.raises(UnavailableError, match="ends at 2026-11-23 11:00:05, before the website was started"):
        visits.since(after + timedelta(seconds=10), LOG)
    assert visits_of().since(None, LOG) == ()


@pytest.mark.parametrize(
    ("agent", "status", "counts"),
    [
        ("node", 201, True),
        ("node", 401, True),
        ("Mozilla/5.0", 201, True),
        ("Mozilla/5.0", 401, False),
        ("curl/7.88.1", 201, False),
    ],
)
def test_what_people_try_by_hand_is_not_the_websites(agent: str, status: int, counts: bool) -> None:
    visits = visits_of(line(agent, status=status))
    assert bool(visits.since(visits.found[0].at - timedelta(seconds=1), LOG)) is counts


def test_how_the_website_asks_for_berths() -> None:
    visits = visits_of(line("node"), line("node", "GET", BERTHS, 200), line("node", "GET", BERTHS, 429))
    started = visits.found[0].at + timedelta(milliseconds=300)
    assert [visit.status for visit in visits.readings(started, LOG)] == [200, 429]
    with pytest.raises(UnavailableError, match="nobody like the website asked the CRM for its berths in 16"):
        visits.readings(started + timedelta(seconds=1), LOG)
    with pytest.raises(UnavailableError, match="nobody like the website"):
        visits_of(line("Mozilla/5.0", "GET", BERTHS, 200)).readings(None, LOG)


def deliveries(test: bool | None, *posts: tuple[str, int]) -> Deliveries:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    return Deliveries(
        started=at,
        seen=Known(
            value=tuple(Visit(at=at, method="POST", path=INTAKE, status=s, agent=a) for a, s in posts)
        ),
        test=Unavailable(reason="needs approval: test-inquiry") if test is None else Known(value=test),
        log=LOG,
    )


@pytest.mark.parametrize(
    ("found", "through"),
    [
        (deliveries(True, ("node", 401)), True),
        (deliveries(None, ("node", 401), ("node", 201)), True),
        (deliveries(None, ("node", 201), ("node", 401)), False),
        (deliveries(None, ("node", 201), ("Mozilla/5.0", 401)), True),
        (deliveries(False, ("node", 201)), True),
        (deliveries(None, ("node", 201), ("node", 422)), True),
        (deliveries(None, ("curl/7.88.1", 201)), None),
        (deliveries(None, ("Mozilla/5.0", 401)), None),
        (deliveries(False), None),
    ],
)
def test_the_last_delivery_tells(found: Deliveries, through: bool | None) -> None:
    if through is None:
        with pytest.raises(UnavailableError, match="no delivery of the website was seen"):
            found.got_through()
    else:
        assert found.got_through() is through


# The switches


VARIABLES = contract.of("website").variable
RECIPIENTS = Setting(name="inquiry_notification_recipients", port="port 2", is_right=True, told="a list")


def environment(*strangers: str, **values: str) -> Environment:
    return Environment(
        place="here",
        again="look",
        count=1 + len(values),
        variables={name: look_at(value, VARIABLES[name], value) for name, value in values.items()},
        strangers=strangers,
    )


def found(website_: Environment | None, *settings: Setting, has_database: bool = True) -> Switches:
    nothing = Unavailable(reason="not looked at")
    seen = Known(value=website_) if website_ else nothing
    return Switches(
        Environments(crm=nothing, worker=nothing, website=seen),
        PortSettings(table="t", has_database=has_database, settings=Known(value=settings)),
    )


def mails(port: str, is_on: bool | None) -> Setting:
    told = "text" if is_on is None else str(is_on).lower()
    return Setting(name=MAILS[0], port=port, is_right=is_on is not None, told=told, is_on=is_on)


@pytest.mark.parametrize(
    ("settings", "stage"),
    [
        ((), 2),
        ((mails("port 1", False),), 2),
        ((mails("port 1", True),), 3),
        ((mails("every port", True), RECIPIENTS), 3),
        ((mails("every port", False), mails("port 1", True)), 3),
        ((mails("every port", True), mails("port 1", False)), 2),
        ((mails("port 1", None),), None),
    ],
)
def test_the_crms_setting_counts_for_every_port(settings: tuple[Setting, ...], stage: int | None) -> None:
    switches = found(environment(), *settings)
    fitting = [each for each in (2, 3) if not switches.contradictions(each, MAILS[:1])]
    assert fitting == ([] if stage is None else [stage])


@pytest.mark.parametrize("other", [RECIPIENTS, mails("port 2", False)])
def test_a_setting_that_differs_between_ports_is_unknown(other: Setting) -> None:
    with pytest.raises(UnavailableError, match=r"not the same for every port .* declared"):
        found(environment(), mails("port 1", True), other).contradictions(3, MAILS[:1])


def test_a_crm_without_a_database_sends_no_mails() -> None:
    assert found(environment(), has_database=False).contradictions(0) == ()


@pytest.mark.parametrize(("value", "is_on"), [("1", True), ("yes", True), ("", False), ("off", False)])
def test_a_flag_is_on_with_the_plans_words_only(value: str, is_on: bool) -> None:
    switches = found(environment(CRM_BERTHS_ENABLED=value))
    assert bool(switches.contradictions(1, ["CRM_BERTHS_ENABLED"])) is is_on
    assert bool(switches.contradictions(4, ["CRM_BERTHS_ENABLED"])) is not is_on


def test_whatever_it_is_set_to_it_is_not_dormant() -> None:
    assert flipped(environment(CRM_BERTHS_ENABLED="0", CRM_INTAKE_URL="")) == ("CRM_BERTHS_ENABLED set",)


def test_what_contradicts_is_red_though_the_rest_is_unknown() -> None:
    assert found(None, mails("port 1", True)).contradictions(1)
    with pytest.raises(UnavailableError, match="not looked at"):
        found(None, mails("port 1", False)).contradictions(1)
    assert "the rest is not known" in found(None).summary()


def test_who_sends_the_mails_is_said() -> None:
    off = environment(WEBSITE_INQUIRY_EMAILS_DISABLED="1")
    assert found(environment(), mails("port 1", True)).senders().startswith("both send mails")
    assert found(off).senders().startswith("nobody sends mails")
    assert found(off, mails("port 1", True)).senders().startswith("the CRM sends mails")
    assert found(environment()).senders().startswith("the website sends mails")


KEPT = {"NOCODB_URL": "https://n", "NOCODB_TOKEN": "t", "SMTP_USER": "u", "SMTP_PASS": "p"}


def test_what_the_way_back_needs() -> None:
    without_token = {name: value for name, value in KEPT.items() if name != "NOCODB_TOKEN"}
    without_nocodb = {name: value for name, value in KEPT.items() if "NOCODB" not in name}
    assert lost(environment(**KEPT)) == ()
    assert lost(environment(**KEPT | {"SMTP_PASS": " "})) == ("SMTP_PASS set but empty",)
    assert lost(environment(**without_token)) == ("NOCODB_TOKEN not set",)
    assert lost(environment(**without_nocodb)) == ("NOCODB_URL not set", "NOCODB_TOKEN not set")
    with pytest.raises(UnavailableError, match="but there is NUXT_NOCODB_URL"):
        lost(environment("NUXT_NOCODB_URL", **without_nocodb))
    with pytest.raises(UnavailableError, match="but there is GMAIL_USER"):
        lost(environment("GMAIL_USER", NOCODB_URL="https://n", NOCODB_TOKEN="t"))
    assert lost(environment("NUXT_NOCODB_URL", **without_nocodb | {"SMTP_PASS": ""}))


# The berths


FEED = Feed(
    site="website",
    request="website-berths",
    path="/api/berths",
    places=("berths", "list"),
    keys=("name", "status"),
    assumed=("path", "places", "keys"),
)


def answered(body: object, status: int = 200) -> HttpAnswer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpAnswer(
        status=status, headers={}, body=content, truncated=False, seconds=0, url="https://w/api/berths"
    )


@pytest.mark.parametrize(
    "body",
    [
        [{"name": "A2", "status": "sold"}, {"name": "A1", "status": "sold", "price": 1}],
        {
            "berths": {"count": 2},
            "list": [{"name": "A1", "status": "sold"}, {"name": "A2", "status": "sold"}],
        },
    ],
)
def test_a_list_is_found_wherever_it_may_stand(body: object) -> None:
    assert FEED.read(answered(body)).entries() == ("A1 sold", "A2 sold")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (answered({"rows": []}), "no list of berths"),
        (answered([{"label": "A1"}]), "no berth with name, status"),
        (answered(b"<html>", 404), r"no list of berths \(HTTP 404\)"),
        (answered(b"<html>"), r"no list of berths \(HTTP 200\)"),
        (answered(b"", 302), r"no list of berths \(HTTP 302\)"),
    ],
)
def test_what_is_only_assumed_and_not_there_is_unknown(answer: HttpAnswer, reason: str) -> None:
    with pytest.raises(UnavailableError, match=f"assumed name not found: {reason}"):
        FEED.read(answer).entries()
    certain = replace(FEED, assumed=())
    assert certain.read(answer).not_found == ""


def test_a_list_that_was_cut_off_is_unknown() -> None:
    with pytest.raises(UnavailableError, match="longer than what is read"):
        FEED.read(answered([]).model_copy(update={"truncated": True}))


def test_an_empty_list_of_the_crm_is_not_matched_by_another_one() -> None:
    nothing, some = FEED.read(answered([])), FEED.read(answered([{"name": "A1", "status": "sold"}]))
    feed = BerthFeed(
        page_status=Known(value=200),
        page_url="https://w/",
        website=Known(value=some),
        crm=Known(value=nothing),
    )
    assert feed.differences() == ("only the website shows A1 sold",)
    with pytest.raises(UnavailableError, match="nothing to compare"):
        feed.model_copy(update={"website": Known(value=nothing)}).differences()
    spelt = FEED.read(answered([{"name": "a1", "status": "Sold"}]))
    assert feed.model_copy(update={"crm": Known(value=spelt)}).differences() == ()
    broken = FEED.read(answered(b"", 500))
    with pytest.raises(UnavailableError, match="cannot be read"):
        feed.model_copy(update={"crm": Known(value=broken)}).differences()
    assert feed.model_copy(
        update={"website": Known(value=broken), "crm": Known(value=some)}
    ).differences() == ("only the CRM has A1 sold",)
