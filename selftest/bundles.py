"""Sealed bundles of runs that never happened, for the tests of the evidence."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from acceptance import target
from acceptance.evidence import manifest
from acceptance.evidence.bundle import Bundle, digests
from acceptance.evidence.record import RunRecord, Screenshot
from acceptance.facts.base import Fact, Known, Unavailable
from acceptance.facts.containers import Container, Containers, Image
from acceptance.facts.env_file import Variable
from acceptance.facts.plan import Plan, Version
from acceptance.redaction import Redactor
from acceptance.report import junit, signoff

AT = datetime(2026, 3, 4, 9, 30, 14, tzinfo=UTC)
DIGEST = hashlib.sha256(b"crm-app").hexdigest()
PLAN = hashlib.sha256(b"the plan").hexdigest()
PICTURE = b"\x89PNG\r\n\x1a\n a picture"


def containers(*, status: str = "running", secret: str = "a" * 16) -> Containers:
    """One container with one variable, and its image."""
    return Containers(
        project="pn-crm",
        at=AT,
        all=(
            Container(
                id="c" * 64,
                name="pn-crm-crm-app-1",
                service="crm-app",
                one_off=False,
                status=status,
                restarting=False,
                health=None,
                exit_code=0,
                oom_killed=False,
                restart_count=0,
                started_at="2026-03-04T08:00:00Z",
                image_id="sha256:" + "1" * 64,
                image_reference="registry.example/crm-app:latest",
                ports=(),
                mounts=(),
                addresses={"pn-crm_default": "172.18.0.2"},
                log_driver="json-file",
                environment={"BETTER_AUTH_SECRET": Variable(equals=secret, length=40, blank=False)},
            ),
        ),
        images=Known(
            value=(
                Image(
                    id="sha256:" + "1" * 64,
                    tags=("registry.example/crm-app:latest",),
                    digests=(f"registry.example/crm-app@sha256:{DIGEST}", "<script>@sha256:no"),
                    revision=None,
                ),
            )
        ),
        again=Unavailable(reason="not asked"),
    )


def facts() -> dict[str, Fact | Unavailable]:
    """Facts that are known, one of them in part, and one that is not."""
    documents = {
        "plan.md": Known(value=Version(sha256=PLAN)),
        "gone.md": Unavailable(reason="It is not there."),
    }
    return {
        "containers": containers(),
        "plan": Plan(all=documents),
        "tls": Unavailable(reason="The server refused the connection."),
    }


def sealed(reports: Path, record: RunRecord, seen: Mapping[str, Fact | Unavailable] | None = None) -> Path:
    """Write a whole bundle as a run does, and return its directory."""
    known = facts() if seen is None else seen
    bundle = Bundle(record.target.name, record.gate, Redactor(), reports, replay=False)
    bundle.begin(record)
    bundle.keep_target(target.load(target.DIRECTORY / "production.toml"))
    for name, fact in known.items():
        bundle.keep_fact(name, fact)
    shot: Screenshot = bundle.write_picture("login", PICTURE)
    record = record.model_copy(update={"screenshots": (shot,)})
    for item in record.items:
        for check in item.checks:
            bundle.keep_check(check)
    bundle.write("signoff.html", signoff.render(record, {"login": PICTURE}))
    bundle.write("junit.xml", junit.render(record))
    bundle.finish(record, known)
    return bundle.path


def reseal(bundle: Path) -> None:
    """Give a changed bundle a manifest that fits, as a forger would."""
    (bundle / manifest.SIGNATURE).unlink(missing_ok=True)
    (bundle / manifest.NAME).write_text(manifest.Manifest(files=digests(bundle)).text(), encoding="utf-8")


def rewrite(path: Path, **changes: object) -> None:
    """Replace top-level members of a JSON file."""
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**document, **changes}), encoding="utf-8")


def copy(bundle: Path, reports: Path) -> Path:
    """Copy a bundle for a test that changes it."""
    return Path(shutil.copytree(bundle, reports / bundle.name, symlinks=True))


def content(directory: Path) -> dict[str, bytes]:
    """Return every file's bytes by relative path."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }
