"""The directory a run leaves behind, written so that a killed run can never look like a GO."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from acceptance.evidence import manifest, statement
from acceptance.evidence.record import CheckRecord, RunRecord, Screenshot
from acceptance.facts.base import Fact, Unavailable
from acceptance.secrets import Redactor
from acceptance.target import Target

REPORTS = Path(__file__).resolve().parent.parent.parent / "reports"

VERDICT = "verdict.json"


class Bundle:
    """One run's directory below reports/.

    Attributes:
        path: `reports/<target>/<UTC>-<gate>`, with `-replay` behind it for a replay.
    """

    def __init__(self, target: str, gate: str, redactor: Redactor, reports: Path, *, replay: bool) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        self.path = reports / target / f"{stamp}-{gate}{'-replay' if replay else ''}"
        self.path.mkdir(parents=True)
        self._reports = reports
        self._replay = replay
        self._redactor = redactor
        self._prepared: dict[Path, Path] = {}

    def begin(self, record: RunRecord) -> None:
        """Write the incomplete verdict, and let reports/latest point here from now on.

        A replay saw nothing new, so it leaves reports/latest where it is.
        """
        self._write_verdict(record)
        if self._replay:
            return
        link = self._reports / f".latest-{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(self.path.relative_to(self._reports))
        link.replace(self._reports / "latest")

    def write(self, name: str, text: str) -> Path:
        """Write one artefact through the redactor, atomically, and return its path."""
        path = self.path / name
        self._partial(path, text).replace(path)
        return path

    def prepare(self, name: str, text: str) -> None:
        """Write one artefact through the redactor under a name that says it is none yet."""
        self._prepared[self.path / name] = self._partial(self.path / name, text)

    def publish(self) -> None:
        """Give what was prepared its names."""
        for path, partial in self._prepared.items():
            partial.replace(path)
        self._prepared.clear()

    def _partial(self, path: Path, text: str) -> Path:
        partial = path.with_name(f".{path.name}.part")
        partial.write_text(self._redactor.scrub(text), encoding="utf-8")
        return partial

    def keep_target(self, target: Target) -> None:
        """Keep what was judged: the target file's content, which holds references to secrets only."""
        self.write("target.json", target.model_dump_json(indent=1) + "\n")

    def keep_fact(self, name: str, fact: Fact | Unavailable) -> None:
        """Keep a fact, redacted before; a later one of the same name replaces it."""
        (self.path / "facts").mkdir(exist_ok=True)
        state = "unavailable" if isinstance(fact, Unavailable) else "known"
        document = {"schema": 1, "fact": name, "state": state, "value": fact.model_dump(mode="json")}
        self.write(f"facts/{name}.json", json.dumps(document, indent=1, ensure_ascii=False) + "\n")

    def keep_check(self, check: CheckRecord) -> None:
        """Append how a check went, flushed, so that a killed run tells what it had seen."""
        line = self._redactor.scrub(check.model_dump_json())
        with (self.path / "checks.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def write_picture(self, name: str, png: bytes) -> Screenshot:
        """Write a picture, atomically, and return its entry for the record. No secret is looked for in it."""
        path = self.path / "screenshots" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        partial = path.with_name(f".{path.name}.part")
        partial.write_bytes(png)
        partial.replace(path)
        return Screenshot(
            name=name,
            file=str(path.relative_to(self.path)),
            sha256=hashlib.sha256(png).hexdigest(),
        )

    def finish(self, record: RunRecord, facts: Mapping[str, Fact | Unavailable]) -> None:
        """Seal the bundle and replace the incomplete verdict, which comes last: before it nothing says GO."""
        self.write("record.json", record.model_dump_json(indent=1) + "\n")
        verdict = self._redactor.scrub(_verdict_text(record))
        files = {**digests(self.path), VERDICT: hashlib.sha256(verdict.encode()).hexdigest()}
        stated = self.write(
            statement.NAME, json.dumps(statement.document(record, facts, files), indent=1) + "\n"
        )
        files[statement.NAME] = hashlib.sha256(stated.read_bytes()).hexdigest()
        self.write(manifest.NAME, manifest.Manifest(files=files).text())
        self.write(VERDICT, verdict)

    def _write_verdict(self, record: RunRecord) -> None:
        self.write(VERDICT, _verdict_text(record))


def digests(bundle: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a bundle but its manifest, by relative path, sorted."""
    files = sorted(path for path in bundle.rglob("*") if path.is_file() and path != bundle / manifest.NAME)
    return {
        path.relative_to(bundle).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def _verdict_text(record: RunRecord) -> str:
    return json.dumps(verdict_document(record), indent=1, ensure_ascii=False) + "\n"


def verdict_document(record: RunRecord) -> dict[str, object]:
    """Return verdict.json's content, the form that other programs rely on."""
    return {
        "schema": 1,
        "verdict": record.verdict.value,
        "reason": record.reason,
        "gate": record.gate,
        "target": record.target.name,
        "rehearsal": record.rehearsal,
        "replayed": record.replayed,
        "seen": record.seen.isoformat(),
        "started": record.started.isoformat(),
        "finished": record.finished.isoformat() if record.finished else None,
        "approved": list(record.approved),
        "approved_by": record.approved_by,
        "ticket": record.ticket,
        "items": [
            {
                "id": item.id,
                "severity": item.severity.value,
                "outcome": item.outcome.value,
                "true_outcome": item.true_outcome.value,
                "waiver": item.waiver,
                "reason": item.reason,
                "checks": [
                    {"name": check.name, "outcome": check.outcome.value, "reason": check.reason}
                    for check in item.checks
                ],
            }
            for item in record.items
        ],
    }
