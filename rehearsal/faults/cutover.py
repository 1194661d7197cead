"""What goes wrong on the website's way to the CRM, each at the stage where it can be seen."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from rehearsal.apps.web import Outgoing
from rehearsal.apps.website.berths import FEED
from rehearsal.faults import tools
from rehearsal.faults.base import Course, fault
from rehearsal.services import postgres, website
from rehearsal.services.files import write
from rehearsal.site import APP, WEBSITE, WEBSITE_NAME, Site

if TYPE_CHECKING:
    from rehearsal.stack import Stack

_VARIABLES = ("environments", "port_settings")
_ARRIVING = ("environments", "inquiry", "visits", "deliveries")

_LATER_S = 1.1
"""The access log counts whole seconds; so long after its start the website's requests are surely later."""


@contextmanager
def _set(stack: Stack, **variables: str) -> Iterator[None]:
    """Recreate the website with other variables."""
    container = stack.container(WEBSITE)
    before = dict(container.spec.env)
    container.recreate(env={**before, **variables})
    yield
    container.recreate(env=before)


@contextmanager
def _unset(stack: Stack, *names: str) -> Iterator[None]:
    """Recreate the website without some of its variables."""
    container = stack.container(WEBSITE)
    before = dict(container.spec.env)
    container.recreate(env={name: value for name, value in before.items() if name not in names})
    yield
    container.recreate(env=before)


def _visitor(site: Site) -> Outgoing:
    """Return a visitor of the website."""
    https = f"{site.address('public')}:{site.https_port}"
    return Outgoing({f"{WEBSITE_NAME}:443": https}, str(site.ca_file))


def _submissions(stack: Stack) -> set[int]:
    with psycopg.connect(postgres.owner_dsn(stack.site)) as connection:
        return {number for (number,) in connection.execute("select id from website_submissions")}


@fault(
    "cutover-berths-flag-early",
    notice="nothing: without the CRM's address the flag does nothing yet",
    reddens=("cutover.stage", "cutover.0-dormant"),
    touches=_VARIABLES,
)
def berths_flag_early(stack: Stack) -> Course:
    """Set CRM_BERTHS_ENABLED before anything else."""
    with _set(stack, CRM_BERTHS_ENABLED="1"):
        yield


@fault(
    "cutover-dual-write-early",
    notice="nothing; inquiries are stored in the CRM already",
    reddens=("cutover.stage", "cutover.0-dormant"),
    touches=_VARIABLES,
    stage=0,
)
def dual_write_early(stack: Stack) -> Course:
    """Set the CRM's address and secret before the CRM is declared ready."""
    variables = website.environment(stack.site, 2)
    with _set(stack, **{name: variables[name] for name in ("CRM_INTAKE_URL", "CRM_INTAKE_SECRET")}):
        yield


@fault(
    "cutover-mails-off-early",
    notice="customers get no confirmation and the staff no alert",
    reddens=("cutover.stage", "cutover.0-dormant", "cutover.3-one-email-owner"),
    touches=_VARIABLES,
)
def mails_off_early(stack: Stack) -> Course:
    """Turn the website's mails off while the CRM's are off."""
    with _set(stack, WEBSITE_INQUIRY_EMAILS_DISABLED="1"):
        yield


@fault(
    "cutover-crm-mails-early",
    notice="nothing yet; with the next flip every customer gets two confirmations",
    reddens=("cutover.stage", "cutover.3-one-email-owner"),
    touches=("port_settings",),
)
def crm_mails_early(stack: Stack) -> Course:
    """Turn the CRM's mails on while the website sends its own."""
    postgres.set_intake_mails(stack.site, enabled=True)
    yield
    postgres.set_intake_mails(stack.site, enabled=False)


@fault(
    "cutover-website-stopped",
    notice="502 Bad Gateway on the website",
    reddens=("cutover.0-dormant",),
    touches=("environments", "berth_feed"),
    stage=0,
)
def website_stopped(stack: Stack) -> Course:
    """Stop the website."""
    stack.container(WEBSITE).stop()
    yield
    stack.container(WEBSITE).start()


@fault(
    "cutover-contacted-though-unset",
    notice="inquiries appear in the CRM though no variable of the website is set",
    reddens=("cutover.0-dormant",),
    touches=("environments", "visits"),
)
def contacted_though_unset(stack: Stack) -> Course:
    """Run a website whose build left the CRM's address and secret in it, and hand in an inquiry."""
    site, container = stack.site, stack.container(WEBSITE)
    variables = website.environment(site, 2)
    names = ("CRM_INTAKE_URL", "CRM_INTAKE_SECRET")
    baked = website.baked(site)
    write(baked, json.dumps({name: variables[name] for name in names}), account=site.account("app"))
    before = _submissions(stack)
    try:
        container.recreate()
        time.sleep(_LATER_S)
        form = {
            "kind": "contact",
            "name": "A. Visitor",
            "email": "visitor@portnimara.test",
            "message": "hello",
            "recaptchaToken": site.credentials.recaptcha_token,
        }
        _visitor(site).fetch("POST", f"https://{WEBSITE_NAME}/api/inquiry", None, json.dumps(form).encode())
        tools.wait_until(lambda: bool(_submissions(stack) - before), "the inquiry's arrival")
        yield
    finally:
        baked.unlink()
        container.recreate()


@fault(
    "cutover-no-berths",
    notice="the CRM is up, but nobody has migrated the berths",
    reddens=("cutover.1-ready",),
    touches=("api", "berth_feed"),
)
def no_berths(stack: Stack) -> Course:
    """Let the CRM's public list be empty."""
    with tools.knob(stack, APP, berths="empty"):
        yield


@fault(
    "cutover-secret-without-url",
    notice="inquiries are in NocoDB, but none is in the CRM; nothing is logged",
    reddens=("env.website.shape", "cutover.stage", "cutover.2-dual-write", "cutover.2-arrives"),
    touches=_ARRIVING,
    stage=2,
)
def secret_without_url(stack: Stack) -> Course:
    """Set the secret and leave the address blank."""
    with _set(stack, CRM_INTAKE_URL=""):
        yield


@fault(
    "cutover-row-lost",
    notice="the website is told that everything is fine, but the inquiry is not in the CRM",
    reddens=("cutover.2-arrives",),
    touches=_ARRIVING,
    stage=2,
)
def row_lost(stack: Stack) -> Course:
    """Let the CRM answer 201 and store nothing."""
    with tools.knob(stack, APP, intake="lost"):
        yield


@fault(
    "cutover-utm-dropped",
    notice="nobody can tell any more which campaign an inquiry came from",
    reddens=("cutover.2-utm",),
    touches=_ARRIVING,
    stage=2,
)
def utm_dropped(stack: Stack) -> Course:
    """Let the website not pass the header on."""
    with tools.knob(stack, WEBSITE, utm="dropped"):
        yield


@fault(
    "cutover-utm-dropped-by-proxy",
    notice="nobody can tell any more which campaign an inquiry came from",
    reddens=("cutover.2-utm",),
    touches=_ARRIVING,
    stage=2,
)
def utm_dropped_by_proxy(stack: Stack) -> Course:
    """Let nginx keep the header from the CRM."""
    kept = "proxy_set_header Host $host;"
    with tools.vhost(stack, kept, f'{kept}\n        proxy_set_header X-Utm "";'):
        yield


@fault(
    "cutover-both-send-mails",
    notice="every customer gets two confirmations, the staff two alerts",
    reddens=("cutover.stage", "cutover.3-one-email-owner"),
    touches=_VARIABLES,
    stage=3,
)
def both_send_mails(stack: Stack) -> Course:
    """Leave the website's mails on."""
    with _unset(stack, "WEBSITE_INQUIRY_EMAILS_DISABLED"):
        yield


@fault(
    "cutover-nobody-sends-mails",
    notice="customers get no confirmation and the staff no alert",
    reddens=("cutover.stage", "cutover.3-one-email-owner"),
    touches=("port_settings",),
    stage=3,
)
def nobody_sends_mails(stack: Stack) -> Course:
    """Leave the CRM's mails off."""
    postgres.set_intake_mails(stack.site, enabled=False)
    yield
    postgres.set_intake_mails(stack.site, enabled=True)


@fault(
    "cutover-feed-stale",
    notice="the map shows a berth as available that was sold",
    reddens=("cutover.4-berth-feed",),
    touches=("berth_feed",),
    stage=4,
)
def feed_stale(stack: Stack) -> Course:
    """Let the website go on showing what it fetched before a berth was sold."""
    with (
        tools.knob(stack, WEBSITE, feed="stale"),
        psycopg.connect(postgres.owner_dsn(stack.site), autocommit=True) as connection,
    ):
        _visitor(stack.site).fetch("GET", f"https://{WEBSITE_NAME}/api/berths")
        connection.execute("update berths set status = 'sold' where name = 'A3'")
        yield
        connection.execute("update berths set status = 'available' where name = 'A3'")


@fault(
    "cutover-feed-falls-back",
    notice="the map is there, but it is NocoDB's; the website's log says that the CRM did not answer",
    reddens=("cutover.4-berth-feed",),
    touches=("berth_feed",),
    stage=4,
)
def feed_falls_back(stack: Stack) -> Course:
    """Let the website's request for the berths time out."""
    with tools.knob(stack, WEBSITE, feed="timeout"):
        yield


@fault(
    "cutover-feed-falls-back-alike",
    notice="nothing until a berth is sold: NocoDB, which the website fell back to, has the same berths",
    touches=("environments", "visits", "berth_feed"),
    blinds=True,
    stage=4,
)
def feed_falls_back_alike(stack: Stack) -> Course:
    """Start a website anew whose requests for the berths time out, with a NocoDB as it was migrated from."""
    container = stack.container(WEBSITE)
    with tools.knob(stack, WEBSITE, feed="timeout-alike"):
        time.sleep(_LATER_S)
        container.recreate()
        yield
    container.recreate()


@fault(
    "cutover-feed-refused",
    notice="the map is NocoDB's: the CRM's nginx refuses the website's requests for the berths",
    reddens=("cutover.4-berth-feed",),
    touches=("nginx", "visits", "berth_feed"),
    stage=4,
)
def feed_refused(stack: Stack) -> Course:
    """Let nginx refuse who asks too often, the website's program by its name."""
    first = "proxy_set_header Host $host;"
    refused = f"""
        set $asked "$http_user_agent$uri";
        if ($asked = "node{FEED}") {{ return 429; }}"""
    with tools.vhost(stack, first, first + refused):
        yield


@fault(
    "cutover-feed-without-url",
    notice="the map is NocoDB's again, and inquiries are no longer in the CRM",
    reddens=("cutover.stage", "cutover.2-dual-write", "cutover.2-arrives", "cutover.4-berth-feed"),
    touches=(*_ARRIVING, "berth_feed"),
    stage=4,
)
def feed_without_url(stack: Stack) -> Course:
    """Unset the CRM's address and leave the flag."""
    with _unset(stack, "CRM_INTAKE_URL"):
        yield


@fault(
    "cutover-nocodb-removed",
    notice="every inquiry ends with an error, and there is no old map to go back to",
    reddens=("cutover.rollback", "cutover.2-arrives"),
    touches=_ARRIVING,
    stage=4,
)
def nocodb_removed(stack: Stack) -> Course:
    """Unset NocoDB's address and token; the contract only assumes their names."""
    with _unset(stack, "NOCODB_URL", "NOCODB_TOKEN"):
        yield


@fault(
    "cutover-nocodb-emptied",
    notice="every inquiry ends with an error, and there is no old map to go back to",
    reddens=("cutover.rollback", "env.website.shape", "cutover.2-arrives"),
    touches=_ARRIVING,
    stage=4,
)
def nocodb_emptied(stack: Stack) -> Course:
    """Blank NocoDB's address and token, as if the old system were retired already."""
    with _set(stack, NOCODB_URL="", NOCODB_TOKEN=""):
        yield


@fault(
    "cutover-smtp-emptied",
    notice="nothing, until the cutover is undone and nobody gets a mail",
    reddens=("cutover.rollback", "env.website.shape"),
    touches=_VARIABLES,
    stage=3,
)
def smtp_emptied(stack: Stack) -> Course:
    """Blank the password of the website's mail account once the CRM sends the mails."""
    with _set(stack, SMTP_PASS=""):
        yield


@fault(
    "cutover-website-errors",
    notice="after the last flip the website logs one error after another",
    reddens=("cutover.5-quiet",),
    touches=("watch",),
    stage=5,
)
def website_errors(stack: Stack) -> Course:
    """Log an error again and again."""
    with tools.knob(stack, WEBSITE, error_burst=True):
        yield
