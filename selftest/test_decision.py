"""A person's decision on a bundle: what is refused, and that it stays chained to the bundle it is about."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from acceptance.cli import main
from acceptance.evidence import manifest
from acceptance.evidence.bundle import digests
from acceptance.evidence.decision import Choice, refusal
from acceptance.evidence.sign import Trust
from acceptance.evidence.verify import verify
from acceptance.verdict import Verdict
from selftest import bundles, records
from selftest.test_evidence import allow, make_key
from selftest.test_reports import Page

HOSTILE = "<script>alert(1)</script>\x1b[2J"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return bundles.sealed(tmp_path, records.healthy(rehearsal=False))


@pytest.fixture
def held(tmp_path: Path) -> Path:
    return bundles.sealed(tmp_path, records.healthy(planned=True, rehearsal=False))


def decide(bundle: Path, choice: str, *arguments: str, by: str = "Owner") -> int:
    return main(["signoff", str(bundle), "--decision", choice, "--by", by, *arguments])


def decided(bundle: Path) -> Path:
    return bundle.resolve().with_name(f"{bundle.resolve().name}.decision")


@pytest.mark.parametrize(
    ("choice", "verdict", "reason", "allowed"),
    [
        (Choice.GO, Verdict.GO, "", True),
        (Choice.GO, Verdict.GO, "because", False),
        (Choice.GO, Verdict.HOLD, "", False),
        (Choice.GO, Verdict.HOLD, "because", True),
        (Choice.GO, Verdict.NO_GO, "", False),
        (Choice.GO, Verdict.NO_GO, "because", False),
        (Choice.NO_GO, Verdict.GO, "", True),
        (Choice.NO_GO, Verdict.HOLD, "", True),
        (Choice.NO_GO, Verdict.NO_GO, "", True),
        (Choice.NO_GO, Verdict.HOLD, "because", False),
    ],
)
def test_what_may_be_decided(choice: Choice, verdict: Verdict, reason: str, allowed: bool) -> None:
    assert (refusal(choice, verdict, reason) == "") is allowed


def test_a_decision_leaves_the_bundle_untouched_and_stands_beside_it(bundle: Path) -> None:
    before = bundles.content(bundle)
    assert decide(bundle, "go") == 0
    assert bundles.content(bundle) == before
    assert set(bundles.content(decided(bundle))) == {"decision.json", "signoff-decided.html", "manifest.json"}
    document = json.loads((decided(bundle) / "decision.json").read_text(encoding="utf-8"))
    assert (document["decision"], document["by"], document["verdict"]) == ("go", "Owner", "GO")
    assert document["rehearsal"] is False
    assert verify(decided(bundle)).findings == ()
    assert verify(bundle).findings == ()


def test_the_decided_page_is_the_page_with_the_decision(bundle: Path) -> None:
    decide(bundle, "no-go", by=f"Owner {HOSTILE}")
    page = Page((decided(bundle) / "signoff-decided.html").read_text(encoding="utf-8"))
    assert "Decided: NO-GO, by Owner <script>alert(1)</script>\\x1b[2J" in page.text
    assert "SHA-256 of its manifest" in page.text
    assert "for the rehearsal only" not in page.text
    assert records.CLAIMS["tls.trusted"] in page.text
    assert not [name for name, _ in page.elements if name == "script"]


def test_a_go_on_a_hold_needs_a_reason_and_shows_it(held: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert decide(held, "go") == 1
    assert decide(held, "go", "--accept-hold", "  ") == 1
    assert "refused: the verdict is HOLD; a go on it needs --accept-hold REASON" in capsys.readouterr().out
    assert not decided(held).exists()
    assert decide(held, "go", "--accept-hold", "Checked by hand.") == 0
    page = Page((decided(held) / "signoff-decided.html").read_text(encoding="utf-8"))
    assert "Why in spite of HOLD" in page.text
    assert "Checked by hand." in page.text
    assert verify(decided(held)).findings == ()


def test_nothing_makes_a_go_of_a_no_go(tmp_path: Path) -> None:
    failed = bundles.sealed(tmp_path, records.mixed(rehearsal=False))
    assert decide(failed, "go") == 1
    assert decide(failed, "go", "--accept-hold", "because") == 1
    assert not decided(failed).exists()


def test_a_decision_on_a_rehearsal_says_so(tmp_path: Path) -> None:
    rehearsal = bundles.sealed(tmp_path, records.healthy())
    assert decide(rehearsal, "go") == 0
    document = json.loads((decided(rehearsal) / "decision.json").read_text(encoding="utf-8"))
    assert document["rehearsal"] is True
    page = Page((decided(rehearsal) / "signoff-decided.html").read_text(encoding="utf-8"))
    assert "REHEARSAL — not evidence about production" in page.text
    assert "GO for the rehearsal only" in page.text
    assert "(a rehearsal)" in verify(decided(rehearsal)).notes[0]


def test_a_bundle_that_is_not_as_it_was_sealed_is_not_decided_on(bundle: Path) -> None:
    (bundle / "facts" / "tls.json").write_text("{}", encoding="utf-8")
    assert decide(bundle, "no-go") == 1
    (bundle / manifest.NAME).unlink()
    assert decide(bundle, "go") == 1
    assert not decided(bundle).exists()


def test_wrong_input(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert decide(bundle, "go", by=" ") == 4
    assert decide(tmp_path / "nowhere", "go") == 4
    assert decide(bundle, "go", "--key", str(tmp_path / "nowhere")) == 4
    assert not decided(bundle).exists()
    assert decide(bundle, "go") == 0
    assert decide(bundle, "no-go") == 4
    assert decide(decided(bundle), "go") == 4
    assert len(capsys.readouterr().err.splitlines()) == 5
    assert not [path for path in bundle.parent.iterdir() if path.name.endswith(".part")]


def test_a_bundle_may_be_named_by_a_link(bundle: Path) -> None:
    latest = bundle.parent.parent / "latest"
    assert decide(latest, "go") == 0
    assert verify(decided(bundle)).findings == ()


@pytest.mark.parametrize("name", ["decision.json", "signoff-decided.html"])
def test_a_changed_decision_is_named(bundle: Path, name: str) -> None:
    decide(bundle, "go")
    path = decided(bundle) / name
    path.write_bytes(path.read_bytes().replace(b"Owner", b"Other"))
    assert any(finding.startswith(f"changed: {name}") for finding in verify(decided(bundle)).findings)


def test_a_forged_decision_is_found_though_its_manifest_fits(held: Path) -> None:
    decide(held, "no-go")
    directory = decided(held)
    bundles.rewrite(directory / "decision.json", decision="go")
    document = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    forged = manifest.Manifest(
        chained_to=document["chained_to"],
        files={
            name: digest
            for name, digest in digests(directory).items()
            if name in ("decision.json", "signoff-decided.html")
        },
    )
    (directory / "manifest.json").write_text(forged.text(), encoding="utf-8")
    (finding,) = verify(directory).findings
    assert finding == "decision.json: the verdict is HOLD; a go on it needs --accept-hold REASON"


def test_a_change_in_the_bundle_is_found_from_the_decision(bundle: Path) -> None:
    decide(bundle, "go")
    (bundle / "ledger.jsonl").write_text("{}", encoding="utf-8")
    assert verify(decided(bundle)).findings == (f"{bundle.name}: added: ledger.jsonl",)
    bundles.reseal(bundle)
    findings = verify(decided(bundle)).findings
    assert f"the chain is broken: {bundle.name} is not the bundle that was decided on" in findings
    shutil.rmtree(bundle)
    assert verify(decided(bundle)).findings == (
        f"missing: the bundle {bundle.name} is not beside its decision",
    )


def test_a_decision_cannot_be_chained_to_itself(bundle: Path) -> None:
    decide(bundle, "go")
    bundle.rename(bundle.with_name("away"))
    shutil.copytree(decided(bundle), bundle)
    (finding,) = verify(decided(bundle)).findings
    assert finding.startswith("missing: the bundle")


def test_a_signed_decision_is_checked_against_who_may_decide(bundle: Path, tmp_path: Path) -> None:
    key = make_key(tmp_path / "key")
    assert decide(bundle, "go", "--key", str(key)) == 0
    may_decide = allow(tmp_path / "decide", key, options='namespaces="acceptance-decision"')
    may_run = allow(tmp_path / "run", key, options='namespaces="acceptance-bundle"')
    verification = verify(decided(bundle), Trust(may_decide, "owner@example"))
    assert verification.findings == ()
    assert verification.notes[0].startswith("signed by owner@example with ED25519 key")
    assert verify(decided(bundle), Trust(may_run)).findings[0].startswith("bad signature")
    assert verify(bundle, Trust(may_decide)).findings == ("not signed: there is no manifest.json.sig",)
