"""Compares a bundle, or a decision on one, with what it was when it was sealed."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from acceptance.errors import UsageError
from acceptance.evidence import decision, manifest, sign, statement
from acceptance.evidence.bundle import verdict_document
from acceptance.evidence.decision import Decision
from acceptance.evidence.record import RunRecord
from acceptance.verdict import Verdict, decide

INCOMPLETE = "incomplete (killed run): there is no manifest.json, so the run did not come to its end"


@dataclass(frozen=True)
class Verification:
    """What comparing showed.

    Attributes:
        findings: what is not as it was sealed, one line each; nothing if all is well.
        notes: what is worth telling besides.
    """

    findings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def within(self, name: str) -> Verification:
        """Return the same, told of a directory with this name."""
        return Verification(
            tuple(f"{name}: {line}" for line in self.findings),
            tuple(f"{name}: {line}" for line in self.notes),
        )


def verify(directory: Path, trust: sign.Trust | None = None) -> Verification:
    """Compare a bundle, or the directory of a decision together with its bundle.

    Args:
        directory: what is verified; nothing in it is changed.
        trust: whose signature it must carry. Without it a signature is only checked to fit its own key.

    Raises:
        UsageError: it is no bundle at all, or what the check of signatures needs is missing.
    """
    if not directory.is_dir():
        raise UsageError(f"{directory}: there is no such directory; give the directory of a run.")
    known = [name for name in (manifest.NAME, "verdict.json", decision.NAME) if (directory / name).exists()]
    if not known:
        raise UsageError(
            f"{directory}: this is neither a bundle nor a decision; give the directory of a run."
        )
    if manifest.NAME not in known:
        return Verification((INCOMPLETE,))
    try:
        sealed = manifest.parse((directory / manifest.NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error if isinstance(error, manifest.ManifestError) else "it cannot be read"
        return Verification((f"changed: {manifest.NAME} ({reason})",))
    signature = _signature(directory, sealed, trust)
    changes = _changes(directory, sealed)
    contents = _decision(directory, sealed) if sealed.chained_to else _bundle(directory, sealed)
    return Verification(
        (*changes, *signature.findings, *contents.findings), (*signature.notes, *contents.notes)
    )


def _changes(directory: Path, sealed: manifest.Manifest) -> tuple[str, ...]:
    found = _entries(directory)
    missing = [f"missing: {name}" for name in sorted(sealed.files) if name not in found]
    added = [f"added: {name}{_kind(found[name])}" for name in sorted(found) if name not in sealed.files]
    changed = [
        f"changed: {name}{_difference(directory / name, found[name], digest)}"
        for name, digest in sorted(sealed.files.items())
        if name in found and _difference(directory / name, found[name], digest)
    ]
    return (*changed, *missing, *added)


def _entries(directory: Path) -> dict[str, int]:
    """Return the mode of everything in a directory by relative path, but the manifest and its signature.

    Directories count only if they are empty; links are not followed.
    """
    entries = {}
    for parent, directories, files in os.walk(directory, onerror=_unreadable):
        here = Path(parent)
        empty = here != directory and not directories and not files
        links = [name for name in directories if (here / name).is_symlink()]
        for path in [here / name for name in (*files, *links)] + ([here] if empty else []):
            entries[path.relative_to(directory).as_posix()] = path.lstat().st_mode
    return {name: mode for name, mode in entries.items() if name not in _own(entries)}


def _own(entries: dict[str, int]) -> set[str]:
    return {name for name in (manifest.NAME, manifest.SIGNATURE) if stat.S_ISREG(entries.get(name, 0))}


def _unreadable(error: OSError) -> None:
    raise UsageError(f"{error.filename}: cannot be read ({error.strerror}); verify it as a user who may.")


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return ""
    if stat.S_ISLNK(mode):
        return " (a symbolic link)"
    return " (an empty directory)" if stat.S_ISDIR(mode) else " (not a regular file)"


def _difference(path: Path, mode: int, digest: str) -> str:
    if not stat.S_ISREG(mode):
        return _kind(mode)
    try:
        seen = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}); verify it as a user who may."
        ) from error
    return "" if seen == digest else f" (its SHA-256 is {seen[:16]}…, sealed was {digest[:16]}…)"


def _signature(directory: Path, sealed: manifest.Manifest, trust: sign.Trust | None) -> Verification:
    if not (directory / manifest.SIGNATURE).is_file():
        return Verification(("not signed: there is no manifest.json.sig",) if trust else ())
    if trust is None and not sign.is_available():
        return Verification(notes=("signed, but not checked: ssh-keygen is not installed",))
    namespace = sign.DECISION_NAMESPACE if sealed.chained_to else sign.BUNDLE_NAMESPACE
    try:
        return Verification(notes=(f"signed by {sign.check(directory, namespace, trust)}",))
    except sign.BadSignatureError as error:
        return Verification((f"bad signature: {manifest.SIGNATURE} ({error})",))


def _bundle(directory: Path, sealed: manifest.Manifest) -> Verification:
    try:
        record = RunRecord.model_validate_json((directory / "record.json").read_bytes())
        verdict = json.loads((directory / "verdict.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        what = "of another form than this suite's" if isinstance(error, ValidationError) else "not readable"
        return Verification((f"record.json or verdict.json is {what}: use the version that wrote them",))
    findings = []
    if verdict != verdict_document(record):
        findings.append("verdict.json contradicts record.json")
    if record.verdict is not _earned(record):
        findings.append(f"record.json says {record.verdict}, its items make it {_earned(record)}")
    if statement.NAME in sealed.files and not _fits(directory, sealed, record):
        findings.append(f"{statement.NAME} contradicts the bundle")
    rehearsal = ", a rehearsal" if record.rehearsal else ""
    return Verification(
        tuple(findings), (f"{record.verdict} for {record.gate} on {record.target.name}{rehearsal}",)
    )


def _earned(record: RunRecord) -> Verdict:
    if record.finished is None:
        return Verdict.HOLD
    return decide([(item.severity, item.outcome) for item in record.items], whole_gate=not record.narrowed)


def _fits(directory: Path, sealed: manifest.Manifest, record: RunRecord) -> bool:
    files = {name: digest for name, digest in sealed.files.items() if name != statement.NAME}
    try:
        document = json.loads((directory / statement.NAME).read_text(encoding="utf-8"))
        told = document["subject"][0], document["predicate"]
        return bool(told == (statement.bundle(record, files), statement.predicate(record, files)))
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _decision(directory: Path, sealed: manifest.Manifest) -> Verification:
    assert sealed.chained_to is not None
    bundle = directory.resolve().parent / sealed.chained_to.bundle
    if not bundle.is_dir() or (bundle / decision.NAME).exists():
        return Verification((f"missing: the bundle {bundle.name} is not beside its decision",))
    try:
        made = Decision.model_validate_json((directory / decision.NAME).read_bytes())
        record = RunRecord.model_validate_json((bundle / "record.json").read_bytes())
        seal = hashlib.sha256((bundle / manifest.NAME).read_bytes()).hexdigest()
    except (OSError, ValueError):
        return Verification((f"{decision.NAME} or its bundle {bundle.name} cannot be read",))
    findings = []
    expected = decision.decide(
        bundle,
        record,
        made.decision,
        by=made.by,
        accepted_hold=made.accepted_hold,
        decided=made.decided,
    )
    if seal != sealed.chained_to.manifest:
        findings.append(f"the chain is broken: {bundle.name} is not the bundle that was decided on")
    elif made != expected:
        findings.append(f"{decision.NAME} contradicts the bundle {bundle.name}")
    elif refused := decision.refusal(made.decision, record.verdict, made.accepted_hold):
        findings.append(f"{decision.NAME}: {refused}")
    inner = verify(bundle).within(bundle.name)
    rehearsal = " (a rehearsal)" if made.rehearsal else ""
    return Verification(
        (*findings, *inner.findings), (f"decided {made.decision} by {made.by}{rehearsal}", *inner.notes)
    )
