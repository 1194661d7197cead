"""What takes a source away: red is at most the item about that source, what depends on it is UNKNOWN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rehearsal.faults import tools
from rehearsal.faults.base import Course, fault

if TYPE_CHECKING:
    from rehearsal.stack import Stack

HOST = (
    "ssh_login",
    "machine",
    "engine",
    "host_port",
    "certbot",
    "nginx",
    "certificates",
    "containers",
    "env_file",
    "environments",
    "logs",
    "database_settings",
    "schema",
    "port_settings",
    "queues",
    "storage",
    "server_login",
    "deploy",
    "storage_access",
    "visits",
)
"""What is seen over SSH."""


@fault(
    "source-sshd-stopped",
    notice="the server cannot be logged into; its public side works",
    reddens=("access.login",),
    touches=(*HOST, "outside"),
    blinds=True,
)
def sshd_stopped(stack: Stack) -> Course:
    """Stop sshd."""
    stack.program("sshd").stop()
    yield
    stack.program("sshd").start()


@fault(
    "source-root-password-wrong",
    notice="su says: Authentication failure",
    reddens=("access.privilege",),
    touches=HOST,
    blinds=True,
    root_only=True,
)
def root_password_wrong(stack: Stack) -> Course:
    """Let the operator have another root password than the server."""
    with tools.replaced(stack.site.secrets / "root_password", "not-the-root-password"):
        yield


@fault(
    "source-postgres-unreachable",
    notice="the operator's role cannot log in to the database",
    touches=("database_settings", "schema", "port_settings", "storage", "logs", "containers"),
    blinds=True,
)
def postgres_unreachable(stack: Stack) -> Course:
    """Let the operator have another database password than the server."""
    with tools.replaced(stack.site.secrets / "postgres_reader_password", "not-the-password"):
        yield


@fault(
    "source-intake-secret-unset",
    notice="the operator has no intake secret",
    touches=("health",),
    blinds=True,
)
def intake_secret_unset(stack: Stack) -> Course:
    """Take the operator's copy of the secret away."""
    with tools.moved_away(stack.site.secrets / "intake_secret"):
        yield


@fault(
    "source-engine-unreachable",
    notice="docker says: Cannot connect to the Docker daemon",
    reddens=("host.engine",),
    touches=(
        "engine",
        "machine",
        "host_port",
        "containers",
        "environments",
        "logs",
        "database_settings",
        "schema",
        "port_settings",
        "queues",
        "storage",
    ),
    blinds=True,
)
def engine_unreachable(stack: Stack) -> Course:
    """Stop the container engine's socket; the containers run on."""
    stack.stop_engine()
    yield
    stack.start_engine()


@fault(
    "source-registry-unreachable",
    notice="the registry does not answer",
    touches=("registry",),
    blinds=True,
)
def registry_unreachable(stack: Stack) -> Course:
    """Stop the registry."""
    stack.program("registry").stop()
    yield
    stack.program("registry").start()
