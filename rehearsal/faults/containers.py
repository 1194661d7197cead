"""What goes wrong with the containers."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from rehearsal.faults import tools
from rehearsal.faults.base import Course, fault
from rehearsal.runtime.spec import Container, Published
from rehearsal.services import nginx, registry
from rehearsal.site import APP, WORKER

if TYPE_CHECKING:
    from rehearsal.stack import Stack

_APP_DOWN = (
    "health.public",
    "health.authenticated",
    "api.berths",
    "realtime.upgrade",
    "realtime.probe",
    "pages.login",
    "pages.branding",
    "pages.berths",
    "pages.deal",
    "cutover.1-ready",
)
_OF_CONTAINERS = ("containers", "logs")
_OF_WORKER = (*_OF_CONTAINERS, "queues")
_OF_APP = (*_OF_CONTAINERS, "env_file", "health", "api", "realtime", "pages")


def _recreated(stack: Stack, service: str, spec: Container) -> Course:
    container = stack.container(service)
    before = container.spec
    container.recreate(spec)
    stack.container(WORKER).wait_ready()
    yield
    container.recreate(before)
    stack.container(WORKER).wait_ready()


@fault(
    "container-worker-stopped",
    notice="no e-mail is sent and no document is made",
    reddens=("containers.running", "worker.consuming"),
    touches=_OF_WORKER,
)
def worker_stopped(stack: Stack) -> Course:
    """Stop the worker as an operator would."""
    stack.container(WORKER).stop()
    yield
    stack.container(WORKER).start()


@fault(
    "container-crash-loop",
    notice="the worker seems to run whenever somebody looks, and never works",
    reddens=("containers.running", "containers.stable", "worker.consuming"),
    touches=_OF_WORKER,
)
def crash_loop(stack: Stack) -> Course:
    """Give the worker a command that ends at once, so that the engine restarts it again and again."""
    container = stack.container(WORKER)
    before = container.spec
    container.recreate(replace(before, argv=("/bin/sh", "-c", "echo starting; exit 1")), timeout_s=None)
    tools.wait_until(
        lambda: container.restart_count >= 5 and container.state == "restarting", "the crash loop"
    )
    yield
    container.recreate(before)


@fault(
    "container-unhealthy",
    notice="docker says running, its health check says unhealthy",
    reddens=("containers.running",),
    touches=_OF_CONTAINERS,
)
def unhealthy(stack: Stack) -> Course:
    """Let Redis' health check fail while Redis runs."""
    container = stack.container("redis")
    before = container.spec
    container.recreate(replace(before, health=lambda: "the health check's command is wrong"), timeout_s=None)
    tools.wait_until(
        lambda: container.health is not None and container.health.status == "unhealthy",
        "the health check's failure",
    )
    stack.container(WORKER).wait_ready()
    yield
    container.recreate(before)
    stack.container(WORKER).wait_ready()


@fault(
    "container-restarted",
    notice="everything works again; something had crashed",
    reddens=("containers.stable",),
    touches=_OF_CONTAINERS,
)
def restarted(stack: Stack) -> Course:
    """Kill the worker once; the engine restarts it."""
    container = stack.container(WORKER)
    container.kill()
    tools.wait_until(lambda: container.restart_count >= 1 and container.state == "running", "the restart")
    container.wait_ready()
    yield
    container.recreate()


@fault(
    "container-old-image",
    notice="the deploy seemed to work, but the old version still runs",
    reddens=("containers.images", "registry.images"),
    touches=("registry", "release"),
)
def old_image(stack: Stack) -> Course:
    """Let the registry's latest move on; the server did not pull."""
    before = stack.container(APP).spec.image
    repository = f"{registry.REPOSITORY}/{APP}"
    registry.push(stack.site, repository, "latest", secrets.token_hex(20))
    yield
    registry.push(stack.site, repository, "latest", before.labels[registry.REVISION])


@fault(
    "container-mixed-commits",
    notice="app and worker disagree about the form of a job",
    reddens=("containers.images", "registry.images"),
    touches=("containers", "registry", "release", "logs"),
)
def mixed_commits(stack: Stack) -> Course:
    """Run a worker that was built from another commit."""
    before = stack.container(WORKER).spec
    repository = f"{registry.REPOSITORY}/{WORKER}"
    other = registry.push(stack.site, repository, "latest", secrets.token_hex(20))
    yield from _recreated(stack, WORKER, replace(before, image=other))
    registry.push(stack.site, repository, "latest", before.image.labels[registry.REVISION])


@fault(
    "container-wrong-port",
    notice="502 Bad Gateway on every page",
    reddens=("containers.port", *_APP_DOWN),
    touches=_OF_APP,
)
def wrong_port(stack: Stack) -> Course:
    """Publish the app under another port."""
    before = stack.container(APP).spec
    moved = replace(before.published[0], host_port=nginx.APP_PORT + 1)
    yield from _recreated(stack, APP, replace(before, published=(moved,)))


@fault(
    "container-port-public",
    notice="nothing; the app can be reached past nginx, without TLS",
    reddens=("containers.port-private",),
    touches=_OF_APP,
)
def port_public(stack: Stack) -> Course:
    """Publish the app on every address as far as docker tells; it is bound to loopback still."""
    before = stack.container(APP).spec
    public = replace(before.published[0], host_address="0.0.0.0", bind=before.published[0].host_address)  # noqa: S104
    yield from _recreated(stack, APP, replace(before, published=(public,)))


@fault(
    "container-database-public",
    notice="nothing; the whole internet can try the database's passwords",
    reddens=("containers.port", "containers.port-private", "host.databases-private"),
    touches=(*_OF_CONTAINERS, "outside"),
)
def database_public(stack: Stack) -> Course:
    """Publish PostgreSQL on every address as far as docker tells; it is bound to loopback still."""
    before = stack.container("postgres").spec
    bind = stack.container(APP).spec.published[0].host_address
    public = Published("0.0.0.0", 5432, 5432, bind=bind)  # noqa: S104
    yield from _recreated(stack, "postgres", replace(before, published=(public,)))


@fault(
    "container-anonymous-volume",
    notice="nothing, until the next recreation brings an empty Redis",
    reddens=("containers.volumes",),
    touches=_OF_CONTAINERS,
)
def anonymous_volume(stack: Stack) -> Course:
    """Mount a nameless volume where the named one should be."""
    before = stack.container("redis").spec
    nameless = replace(before.mounts[0], volume=secrets.token_hex(32))
    yield from _recreated(stack, "redis", replace(before, mounts=(nameless,)))


@fault(
    "container-env-edited",
    notice="the new SMTP password was put into .env, but mails still fail",
    reddens=("containers.env-current",),
    touches=("env_file",),
)
def env_edited(stack: Stack) -> Course:
    """Change a value in .env without recreating the containers."""
    with tools.edited(stack.site.deploy / ".env", "SMTP_PASSWORD=", "SMTP_PASSWORD=new-"):
        yield


@fault(
    "container-env-added",
    notice="a variable was added to .env, but the app does not see it",
    reddens=("containers.env-current",),
    touches=("env_file",),
)
def env_added(stack: Stack) -> Course:
    """Add a variable to .env without recreating the containers."""
    path = stack.site.deploy / ".env"
    with tools.replaced(path, path.read_text(encoding="utf-8") + "FEATURE_NEW=1\n"):
        yield


@fault(
    "container-app-stopped",
    notice="502 Bad Gateway on every page",
    reddens=("containers.running", *_APP_DOWN),
    touches=_OF_APP,
)
def app_stopped(stack: Stack) -> Course:
    """Stop the app."""
    stack.container(APP).stop()
    yield
    stack.container(APP).start()
