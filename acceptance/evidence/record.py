"""The one versioned model of a run. Everything that is reported is a rendering of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from acceptance.check import Evidence
from acceptance.facts.base import LookRecord
from acceptance.facts.watch import Watch
from acceptance.outcome import Outcome, Severity
from acceptance.verdict import Verdict

_PICTURE = r"[A-Za-z0-9][A-Za-z0-9_-]*"
"""The name of a picture: it becomes a file's, when a bundle that anybody may have made is judged again."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CheckRecord(_Model):
    """One test as it went.

    Attributes:
        name: the test's node id, without remote text.
        title: first sentence of its docstring; `why` is the whole docstring.
        outcome: the true outcome, before a waiver.
        reason: why it is not a pass; empty for a pass.
        remedy: how to get an answer, if it is unknown.
        facts: names of the facts it judged.
    """

    name: str
    item: str
    title: str
    why: str
    outcome: Outcome
    reason: str = ""
    remedy: str = ""
    evidence: tuple[Evidence, ...] = ()
    facts: tuple[str, ...] = ()
    seconds: float = 0.0


class ItemRecord(_Model):
    """One item of the gate.

    Attributes:
        outcome: what counts for the verdict.
        true_outcome: the same before a waiver.
        waiver: who answers for it, why and until when; empty if it is not waived.
    """

    id: str
    section: str
    severity: Severity
    claim: str
    plan: str
    remedy: str
    approval: str
    outcome: Outcome
    true_outcome: Outcome
    waiver: str = ""
    reason: str = ""
    checks: tuple[CheckRecord, ...] = ()


class Screenshot(_Model):
    """A picture that is kept beside the record.

    Attributes:
        name: what `Evidence.picture` calls it.
        file: its path in the run's directory.
        sha256: of the file, hexadecimal.
    """

    name: Annotated[str, Field(pattern=rf"^{_PICTURE}$")]
    file: Annotated[str, Field(pattern=rf"^screenshots/{_PICTURE}\.png$")]
    sha256: str


class TargetRecord(_Model):
    """What was judged, without credentials."""

    name: str
    public_name: str
    server: str
    file: str


class RunRecord(_Model):
    """A whole run.

    Attributes:
        reason: why the verdict is what it is, in one sentence ("2 blockers failed: …").
        seen: when the target was looked at; for a replay that is not when it ran.
        replayed: name of the bundle whose facts were judged again; empty if the target was looked at.
        fingerprint_key_id: which key made the equality classes; they compare between runs with the same.
        approved: the actions that were approved.
        approved_by, ticket: who approved them and for what, as the operator said.
        stage: of the cutover, as declared; None if it was not.
        round_trips, logins: what the SSH transport counted; `samples` are round trips of a watch.
        watch: what was seen over time, if it was watched.
    """

    record_version: Literal[1] = 1
    suite_version: str
    gate: str
    gate_title: str
    target: TargetRecord
    rehearsal: bool
    verdict: Verdict
    reason: str
    started: datetime
    seen: datetime
    finished: datetime | None
    replayed: str = ""
    fingerprint_key_id: str = ""
    approved: tuple[str, ...] = ()
    approved_by: str = ""
    ticket: str = ""
    narrowed: str = ""
    stage: int | None = None
    logins: int = 0
    round_trips: int = 0
    samples: int = 0
    items: tuple[ItemRecord, ...] = ()
    looks: tuple[LookRecord, ...] = ()
    watch: Watch | None = None
    screenshots: tuple[Screenshot, ...] = ()
    warnings: tuple[str, ...] = ()
