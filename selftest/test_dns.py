"""Asking the name system, against a resolver that answers over UDP and TCP."""

from __future__ import annotations

import asyncio
import json
from ipaddress import ip_network
from pathlib import Path

import pytest

from acceptance import target as targets
from acceptance.errors import RefusedError, UnavailableError
from acceptance.facts.base import Known, Unavailable
from acceptance.facts.dns import IPV4, IPV6, Dns, Name, Records, expected, listed
from acceptance.ledger import Ledger
from acceptance.secrets import Redactor
from acceptance.sections.base import Endpoint
from acceptance.sections.dns import Dns as Settings
from acceptance.sections.dns import Network
from acceptance.target import Target
from acceptance.transports.dns import Answer
from acceptance.transports.dns import Resolver as Transport
from rehearsal.services.resolver import PORT, Resolver
from rehearsal.services.resolver import Records as Served
from rehearsal.site import DOCUMENSO_NAME, HOSTNAME, STORAGE_NAME, Credentials, Site, free_net

PRODUCTION = targets.load(targets.path_of("production"))
MANY = tuple(f"192.0.2.{number}" for number in range(1, 61))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("names"), free_net(), False, Credentials())


@pytest.fixture(scope="module", autouse=True)
def resolver(site: Site) -> Resolver:
    return Resolver(site)


@pytest.fixture
def target(site: Site) -> Target:
    settings = Settings(
        resolver=Endpoint(address=site.address("resolver"), port=PORT),
        documenso=DOCUMENSO_NAME,
        timeout_s=1,
    )
    assert PRODUCTION.storage is not None
    return PRODUCTION.model_copy(
        update={
            "dns": settings,
            "public": PRODUCTION.public.model_copy(update={"name": HOSTNAME}),
            "storage": PRODUCTION.storage.model_copy(update={"endpoint": f"https://{STORAGE_NAME}"}),
        }
    )


def ask(target: Target, directory: Path, name: str, kind: str = "A") -> Answer:
    ledger = Ledger(directory / "ledger.jsonl", Redactor())
    try:
        return asyncio.run(Transport(target, ledger).ask(name, kind))  # type: ignore[arg-type]
    finally:
        ledger.close()


def test_an_alias_is_followed_and_told(target: Target, site: Site, tmp_path: Path) -> None:
    answer = ask(target, tmp_path, STORAGE_NAME)
    assert answer == Answer(
        exists=True, addresses=(site.address("public"),), aliases=("server.portnimara.test",)
    )
    (line,) = (tmp_path / "ledger.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert (entry["transport"], entry["name"], entry["result"]) == ("dns", "dns-a", site.address("public"))


def test_no_record_and_no_name_are_two_answers(target: Target, resolver: Resolver, tmp_path: Path) -> None:
    assert ask(target, tmp_path, HOSTNAME, "AAAA") == Answer(exists=True)
    with resolver.changed(HOSTNAME, None):
        assert ask(target, tmp_path, HOSTNAME, "AAAA") == Answer(exists=False)
    with resolver.changed(STORAGE_NAME, Served(alias="gone.portnimara.test")):
        assert not ask(target, tmp_path, STORAGE_NAME).exists


def test_a_long_answer_comes_over_tcp(target: Target, resolver: Resolver, tmp_path: Path) -> None:
    with resolver.changed(HOSTNAME, Served(ipv4=MANY)):
        assert set(ask(target, tmp_path, HOSTNAME).addresses) == set(MANY)


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (Served(failure="SERVFAIL"), "SERVFAIL"),
        (Served(failure="REFUSED"), "REFUSED"),
        (Served(silent=True), "no answer within the time limit"),
        (Served(alias=HOSTNAME), "gives no answer"),
    ],
)
def test_no_answer_is_unknown(
    target: Target, resolver: Resolver, tmp_path: Path, records: Served, reason: str
) -> None:
    with resolver.changed(HOSTNAME, records), pytest.raises(UnavailableError, match=reason):
        ask(target, tmp_path, HOSTNAME)


def test_nobody_who_answers_is_unknown(target: Target, site: Site, tmp_path: Path) -> None:
    nowhere = Endpoint(address=site.address("resolver"), port=9)
    elsewhere = target.model_copy(update={"dns": target.dns.model_copy(update={"resolver": nowhere})})
    with pytest.raises(UnavailableError, match="port 9 gives no answer"):
        ask(elsewhere, tmp_path, HOSTNAME)


@pytest.mark.parametrize(("name", "kind"), [("example.org", "A"), (HOSTNAME, "TXT")])
def test_other_questions_are_refused(target: Target, tmp_path: Path, name: str, kind: str) -> None:
    with pytest.raises(RefusedError, match="nothing was sent"):
        ask(target, tmp_path, name, kind)
    (line,) = (tmp_path / "ledger.jsonl").read_text().splitlines()
    assert json.loads(line)["kind"] == "refused"


# What is expected


def name(*addresses: str, exists: bool = True) -> Name:
    records: Known[Records] = Known(value=Records(exists=exists, addresses=addresses))
    return Name(name="crm.example", resolver="r", again="dig", records={IPV4: records, IPV6: records})


SERVER: tuple[Network, ...] = (ip_network("45.142.177.246"),)
BOTH: tuple[Network, ...] = (*SERVER, ip_network("2001:db8::/64"))
ONLY_IPV6 = BOTH[1:]


@pytest.mark.parametrize(
    ("networks", "kind", "addresses", "right"),
    [
        (SERVER, IPV4, ("45.142.177.246",), True),
        (SERVER, IPV4, ("45.142.177.246", "192.0.2.1"), False),
        (SERVER, IPV4, (), False),
        (SERVER, IPV6, (), True),
        (SERVER, IPV6, ("2001:db8::1",), False),
        (BOTH, IPV6, ("2001:db8::1",), True),
        (BOTH, IPV6, (), True),
        (ONLY_IPV6, IPV6, (), False),
        (ONLY_IPV6, IPV4, (), True),
        (ONLY_IPV6, IPV4, ("192.0.2.1",), False),
    ],
)
def test_where_a_name_must_lead(
    networks: tuple[Network, ...], kind: str, addresses: tuple[str, ...], right: bool
) -> None:
    assert name(*addresses).leads_to(networks, kind) is right  # type: ignore[arg-type]
    nowhere = name(exists=False).leads_to(networks, kind)  # type: ignore[arg-type]
    assert nowhere is name().leads_to(networks, kind)  # type: ignore[arg-type]


def test_a_proxy_takes_the_servers_place() -> None:
    ranges = (ip_network("192.0.2.0/24"),)
    behind = PRODUCTION.model_copy(
        update={"dns": PRODUCTION.dns.model_copy(update={"proxies": {"crm": ranges}})}
    )
    assert expected(behind, "crm") == ranges
    assert expected(behind, "storage") == SERVER
    assert listed(ranges, IPV4) == "192.0.2.0/24"
    assert (listed(SERVER, IPV4), listed(ONLY_IPV6, IPV6)) == ("45.142.177.246", "2001:db8::/64")
    assert listed(SERVER, IPV6) == "no record, as the target file names no such address"


def test_a_server_that_is_named_only_has_no_known_address() -> None:
    server = PRODUCTION.server.model_copy(update={"address": "pn.example"})
    named = PRODUCTION.model_copy(update={"server": server, "dns": Settings()})
    with pytest.raises(UnavailableError, match="does not say which address"):
        expected(named, "crm")
    with pytest.raises(UnavailableError, match="no public name for documenso"):
        Dns(names={}).the("documenso")


def test_the_same_resolver_is_asked_again() -> None:
    asked = name().model_copy(update={"again": "dig @192.0.2.53 -p 53 crm.example"})
    assert asked.source(IPV6).again == "dig @192.0.2.53 -p 53 crm.example AAAA"


def test_a_missing_answer_reaches_the_check() -> None:
    silent = Unavailable(reason="no answer")
    unseen = Name(name="crm.example", resolver="r", again="dig", records={IPV4: silent, IPV6: silent})
    with pytest.raises(UnavailableError, match="no answer"):
        unseen.leads_to(SERVER, IPV4)
