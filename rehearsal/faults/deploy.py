"""What goes wrong with the files that the CRM is deployed from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rehearsal.faults import tools
from rehearsal.faults.base import Course, fault
from rehearsal.services import app, nginx, postgres

if TYPE_CHECKING:
    from rehearsal.stack import Stack

_TOUCHED = ("deploy",)
_VOLUMES = "\nvolumes:\n  pgdata:\n"


def _edited(stack: Stack, old: str, new: str) -> Course:
    with tools.edited(stack.site.deploy / app.COMPOSE_FILE, old, new):
        yield


@fault(
    "deploy-env-readable",
    notice="nothing; every account of the server can read the CRM's passwords",
    reddens=("deploy.files",),
    touches=_TOUCHED,
)
def env_readable(stack: Stack) -> Course:
    """Let others read .env."""
    path = stack.site.deploy / ".env"
    path.chmod(0o644)
    yield
    path.chmod(0o600)


@fault(
    "deploy-compose-file-missing",
    notice="docker compose says that there is no such file, on the day of the deploy",
    reddens=("deploy.files",),
    touches=_TOUCHED,
)
def compose_file_missing(stack: Stack) -> Course:
    """Take the compose file away; what runs, runs on."""
    with tools.moved_away(stack.site.deploy / app.COMPOSE_FILE):
        yield


@fault(
    "deploy-database-published",
    notice="nothing, once deployed; the whole internet can try the database's passwords",
    reddens=("deploy.compose",),
    touches=_TOUCHED,
)
def database_published(stack: Stack) -> Course:
    """Publish PostgreSQL in the compose file."""
    image = f"    image: {postgres.reference()}\n"
    yield from _edited(stack, image, f'{image}    ports:\n      - "5432:5432"\n')


@fault(
    "deploy-port-changed",
    notice="502 Bad Gateway on every page, once deployed",
    reddens=("deploy.compose",),
    touches=_TOUCHED,
)
def port_changed(stack: Stack) -> Course:
    """Publish the app under another port in the compose file."""
    yield from _edited(stack, f":{nginx.APP_PORT}:{app.PORT}", f":{nginx.APP_PORT + 1}:{app.PORT}")


@fault(
    "deploy-extra-service",
    notice="nothing; a tool from development goes to production too",
    reddens=("deploy.compose",),
    touches=_TOUCHED,
)
def extra_service(stack: Stack) -> Course:
    """Declare one more service."""
    yield from _edited(stack, _VOLUMES, f"\n  adminer:\n    image: adminer:4\n{_VOLUMES}")


@fault(
    "deploy-minio-service",
    notice="files go to a storage that nobody backs up",
    reddens=("deploy.compose",),
    touches=_TOUCHED,
)
def minio_service(stack: Stack) -> Course:
    """Bring a storage of its own, as the development setup does."""
    service = "\n  minio:\n    image: minio/minio:latest\n    command: server /data\n"
    yield from _edited(stack, _VOLUMES, f"{service}{_VOLUMES}")


@fault(
    "deploy-wrong-image",
    notice="PostgreSQL does not start: the data directory was initialised by another major",
    reddens=("deploy.compose",),
    touches=_TOUCHED,
)
def wrong_image(stack: Stack) -> Course:
    """Declare another PostgreSQL major."""
    yield from _edited(stack, f"image: {postgres.reference()}\n", "image: postgres:99-alpine\n")


@fault(
    "deploy-volume-lost",
    notice="nothing, until the next recreation brings an empty Redis",
    reddens=("deploy.compose",),
    touches=_TOUCHED,
)
def volume_lost(stack: Stack) -> Course:
    """Mount the volume of Redis where Redis does not keep its data."""
    yield from _edited(stack, "redisdata:/data", "redisdata:/var/lib/redis")
