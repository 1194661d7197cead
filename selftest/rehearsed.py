"""A running rehearsal from the inside, for tests that look behind the suite's back."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from acceptance import target
from rehearsal.client import Rehearsal
from rehearsal.namespace import REPOSITORY
from rehearsal.site import Credentials, Site

_KNOWN = ("redis_password", "s3_access_key", "s3_secret_key", "admin_password", "intake_secret")


def as_ordinary_user(*argv: str) -> list[str]:
    """Return the command line that runs `argv` as an ordinary user; as such a user it is `argv` itself."""
    return [sys.executable, str(REPOSITORY / "tools" / "as_user.py"), *argv] if os.getuid() == 0 else [*argv]


def site_of(rehearsal: Rehearsal) -> Site:
    """Return the rehearsal's site, with the credentials that its target file refers to."""
    root = rehearsal.target_file.resolve().parent
    net = target.load(rehearsal.target_file).server.address.rpartition(".")[0]
    known = {name: _read(root / "secrets" / name) for name in _KNOWN}
    return Site(root, net, os.geteuid() == 0, Credentials(**known))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
