"""The directory a run leaves behind, written so that a killed run can never look like a GO."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from acceptance.evidence.record import RunRecord
from acceptance.secrets import Redactor

REPORTS = Path(__file__).resolve().parent.parent.parent / "reports"


class Bundle:
    """One run's directory below reports/.

    Attributes:
        path: `reports/<target>/<UTC>-<gate>`.
    """

    def __init__(self, target: str, gate: str, redactor: Redactor, *, reports: Path) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        self.path = reports / target / f"{stamp}-{gate}"
        self.path.mkdir(parents=True)
        self._reports = reports
        self._redactor = redactor

    def begin(self, record: RunRecord) -> None:
        """Write the incomplete verdict, and let reports/latest point here from now on."""
        self._write_verdict(record)
        link = self._reports / f".latest-{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(self.path.relative_to(self._reports))
        link.replace(self._reports / "latest")

    def write(self, name: str, text: str) -> Path:
        """Write one artefact through the redactor, atomically, and return its path."""
        path = self.path / name
        partial = path.with_name(f".{name}.part")
        partial.write_text(self._redactor.scrub(text), encoding="utf-8")
        partial.replace(path)
        return path

    def finish(self, record: RunRecord) -> None:
        """Replace the incomplete verdict by the final one; the last thing written."""
        self.write("record.json", record.model_dump_json(indent=1) + "\n")
        self._write_verdict(record)

    def _write_verdict(self, record: RunRecord) -> None:
        self.write("verdict.json", json.dumps(verdict_document(record), indent=1, ensure_ascii=False) + "\n")


def verdict_document(record: RunRecord) -> dict[str, object]:
    """Return verdict.json's content, the form that other programs rely on."""
    return {
        "schema": 1,
        "verdict": record.verdict.value,
        "reason": record.reason,
        "gate": record.gate,
        "target": record.target.name,
        "rehearsal": record.rehearsal,
        "started": record.started.isoformat(),
        "finished": record.finished.isoformat() if record.finished else None,
        "items": [
            {
                "id": item.id,
                "severity": item.severity.value,
                "outcome": item.outcome.value,
                "reason": item.reason,
                "checks": [
                    {"name": check.name, "outcome": check.outcome.value, "reason": check.reason}
                    for check in item.checks
                ],
            }
            for item in record.items
        ],
    }
