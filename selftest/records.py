"""Records of runs that never happened, for the tests of the reports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from acceptance.check import Evidence
from acceptance.evidence.record import CheckRecord, ItemRecord, RunRecord, TargetRecord
from acceptance.facts.base import LookRecord
from acceptance.outcome import Outcome, Severity, graded
from acceptance.verdict import Verdict, decide

STARTED = datetime(2026, 3, 4, 9, 30, 12, tzinfo=UTC)

CLAIMS = {
    "nginx.enabled": "The vhost file exists in sites-available and sites-enabled links to it.",
    "nginx.redirect": "Port 80 sends every path and query to https on the same host.",
    "nginx.upstream": "Requests go to 127.0.0.1 and the declared port.",
    "nginx.headers": "Host, X-Real-IP, X-Forwarded-For, X-Forwarded-Proto are passed on.",
    "nginx.websocket": "HTTP/1.1 with Upgrade and Connection towards the app.",
    "nginx.limits": "Body size 64M, read timeout 300, buffering off.",
    "tls.trusted": "The chain validates for the name, intermediate included.",
    "tls.expiry": "More than 21 days are left.",
    "tls.hsts": "Strict-Transport-Security is sent.",
    "containers.running": "The four services run, none restarting or unhealthy.",
    "containers.images": "Each runs the expected image; app and worker come from one commit.",
    "containers.port-private": "The app is published on loopback only, IPv4 and IPv6.",
    "containers.env-current": "The running containers hold the values of the .env on disk.",
    "health.public": "GET /api/public/health over https answers 200 and status ok.",
    "health.authenticated": "With X-Intake-Secret it reports checks.db and checks.redis healthy.",
    "realtime.upgrade": "A raw websocket handshake gets 101 and a valid Engine.IO open packet.",
    "logs.no-42703": "No undefined-column error, by code or by message, in postgres, app or worker.",
    "api.berths": "GET /api/public/berths answers a list of berths in its schema.",
}
ADVISORIES = {"tls.hsts", "containers.port-private"}
PLANNED = {
    "pages.login": "The login page renders in a real browser: form present, no failed request.",
    "pages.branding": "Logo drawn, title and brand colour as the target says.",
    "schema.columns": "The columns of the schema manifest exist.",
    "storage.objects": "Stored files resolve to objects of the recorded size and type.",
}
FACTS = ("nginx", "tls", "containers", "health", "realtime", "logs", "api", "settings", "registry")


def evidence(text: str, *, holds: bool) -> Evidence:
    """One judged claim whose every part holds the text."""
    return Evidence(
        holds=holds,
        expected=f"proxy_pass to http://127.0.0.1:7100 {text}".strip(),
        seen=f"http://127.0.0.1:{7100 if holds else 3000} {text}".strip(),
        where=f"/etc/nginx/sites-available/crm_portnimara.conf:31 {text}".strip(),
        again=f"ssh stefan@server.example cat /etc/nginx/sites-available/crm_portnimara.conf {text}".strip(),
    )


def check(item: str, outcome: Outcome, *, text: str = "", reason: str = "", remedy: str = "") -> CheckRecord:
    """One test of an item as it went."""
    name = item.replace(".", "_").replace("-", "_")
    answered = outcome in (Outcome.PASS, Outcome.FAIL)
    return CheckRecord(
        name=f"tests/verify/test_{item.split('.', maxsplit=1)[0]}.py::test_{name}",
        item=item,
        title=f"It is as the plan says. {text}".strip(),
        why=f"It is as the plan says. {text}\n\nWithout it nothing reaches the app.",
        outcome=outcome,
        reason=reason,
        remedy=remedy,
        evidence=(evidence(text, holds=outcome is Outcome.PASS),) if answered else (),
        facts=(item.split(".", maxsplit=1)[0],),
        seconds=0.125,
    )


def item(
    identity: str, outcome: Outcome, *, text: str = "", reason: str = "", remedy: str = ""
) -> ItemRecord:
    """One item with one check of that outcome; no check if the outcome is `not-run`."""
    severity = Severity.ADVISORY if identity in ADVISORIES else Severity.BLOCKER
    checks = (
        ()
        if outcome is Outcome.NOT_RUN
        else (
            check(
                identity,
                Outcome.FAIL if outcome is Outcome.WAIVED else outcome,
                text=text,
                reason=reason,
                remedy=remedy,
            ),
        )
    )
    return ItemRecord(
        id=identity,
        section=identity.split(".", maxsplit=1)[0],
        severity=severity,
        claim=f"{(CLAIMS | PLANNED).get(identity, 'It is as the plan says.')} {text}".strip(),
        plan=f"2.1 Reverse proxy {text}".strip(),
        remedy=f"Correct proxy_pass in the vhost and reload nginx. {text}".strip(),
        approval="",
        outcome=graded(outcome, severity),
        true_outcome=graded(Outcome.FAIL if outcome is Outcome.WAIVED else outcome, severity),
        waiver=f"waived by Matt until 2026-12-31 12:00 UTC (PN-7): {text}"
        if outcome is Outcome.WAIVED
        else "",
        reason=reason,
        checks=checks,
    )


def run(
    *items: ItemRecord, text: str = "", rehearsal: bool = True, finished: bool = True, whole: bool = True
) -> RunRecord:
    """A run with these items, its verdict decided as the suite would."""
    verdict = decide([(entry.severity, entry.outcome) for entry in items], whole_gate=finished and whole)
    return RunRecord(
        suite_version="0.1.0",
        gate="phase1_verify",
        gate_title="Phase 1: did the deploy work?",
        target=TargetRecord(
            name="rehearsal" if rehearsal else "production",
            public_name=f"crm.portnimara.com {text}".strip(),
            server=f"stefan@server.example:22022 {text}".strip(),
            file=f"targets/rehearsal.toml {text}".strip(),
        ),
        rehearsal=rehearsal,
        verdict=verdict,
        reason=f"{_REASONS[verdict]} {text}".strip(),
        started=STARTED,
        seen=STARTED,
        finished=STARTED + timedelta(seconds=6.4) if finished else None,
        approved=("nginx-test",),
        narrowed="" if whole else f"-k nginx {text}".strip(),
        logins=1,
        round_trips=3,
        items=items,
        looks=tuple(look(position, fact, text) for position, fact in enumerate(FACTS)),
        warnings=(f"The clock of the server differs by 3 s. {text}".strip(),),
    )


_REASONS = {
    Verdict.GO: "Every blocker passed.",
    Verdict.NO_GO: "Blockers failed.",
    Verdict.HOLD: "No blocker failed, and not every blocker has an answer.",
}


def look(position: int, fact: str, text: str = "") -> LookRecord:
    """One look; every fifth could not see anything."""
    blind = position % 5 == 4
    return LookRecord(
        fact=fact,
        started_s=0.1 + 0.05 * position,
        seconds=0.3 + 0.4 * (position % 4),
        state="unavailable" if blind else "known",
        reason=f"The server closed the connection. {text}".strip() if blind else "",
        remedy="Start sshd." if blind else "",
    )


def healthy(*, planned: bool = False, rehearsal: bool = True) -> RunRecord:
    """A run in which everything passed, with or without planned items."""
    items = [item(identity, Outcome.PASS) for identity in CLAIMS]
    if planned:
        items += [item(identity, Outcome.NOT_RUN, reason="planned") for identity in PLANNED]
    return run(*items, rehearsal=rehearsal)


def mixed(text: str = "", *, rehearsal: bool = True) -> RunRecord:
    """A run with every outcome in it; the text is in every field that may hold remote text."""
    outcomes = {
        "nginx.upstream": Outcome.FAIL,
        "tls.hsts": Outcome.FAIL,
        "health.authenticated": Outcome.UNKNOWN,
        "realtime.upgrade": Outcome.UNKNOWN,
        "containers.images": Outcome.WAIVED,
        "containers.env-current": Outcome.NOT_APPLICABLE,
    }
    reasons = {
        Outcome.FAIL: f"expected proxy_pass to http://127.0.0.1:7100 {text}".strip(),
        Outcome.UNKNOWN: f"The server refused the connection on port 22022. {text}".strip(),
        Outcome.WAIVED: f"Accepted until the registry is moved. {text}".strip(),
        Outcome.NOT_APPLICABLE: f"No service declares an env file. {text}".strip(),
    }
    items = []
    for identity in CLAIMS:
        outcome = outcomes.get(identity, Outcome.PASS)
        remedy = f"Start sshd on the server. {text}".strip() if outcome is Outcome.UNKNOWN else ""
        items.append(item(identity, outcome, text=text, reason=reasons.get(outcome, ""), remedy=remedy))
    items += [item(identity, Outcome.NOT_RUN, reason="planned") for identity in PLANNED]
    return run(*items, text=text, rehearsal=rehearsal)


def failing(number: int) -> RunRecord:
    """A run in which as many items failed and 20 passed."""
    items = [item(f"section{position % 6}.item-{position}", Outcome.FAIL) for position in range(number)]
    items += [item(f"section{position % 6}.good-{position}", Outcome.PASS) for position in range(20)]
    return run(*items, rehearsal=False)
