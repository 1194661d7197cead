"""Is the website's move to the CRM where it is declared to be, and is everything in order there?"""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.contract import of
from acceptance.facts.api import Api
from acceptance.facts.base import known
from acceptance.facts.berth_feed import BerthFeed, summary
from acceptance.facts.deliveries import Deliveries, started
from acceptance.facts.environments import Environments
from acceptance.facts.health import Health
from acceptance.facts.inquiry import Inquiry
from acceptance.facts.nginx import Nginx
from acceptance.facts.port_settings import PortSettings
from acceptance.facts.switches import MAILS, Switches, flipped, kept, lost, owner
from acceptance.facts.visits import Visits
from acceptance.position import Position
from acceptance.target import Target

ADDRESS = of("website").variable["CRM_INTAKE_URL"]


@pytest.mark.item("cutover.stage")
def test_the_switches_are_those_of_the_stage(
    environments: Environments, port_settings: PortSettings, position: Position
) -> None:
    """What is set on the website and the CRM is what belongs to the declared stage, no more and no less.

    A flag that is flipped before its time loses inquiries or mails; one that was forgotten makes the next
    flip do something else than the plan says.
    """
    switches = Switches(environments, port_settings)
    contradictions = switches.contradictions(position.declared)
    verify(
        not contradictions,
        expected=f"the switches of stage {position.declared}, which is declared",
        seen="; ".join(contradictions) or switches.summary(),
        source=switches.source,
    )


@pytest.mark.item("cutover.0-dormant")
def test_nothing_is_set(environments: Environments) -> None:
    """None of the website's variables for the CRM is set. While they are not, each of them does nothing."""
    website = known(environments.website)
    names = flipped(website)
    verify(
        not names,
        expected="none of the website's variables for the CRM is set",
        seen="; ".join(names) or "none is",
        source=website.source,
    )


@pytest.mark.item("cutover.0-dormant")
def test_the_website_serves_its_visitors(berth_feed: BerthFeed) -> None:
    """The front page comes. The website must not notice that the CRM is being prepared."""
    status = known(berth_feed.page_status)
    verify(status == 200, expected="HTTP 200", seen=f"HTTP {status}", source=berth_feed.page_source)


@pytest.mark.item("cutover.0-dormant")
def test_the_website_shows_its_berths(berth_feed: BerthFeed) -> None:
    """The public list shows berths, from NocoDB as before."""
    website = known(berth_feed.website)
    verify(
        website.http_status == 200 and bool(website.entries()),
        expected="HTTP 200 and at least one berth",
        seen=website.summary,
        source=website.source,
    )


@pytest.mark.item("cutover.0-dormant")
def test_the_crm_is_not_contacted(
    visits: Visits, environments: Environments, nginx: Nginx, target: Target
) -> None:
    """Since the website was started, nobody handed an inquiry in to the CRM or read its berths for it.

    A build can hold an address of its own, whatever the variables say. That the log would show it follows
    from nginx's configuration, which names this log for the route.
    """
    written_to = nginx.vhost.location(target.api.intake).access_log
    found = visits.since(started(environments), written_to.value)
    verify(
        not found,
        expected="no inquiry handed in, and no berths asked for by a Node program",
        seen=f"{len(found)}, the last {found[-1]}" if found else f"none in {visits.extent}",
        source=visits.source,
    )


@pytest.mark.item("cutover.1-ready")
def test_the_crm_is_up(health: Health) -> None:
    """The CRM says that it is well. From the next flip on it is handed every inquiry."""
    public = health.public
    verify(
        public.http_status == 200 and public.is_json and public.state.lower() == "ok",
        expected="HTTP 200 with status ok",
        seen=public.summary,
        source=public.source,
    )


@pytest.mark.item("cutover.1-ready")
def test_the_crm_has_berths(api: Api, target: Target) -> None:
    """The CRM's public list holds berths. It becomes the website's map, which would else be empty."""
    berths = api.berths
    verify(
        berths.holds_any(list_assumed=target.is_assumed("api.berth_list")),
        expected="HTTP 200 and at least one berth",
        seen=berths.summary,
        source=berths.source,
    )


@pytest.mark.item("cutover.1-ready")
def test_the_crm_has_its_intake_secret(environments: Environments) -> None:
    """WEBSITE_INTAKE_SECRET is set on the CRM. Without it every inquiry is refused with 503."""
    crm = known(environments.crm)
    state = crm.state("WEBSITE_INTAKE_SECRET")
    verify(
        state == "set",
        expected="WEBSITE_INTAKE_SECRET set and not blank",
        seen=f"WEBSITE_INTAKE_SECRET {state}",
        source=crm.source,
    )


@pytest.mark.item("cutover.2-dual-write")
@pytest.mark.parametrize("name", ["CRM_INTAKE_URL", "CRM_INTAKE_SECRET"])
def test_the_website_has_both_variables(environments: Environments, name: str) -> None:
    """Address and secret are set on the website. With one of them alone it delivers nothing, silently."""
    website = known(environments.website)
    state = website.state(name)
    verify(
        state == "set",
        expected=f"{name} set and not blank",
        seen=f"{name} {state}",
        source=website.source,
    )


@pytest.mark.item("cutover.2-dual-write")
def test_the_address_is_the_crms(environments: Environments, target: Target) -> None:
    """CRM_INTAKE_URL is the CRM's bare address: the website appends its paths to it."""
    website = known(environments.website)
    trouble = website.trouble(ADDRESS, target)
    verify(
        not trouble,
        expected=f"https://{target.public.name}",
        seen=trouble or "that address",
        source=website.source,
    )


@pytest.mark.item("cutover.2-dual-write")
def test_the_secret_is_the_crms(environments: Environments) -> None:
    """CRM_INTAKE_SECRET is what the CRM expects. Another one is refused, and no visitor notices it."""
    website, crm = known(environments.website), known(environments.crm)
    difference = website.differs("CRM_INTAKE_SECRET", crm, "WEBSITE_INTAKE_SECRET")
    verify(
        not difference,
        expected="CRM_INTAKE_SECRET equal to the CRM's WEBSITE_INTAKE_SECRET",
        seen=difference or "equal",
        source=website.source,
    )


@pytest.mark.item("cutover.2-dual-write")
def test_the_website_reaches_the_crm(deliveries: Deliveries) -> None:
    """Since it was started, what the website delivered was taken by the CRM.

    Right values prove no way between the two. Without the approved test inquiry it is a visitor's that shows
    it, in nginx's log.
    """
    verify(
        deliveries.got_through(),
        expected="the website's last delivery taken by the CRM",
        seen=deliveries.summary,
        source=deliveries.source,
    )


@pytest.mark.item("cutover.2-arrives")
def test_the_test_inquiry_arrives(inquiry: Inquiry) -> None:
    """The marked inquiry, sent as a visitor sends one, stands in the CRM's table.

    The website answers its visitor before it delivers: that all is well there says nothing of the CRM.
    """
    verify(
        inquiry.landed(),
        expected=f"a row of {inquiry.table} within {inquiry.waited_s:g} s",
        seen=inquiry.summary,
        source=inquiry.source,
    )


@pytest.mark.item("cutover.2-utm")
def test_the_utm_values_arrive(inquiry: Inquiry) -> None:
    """The campaign that brought the visitor is stored with the inquiry.

    The values travel in a header of their own; a proxy that drops it makes every inquiry look like one that
    came by itself.
    """
    verify(
        inquiry.came_with_utm(),
        expected=inquiry.expected_utm,
        seen=inquiry.utm,
        source=inquiry.source,
    )


@pytest.mark.item("cutover.3-one-email-owner")
def test_one_of_the_two_sends_the_mails(
    environments: Environments, port_settings: PortSettings, position: Position
) -> None:
    """Before stage 3 the website sends the inquiry mails and the CRM none, from then on the other way round.

    Both on: every customer gets two confirmations. Both off: none, and the staff hears of no inquiry.
    """
    switches = Switches(environments, port_settings)
    contradictions = switches.contradictions(position.declared, MAILS)
    verify(
        not contradictions,
        expected=owner(position.declared),
        seen=switches.senders(),
        source=switches.source,
    )


@pytest.mark.item("cutover.4-berth-feed")
def test_the_feed_has_its_address(environments: Environments) -> None:
    """CRM_BERTHS_ENABLED stands together with CRM_INTAKE_URL, without which it does nothing."""
    website = known(environments.website)
    states = {name: website.state(name) for name in ("CRM_BERTHS_ENABLED", "CRM_INTAKE_URL")}
    verify(
        set(states.values()) == {"set"},
        expected="CRM_BERTHS_ENABLED and CRM_INTAKE_URL set and not blank",
        seen=", ".join(f"{name} {state}" for name, state in states.items()),
        source=website.source,
    )


@pytest.mark.item("cutover.4-berth-feed")
def test_the_feed_matches_the_crms_berths(berth_feed: BerthFeed) -> None:
    """The website shows the CRM's berths, each as it is there.

    When the CRM does not answer it falls back to NocoDB and says so in its log only: a berth that was sold
    is offered again.
    """
    differences = berth_feed.differences()
    verify(
        not differences,
        expected="the berths of the CRM's public list, and no others",
        seen=summary(differences) or berth_feed.summary,
        source=known(berth_feed.website).source,
    )


@pytest.mark.item("cutover.4-berth-feed")
def test_the_website_asks_the_crm(
    visits: Visits, environments: Environments, nginx: Nginx, target: Target
) -> None:
    """Since it was started the website asked the CRM for its berths, and was answered.

    Right after the migration NocoDB holds the same berths, so that the list itself does not tell whose it is.
    """
    written_to = nginx.vhost.location(target.api.berths).access_log
    last = visits.readings(started(environments), written_to.value)[-1]
    verify(last.is_taken, expected="its last request for them answered", seen=str(last), source=visits.source)


@pytest.mark.item("cutover.rollback")
def test_the_website_could_go_back(environments: Environments) -> None:
    """The values of NocoDB and of the website's mail account are still there.

    To roll back is to unset the website's variables; it then does what it did before, with these.
    """
    website = known(environments.website)
    gone = lost(website)
    verify(
        not gone,
        expected="NocoDB's url and token and the SMTP user and password set and not blank",
        seen=", ".join(gone) or kept(website),
        source=website.source,
    )
