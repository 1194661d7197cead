"""What goes wrong with the variables, the inquiry settings and the documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg.types.json import Jsonb

from rehearsal.faults import tools
from rehearsal.faults.base import Course, fault
from rehearsal.services import app, documents, postgres
from rehearsal.site import APP, WEBSITE, WORKER

if TYPE_CHECKING:
    from rehearsal.stack import Stack

_CRM = ("environments", "containers", "env_file")
_WEBSITE = ("environments",)
_SETTINGS = ("port_settings",)
_DOCUMENTS = ("documents",)


def _recreate(stack: Stack, environments: Mapping[str, Mapping[str, str]]) -> None:
    """Recreate containers with other variables, side by side."""
    with ThreadPoolExecutor() as pool:
        tasks = [
            pool.submit(stack.container(service).recreate, env=variables)
            for service, variables in environments.items()
        ]
    for task in tasks:
        task.result()


@contextmanager
def _crm(stack: Stack, changed: Mapping[str, str | None]) -> Iterator[None]:
    """Change variables in .env (None to leave one out), and recreate what gets them; likewise back."""
    before = {service: dict(stack.container(service).spec.env) for service in (APP, WORKER)}
    path = stack.site.deploy / ".env"
    text = "".join(f"{name}={value}\n" for name, value in _with(app.environment(stack.site), changed).items())
    with tools.replaced(path, text):
        _recreate(stack, {service: _with(variables, changed) for service, variables in before.items()})
        yield
    _recreate(stack, before)


def _with(variables: Mapping[str, str], changed: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in {**variables, **changed}.items() if value is not None}


@contextmanager
def _container(stack: Stack, service: str, changed: Mapping[str, str | None]) -> Iterator[None]:
    """Recreate one container with other variables; likewise back."""
    before = dict(stack.container(service).spec.env)
    stack.container(service).recreate(env=_with(before, changed))
    yield
    stack.container(service).recreate(env=before)


@contextmanager
def _setting(stack: Stack, name: str, value: object) -> Iterator[None]:
    """Store another value for a setting; afterwards the former one."""
    with psycopg.connect(postgres.owner_dsn(stack.site), autocommit=True) as connection:
        (row,) = connection.execute("select value from system_settings where key = %s", (name,)).fetchall()
        change = "update system_settings set value = %s where key = %s"
        connection.execute(change, (Jsonb(value), name))
        yield
        connection.execute(change, (Jsonb(row[0]), name))


@contextmanager
def _added_to_plan(stack: Stack, line: str) -> Iterator[None]:
    path = documents.plan(stack.site)
    with tools.replaced(path, f"{path.read_text(encoding='utf-8')}\n{line}\n"):
        yield


@fault(
    "env-required-missing",
    notice="nothing, until the first contract is to be sent for signature",
    reddens=("env.crm.required",),
    touches=_CRM,
)
def required_missing(stack: Stack) -> Course:
    """Leave DOCUMENSO_API_URL out."""
    with _crm(stack, {"DOCUMENSO_API_URL": None}):
        yield


@fault(
    "env-required-blank",
    notice="nothing, until a customer answers by mail",
    reddens=("env.crm.required",),
    touches=_CRM,
)
def required_blank(stack: Stack) -> Course:
    """Leave IMAP_HOST without a value."""
    with _crm(stack, {"IMAP_HOST": ""}):
        yield


@fault(
    "env-redirect-set",
    notice="no customer gets a mail; one developer gets them all",
    reddens=("env.crm.forbidden",),
    touches=_CRM,
)
def redirect_set(stack: Stack) -> Course:
    """Bring EMAIL_REDIRECT_TO along from development."""
    with _crm(stack, {"EMAIL_REDIRECT_TO": "developer@portnimara.test"}):
        yield


@fault(
    "env-redirect-in-worker",
    notice="no customer gets a mail, though .env and the app are as they should be",
    reddens=("env.crm.forbidden",),
    touches=("environments", "containers"),
)
def redirect_in_worker(stack: Stack) -> Course:
    """Set EMAIL_REDIRECT_TO, without a value, for the worker alone, which sends the mails."""
    with _container(stack, WORKER, {"EMAIL_REDIRECT_TO": ""}):
        yield


@fault(
    "env-app-url-slash",
    notice="links in mails have two slashes",
    reddens=("env.crm.shape",),
    touches=_CRM,
)
def app_url_slash(stack: Stack) -> Course:
    """Write APP_URL with a trailing slash."""
    with _crm(stack, {"APP_URL": f"{app.environment(stack.site)['APP_URL']}/"}):
        yield


@fault(
    "env-documenso-path",
    notice="every call to Documenso is answered 404",
    reddens=("env.crm.shape",),
    touches=_CRM,
)
def documenso_path(stack: Stack) -> Course:
    """Write DOCUMENSO_API_URL with /api/v1 behind the host."""
    with _crm(stack, {"DOCUMENSO_API_URL": "https://signatures.portnimara.test/api/v1"}):
        yield


@fault(
    "env-weak-secret",
    notice="nothing; whoever tries the usual words can forge webhooks",
    reddens=("env.crm.strength",),
    touches=_CRM,
)
def weak_secret(stack: Stack) -> Course:
    """Keep the placeholder of .env.example."""
    with _crm(stack, {"DOCUMENSO_WEBHOOK_SECRET": "Changeme-before-Production-2026"}):
        yield


@fault(
    "env-website-value-lost",
    notice="no form of the website can be sent",
    reddens=("env.website.shape",),
    touches=_WEBSITE,
)
def website_value_lost(stack: Stack) -> Course:
    """Lose one of the website's own values while the new ones are added."""
    with _container(stack, WEBSITE, {"RECAPTCHA_SECRET": None}):
        yield


@fault(
    "env-website-slash",
    notice="inquiries do not arrive in the CRM: two slashes are another path",
    reddens=("env.website.shape", "cutover.2-dual-write", "cutover.2-arrives"),
    touches=(*_WEBSITE, "inquiry", "visits", "deliveries"),
    stage=2,
)
def website_slash(stack: Stack) -> Course:
    """Write CRM_INTAKE_URL with a trailing slash."""
    url = stack.container(WEBSITE).spec.env["CRM_INTAKE_URL"]
    with _container(stack, WEBSITE, {"CRM_INTAKE_URL": f"{url}/"}):
        yield


@fault(
    "env-shared-secret-differs",
    notice="inquiries do not arrive in the CRM, which refuses them",
    reddens=("env.shared-secret", "cutover.2-dual-write", "cutover.2-arrives"),
    touches=(*_WEBSITE, "inquiry", "visits", "deliveries"),
    stage=2,
)
def shared_secret_differs(stack: Stack) -> Course:
    """Give the website another secret than the CRM."""
    secret = stack.site.credentials.documenso_api_key
    with _container(stack, WEBSITE, {"CRM_INTAKE_SECRET": secret}):
        yield


@fault(
    "env-settings-no-list",
    notice="nobody is told of a new inquiry",
    reddens=("env.port-settings",),
    touches=_SETTINGS,
)
def settings_no_list(stack: Stack) -> Course:
    """Store recipients as text with commas."""
    with _setting(stack, "inquiry_notification_recipients", "sales@portnimara.test, hello@portnimara.test"):
        yield


@fault(
    "env-settings-bad-json",
    notice="nobody is told of a new residence inquiry",
    reddens=("env.port-settings",),
    touches=_SETTINGS,
)
def settings_bad_json(stack: Stack) -> Course:
    """Store a list that lacks its end."""
    with _setting(stack, "residential_notification_recipients", '["residences@portnimara.test"'):
        yield


@fault(
    "env-settings-no-boolean",
    notice="the CRM sends inquiry mails although they seem to be off",
    reddens=("env.port-settings", "cutover.stage", "cutover.3-one-email-owner"),
    touches=_SETTINGS,
)
def settings_no_boolean(stack: Stack) -> Course:
    """Store the switch as the text `false`, which counts as true in JavaScript."""
    with _setting(stack, "website_intake_email_enabled", "false"):
        yield


@fault(
    "env-plan-holds-password",
    notice="nothing; everybody who was mailed the plan knows root's password",
    reddens=("env.plan-has-no-secrets",),
    touches=_DOCUMENTS,
)
def plan_holds_password(stack: Stack) -> Course:
    """Paste a password that the suite does not know into a table of the plan."""
    with _added_to_plan(stack, "| Root password | k7Qz!mm2Wd |"):
        yield


@fault(
    "env-plan-holds-known-secret",
    notice="nothing; everybody who was mailed the plan can send inquiries",
    reddens=("env.plan-has-no-secrets",),
    touches=_DOCUMENTS,
)
def plan_holds_known_secret(stack: Stack) -> Course:
    """Leave the intake secret in a sentence of the plan that does not say what it is."""
    with _added_to_plan(stack, f"Both sides have {stack.site.credentials.intake_secret} since Monday."):
        yield


@fault(
    "source-plan-missing",
    notice="the operator's copy of the plan is somewhere else",
    touches=_DOCUMENTS,
    blinds=True,
)
def plan_missing(stack: Stack) -> Course:
    """Move the plan away."""
    with tools.moved_away(documents.plan(stack.site)):
        yield
