"""`acceptance verify`, `sign`, `diff` and `signoff`: what is done with the bundle of a run afterwards."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acceptance.errors import UsageError
from acceptance.evidence import decision
from acceptance.evidence.sign import BUNDLE_NAMESPACE, Trust, sign
from acceptance.evidence.verify import verify
from acceptance.report.text import one_line

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Any]

NOT_FINE = 1
"""Exit code if something was found, changed or refused."""


def register(commands: Commands) -> None:
    """Declare the subcommands."""
    _register_verify(commands)
    _register_sign(commands)
    _register_diff(commands)
    _register_signoff(commands)


def _register_verify(commands: Commands) -> None:
    parser = commands.add_parser(
        "verify", help="name what in a bundle, or a decision, is not as it was sealed"
    )
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the directory of a run or of a decision")
    parser.add_argument(
        "--allowed-signers", type=Path, metavar="FILE", help="it must be signed by someone in this file"
    )
    parser.add_argument("--identity", default="", metavar="NAME", help="and by this one")
    parser.set_defaults(run=_verify)


def _register_sign(commands: Commands) -> None:
    parser = commands.add_parser("sign", help="sign a bundle with an SSH key")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the directory of a run")
    parser.add_argument(
        "--key", type=Path, required=True, metavar="FILE", help="a private key, or a public one of the agent"
    )
    parser.set_defaults(run=_sign)


def _register_diff(commands: Commands) -> None:
    parser = commands.add_parser("diff", help="tell which outcomes and facts changed; exit code 1 if any did")
    parser.add_argument("before", type=Path, metavar="A", help="the directory of the earlier run")
    parser.add_argument("after", type=Path, metavar="B", help="the directory of the later run")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write it as a page too")
    parser.add_argument("--all", action="store_true", help="list what changes from look to look too")
    parser.set_defaults(run=_diff)


def _register_signoff(commands: Commands) -> None:
    parser = commands.add_parser("signoff", help="record a decision on a bundle, beside it")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the directory of a run")
    parser.add_argument("--decision", required=True, choices=[choice.value for choice in decision.Choice])
    parser.add_argument("--by", required=True, metavar="NAME", help="who decides")
    parser.add_argument(
        "--accept-hold", default="", metavar="REASON", help="why it is a go although the verdict is HOLD"
    )
    parser.add_argument("--key", type=Path, metavar="FILE", help="sign the decision with this SSH key")
    parser.set_defaults(run=_signoff)


def _verify(options: argparse.Namespace) -> int:
    if options.identity and options.allowed_signers is None:
        raise UsageError("--identity: it needs --allowed-signers FILE, which says what the name's keys are.")
    trust = Trust(options.allowed_signers, options.identity) if options.allowed_signers else None
    verification = verify(options.bundle, trust)
    for line in verification.findings:
        _say(line)
    if verification.findings:
        return NOT_FINE
    for line in ("as it was sealed", *verification.notes):
        _say(line)
    return 0


def _sign(options: argparse.Namespace) -> int:
    if not _is_whole(options.bundle):
        return NOT_FINE
    _say(f"{sign(options.bundle, options.key, BUNDLE_NAMESPACE)}: written")
    return 0


def _is_whole(bundle: Path) -> bool:
    """Verify a bundle that something is to be added to, and say why nothing will be."""
    if (bundle / decision.NAME).exists():
        raise UsageError(f"{bundle}: this is a decision; give the directory of a run.")
    findings = verify(bundle).findings
    for line in findings:
        _say(line)
    if findings:
        _say(f"refused: {bundle.name} is not as it was sealed")
    return not findings


def _diff(options: argparse.Namespace) -> int:
    from acceptance.evidence.diff import compare, load  # noqa: PLC0415 - only this command compares
    from acceptance.report import diff  # noqa: PLC0415

    difference = compare(load(options.before), load(options.after))
    for line in diff.lines(difference, everything=options.all):
        print(line)  # noqa: T201
    if options.html is not None:
        _write(options.html, diff.render(difference, everything=options.all))
    return 0 if difference.is_empty else NOT_FINE


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"--html {path}: cannot be written ({error.strerror}).") from error


def _signoff(options: argparse.Namespace) -> int:
    from acceptance.evidence.stored import StoredBundle  # noqa: PLC0415 - only this command renders
    from acceptance.report import signoff  # noqa: PLC0415

    choice, by, reason = decision.Choice(options.decision), options.by.strip(), options.accept_hold.strip()
    if not by:
        raise UsageError("--by: give the name of the person who decides.")
    if not _is_whole(options.bundle):
        return NOT_FINE
    stored = StoredBundle(options.bundle.resolve())
    refused = decision.refusal(choice, stored.record.verdict, reason)
    if refused:
        _say(f"refused: {refused}")
        return NOT_FINE
    made = decision.decide(
        stored.path, stored.record, choice, by=by, accepted_hold=reason, decided=datetime.now(UTC)
    )
    page = signoff.render(stored.record, stored.pictures(), made)
    _say(f"{decision.write(stored.path, made, page, options.key)}: written")
    return 0


def _say(line: str) -> None:
    print(one_line(line), file=sys.stdout)  # noqa: T201
