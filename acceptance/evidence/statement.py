"""The verdict as an in-toto Statement v1 with the predicate test-result v0.1, for policy engines.

Specification: https://github.com/in-toto/attestation, spec/v1/statement.md and
spec/predicates/test-result.md.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from acceptance import checklist
from acceptance.evidence.record import RunRecord
from acceptance.facts.base import Fact, Unavailable
from acceptance.facts.containers import Containers
from acceptance.outcome import Outcome
from acceptance.verdict import Verdict

NAME = "statement.json"
TYPE = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"

_REPO_DIGEST = re.compile(r"[^\s@]+@sha256:([0-9a-f]{64})")
_AS_PASSED = {Outcome.PASS, Outcome.NOT_APPLICABLE}


def document(
    record: RunRecord,
    facts: Mapping[str, Fact | Unavailable],
    files: Mapping[str, str],
    *,
    plan: Path = checklist.DIRECTORY,
) -> dict[str, object]:
    """Return the statement.

    Its subjects are the bundle, the checklist files that hold the gate's items (the plan as the suite knows
    it), and the images that were seen deployed, by their registry digests.

    Args:
        record: the run.
        facts: what was seen; without the fact `containers` no image is a subject.
        files: SHA-256 of every file of the bundle but the statement and the manifest, by relative path.
        plan: directory of the checklist.
    """
    return {
        "_type": TYPE,
        "subject": [
            {
                "name": "bundle",
                "digest": {"dirHash": directory_digest(files)},
                "annotations": _annotations(record),
            },
            *_plan(record.gate, plan),
            *_images(facts),
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "result": result(record),
            "configuration": [
                {"name": name, "digest": {"sha256": files[name]}}
                for name in ("target.json",)
                if name in files
            ],
            "passedTests": _ids(record, Outcome.PASS),
            "warnedTests": _ids(record, Outcome.WARN, Outcome.WAIVED),
            "failedTests": _ids(record, Outcome.FAIL),
        },
    }


def result(record: RunRecord) -> str:
    """Return the verdict in in-toto's words.

    PASSED is a GO in which every item passed or is not applicable, WARNED any other GO. NO-GO is FAILED,
    and so is HOLD: the predicate knows no "could not tell".
    """
    if record.verdict is not Verdict.GO:
        return "FAILED"
    return "PASSED" if all(item.outcome in _AS_PASSED for item in record.items) else "WARNED"


def directory_digest(files: Mapping[str, str]) -> str:
    """Return in-toto's `dirHash` of files given by path and SHA-256.

    It is the SHA-256 of what `sha256sum` prints of them in the order of their paths' bytes.
    """
    listing = "".join(f"{digest}  {path}\n" for path, digest in sorted(files.items()))
    return hashlib.sha256(listing.encode()).hexdigest()


def _annotations(record: RunRecord) -> dict[str, object]:
    return {
        "verdict": record.verdict.value,
        "gate": record.gate,
        "target": record.target.name,
        "rehearsal": record.rehearsal,
        "unanswered": _ids(record, Outcome.UNKNOWN, Outcome.NOT_RUN),
    }


def _ids(record: RunRecord, *outcomes: Outcome) -> list[str]:
    return [item.id for item in record.items if item.outcome in outcomes]


def _plan(gate: str, directory: Path) -> list[dict[str, object]]:
    contents = [(path.name, path.read_bytes()) for path in sorted(directory.glob("*.toml"))]
    return [
        {"name": f"checklist/{name}", "digest": {"sha256": hashlib.sha256(content).hexdigest()}}
        for name, content in contents
        if gate in _gates(content)
    ]


def _gates(content: bytes) -> tuple[str, ...]:
    phase = tomllib.loads(content.decode())
    return (phase["gate"], *phase.get("also", ()))


def _images(facts: Mapping[str, Fact | Unavailable]) -> list[dict[str, object]]:
    containers = facts.get("containers")
    if not isinstance(containers, Containers) or isinstance(containers.images, Unavailable):
        return []
    found = {
        match[0]: match[1]
        for image in containers.images.value
        for digest in image.digests
        if (match := _REPO_DIGEST.fullmatch(digest))
    }
    return [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(found.items())]
