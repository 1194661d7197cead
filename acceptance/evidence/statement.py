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

from acceptance import checklist, contract
from acceptance.evidence.record import RunRecord
from acceptance.facts.base import Fact, Unavailable
from acceptance.facts.containers import Containers
from acceptance.facts.plan import Plan
from acceptance.outcome import Outcome
from acceptance.verdict import Verdict

NAME = "statement.json"
TYPE = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"

_REPO_DIGEST = re.compile(r"[^\s@]+@sha256:([0-9a-f]{64})")
_AS_PASSED = {Outcome.PASS, Outcome.NOT_APPLICABLE}
_BY_CONTRACT = ("environments", "source_keys")
"""The facts that are judged by contracts/*.toml."""


def document(
    record: RunRecord,
    facts: Mapping[str, Fact | Unavailable],
    files: Mapping[str, str],
) -> dict[str, object]:
    """Return the statement.

    Its subjects are the bundle, the plan (the documents that the target names, and the suite's own form of
    it: the checklist files with items of the gate, and the contracts if they judged), and the images that
    were seen deployed, by their registry digests.

    Args:
        record: the run.
        facts: what was seen; without a fact of containers no image is a subject.
        files: SHA-256 of every file of the bundle but the statement and the manifest, by relative path.
    """
    return {
        "_type": TYPE,
        "subject": [bundle(record, files), *_plan(facts), *_own(record.gate, facts), *_images(facts)],
        "predicateType": PREDICATE,
        "predicate": predicate(record, files),
    }


def bundle(record: RunRecord, files: Mapping[str, str]) -> dict[str, object]:
    """Return the first subject."""
    return {
        "name": "bundle",
        "digest": {"dirHash": directory_digest(files)},
        "annotations": _annotations(record),
    }


def predicate(record: RunRecord, files: Mapping[str, str]) -> dict[str, object]:
    """Return what the statement says of its subjects."""
    return {
        "result": result(record),
        "configuration": [_subject(name, files[name]) for name in ("target.json",) if name in files],
        "passedTests": _ids(record, Outcome.PASS),
        "warnedTests": _ids(record, Outcome.WARN, Outcome.WAIVED),
        "failedTests": _ids(record, Outcome.FAIL),
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


def _subject(name: str, sha256: str) -> dict[str, object]:
    return {"name": name, "digest": {"sha256": sha256}}


def _plan(facts: Mapping[str, Fact | Unavailable]) -> list[dict[str, object]]:
    plan = facts.get("plan")
    found = plan.all if isinstance(plan, Plan) else {}
    return [
        _subject(f"documents/{name}", version.value.sha256)
        for name, version in sorted(found.items())
        if not isinstance(version, Unavailable)
    ]


def _own(gate: str, facts: Mapping[str, Fact | Unavailable]) -> list[dict[str, object]]:
    paths = [path for path in _toml(checklist.DIRECTORY) if gate in _gates(path.read_bytes())]
    if any(name in facts for name in _BY_CONTRACT):
        paths += _toml(contract.DIRECTORY)
    return [
        _subject(f"{path.parent.name}/{path.name}", hashlib.sha256(path.read_bytes()).hexdigest())
        for path in paths
    ]


def _toml(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.toml"))


def _gates(content: bytes) -> tuple[str, ...]:
    phase = tomllib.loads(content.decode())
    return (phase["gate"], *phase.get("also", ()))


def _images(facts: Mapping[str, Fact | Unavailable]) -> list[dict[str, object]]:
    found = {
        match[0]: match[1]
        for containers in facts.values()
        if isinstance(containers, Containers) and not isinstance(containers.images, Unavailable)
        for image in containers.images.value
        for digest in image.digests
        if (match := _REPO_DIGEST.fullmatch(digest))
    }
    return [_subject(name, digest) for name, digest in sorted(found.items())]
