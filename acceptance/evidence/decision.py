"""A person's decision on a bundle: its rules, and the directory that it leaves beside the bundle."""

from __future__ import annotations

import hashlib
import shutil
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from acceptance.errors import UsageError
from acceptance.evidence import manifest
from acceptance.evidence.record import RunRecord
from acceptance.evidence.sign import DECISION_NAMESPACE, sign
from acceptance.verdict import Verdict

NAME = "decision.json"
PAGE = "signoff-decided.html"
SUFFIX = ".decision"


class Choice(StrEnum):
    """What can be decided."""

    GO = "go"
    NO_GO = "no-go"


class Decision(BaseModel):
    """Who decided what, when, on which bundle.

    Attributes:
        accepted_hold: why it is a go although the verdict is HOLD; empty otherwise.
        rehearsal: True if the bundle is of a rehearsal; the decision then says nothing about production.
        manifest: SHA-256 of the bundle's manifest, hexadecimal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = Field(default=1, alias="schema")
    decision: Choice
    by: str
    decided: datetime
    accepted_hold: str = ""
    rehearsal: bool
    gate: str
    target: str
    verdict: Verdict
    bundle: str
    manifest: str

    def text(self) -> str:
        """Return decision.json's content."""
        return self.model_dump_json(indent=1, by_alias=True) + "\n"


def refusal(choice: Choice, verdict: Verdict, accepted_hold: str) -> str:
    """Say why this cannot be decided on a bundle with this verdict; empty if it can."""
    if choice is Choice.NO_GO or verdict is Verdict.GO:
        return "there is no HOLD to accept; leave out --accept-hold" if accepted_hold else ""
    if verdict is Verdict.HOLD:
        return "" if accepted_hold else "the verdict is HOLD; a go on it needs --accept-hold REASON"
    return "the verdict is NO-GO; repair what failed and run the gate again"


def decide(
    bundle: Path, record: RunRecord, choice: Choice, *, by: str, accepted_hold: str, decided: datetime
) -> Decision:
    """Return the decision on a bundle that was verified and for which there is no refusal."""
    return Decision(
        decision=choice,
        by=by,
        decided=decided,
        accepted_hold=accepted_hold,
        rehearsal=record.rehearsal,
        gate=record.gate,
        target=record.target.name,
        verdict=record.verdict,
        bundle=bundle.name,
        manifest=hashlib.sha256((bundle / manifest.NAME).read_bytes()).hexdigest(),
    )


def write(bundle: Path, decision: Decision, page: str, key: Path | None) -> Path:
    """Write the decision's directory beside the bundle, complete or not at all, and return it.

    Its manifest names the digest of the bundle's, so that a signature over it covers both.

    Raises:
        UsageError: there is a decision on this bundle already, or it could not be signed.
    """
    directory = bundle.with_name(bundle.name + SUFFIX)
    if directory.exists() or directory.is_symlink():
        raise UsageError(f"{directory}: this bundle was decided on already; run the gate again for another.")
    partial = directory.with_name(f".{directory.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        _fill(partial, decision, page)
        if key is not None:
            sign(partial, key, DECISION_NAMESPACE)
        partial.rename(directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return directory


def _fill(directory: Path, decision: Decision, page: str) -> None:
    contents = {NAME: decision.text(), PAGE: page}
    for name, text in contents.items():
        (directory / name).write_text(text, encoding="utf-8", newline="\n")
    sealed = manifest.Manifest(
        chained_to=manifest.Chain(bundle=decision.bundle, manifest=decision.manifest),
        files={name: hashlib.sha256(text.encode()).hexdigest() for name, text in contents.items()},
    )
    (directory / manifest.NAME).write_text(sealed.text(), encoding="utf-8", newline="\n")
