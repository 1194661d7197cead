"""Compares a rehearsal's verdict with the one it must have: `expect_verdict.py VERDICT.json`.

On a healthy rehearsal every check that is written passes. While checks are still planned the verdict is
therefore HOLD, for no other reason; once none is, it is GO.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FINE = {"pass", "waived", "not-applicable"}


def complaints(document: Mapping[str, Any], gate: str) -> list[str]:
    """Return in what the verdict of a healthy rehearsal is not as expected; nothing if it is."""
    found = [
        f"{item['id']}: {item['outcome']} ({item['reason']})"
        for item in document["items"]
        if item["outcome"] not in FINE and not is_planned(item)
    ]
    if document["gate"] != gate or document["rehearsal"] is not True:
        found.append(f"it is not about the gate {gate} of a rehearsal")
    if all(is_planned(item) for item in document["items"]):
        found.append("it judges nothing")
    expected = expected_verdict(document)
    if document["verdict"] != expected:
        found.append(f"verdict {document['verdict']} instead of {expected}")
    return found


def expected_verdict(document: Mapping[str, Any]) -> str:
    """Return HOLD while a blocker's check is planned, else GO."""
    blockers = [item for item in document["items"] if item["severity"] == "blocker"]
    return "HOLD" if any(is_planned(item) for item in blockers) else "GO"


def is_planned(item: Mapping[str, Any]) -> bool:
    """Tell whether the item's check is not written yet."""
    return bool(item["outcome"] == "not-run" and item["reason"] == "planned")


def main() -> int:
    """Print what is not as expected; return 1 if anything is."""
    document = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    found = complaints(document, "phase1_verify")
    for line in found:
        print(line, file=sys.stderr)
    if not found:
        planned = sum(is_planned(item) for item in document["items"])
        print(f"As expected: {document['verdict']}, {planned} of {len(document['items'])} items planned.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
