"""A host whose declared commands run on this machine, for self-tests of host facts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from acceptance.access import Access
from acceptance.errors import UnavailableError
from acceptance.guard.commands import Call
from acceptance.target import Target
from acceptance.transports.host import Result

NOBODY = 65534


class LocalHost:
    """Runs declared calls with this machine's own shell.

    Attributes:
        rounds: how often it was asked.
        unprivileged_uid: the account for commands that need no root, if the tests run as root.
        root: whether there is a way to root.
    """

    def __init__(self, *, unprivileged_uid: int | None = None, root: bool = True) -> None:
        self.rounds = 0
        self.sent: list[Call] = []
        self._uid = unprivileged_uid if os.geteuid() == 0 else None
        self._root = root

    async def run(self, *calls: Call) -> tuple[Result, ...]:
        """Run the calls one after another."""
        self.rounds += 1
        self.sent += calls
        if not self._root and any(one.command.privileged and not one.command.plain_too for one in calls):
            raise UnavailableError("su: wrong password")
        return tuple(self._run(one) for one in calls)

    def done(self) -> None:
        """Nobody waits here."""

    def _run(self, one: Call) -> Result:
        answer = subprocess.run(
            ["/bin/sh", "-c", one.command.script, one.command.name, *one.arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            cwd="/",
            user=None if one.command.privileged and self._root else self._uid,
            check=False,
        )
        return Result(one, answer.returncode, answer.stdout, answer.stderr.decode("utf-8", "replace"))


def access(target: Target, host: LocalHost, approved: Iterable[str] = ()) -> Access:
    """Return what a host collector needs of an Access."""
    actions = frozenset(approved)
    stand_in: Any = SimpleNamespace(target=target, host=host, approved=lambda action: action in actions)
    return cast("Access", stand_in)


def target_for(
    root: Path, *, public: dict[str, Any] | None = None, assumed: tuple[str, ...] = (), https: int = 443
) -> Target:
    """Return a target whose nginx and certbot trees are below a directory."""
    document: dict[str, Any] = {
        "name": "selftest",
        "assumed": assumed,
        "server": {"address": "server.example.test", "user": "stefan", "identity": "id"},
        "public": {"name": "crm.example.test", **(public or {})},
        "nginx": {
            "root": f"{root}/nginx",
            "config": f"{root}/nginx/nginx.conf",
            "vhost": "crm.conf",
            "listen_https": https,
            "upstream": {"address": "127.0.0.1", "port": 7100},
        },
        "tls": {"letsencrypt": f"{root}/letsencrypt"},
        "compose": {
            "project": "pn-crm",
            "directory": "/opt/pn-crm",
            "services": [
                {"name": kind, "image": kind, "kind": kind} for kind in ("app", "worker", "postgres", "redis")
            ],
        },
        "health": {"secret": "env:INTAKE"},
        "postgres": {"database": "crm", "user": "crm", "password": "env:PG"},
        "redis": {},
    }
    return Target.model_validate(document)
