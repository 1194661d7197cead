"""A bundle's seal, signature and statement: whatever is done to a bundle afterwards is named."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acceptance import checklist, contract
from acceptance.cli import main
from acceptance.errors import UsageError
from acceptance.evidence import manifest, statement
from acceptance.evidence.bundle import Bundle
from acceptance.evidence.sign import BUNDLE_NAMESPACE, Trust, sign
from acceptance.evidence.stored import StoredBundle
from acceptance.evidence.verify import verify
from acceptance.facts import plan
from acceptance.facts.base import Known, Unavailable
from acceptance.outcome import Outcome
from acceptance.redaction import Redactor
from acceptance.verdict import Verdict
from selftest import bundles, records


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("key") / "id_ed25519")


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory, key: Path) -> Path:
    bundle = bundles.sealed(tmp_path_factory.mktemp("signed"), records.healthy())
    sign(bundle, key, BUNDLE_NAMESPACE)
    return bundle


@pytest.fixture
def bundle(signed: Path, tmp_path: Path) -> Path:
    copied = bundles.copy(signed, tmp_path)
    (copied / manifest.SIGNATURE).unlink()
    return copied


def make_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def allow(path: Path, key: Path, principal: str = "owner@example", options: str = "") -> Path:
    public = key.with_suffix(".pub").read_text(encoding="utf-8")
    path.write_text(f"{principal} {options} {public}", encoding="utf-8")
    return path


def test_an_untouched_bundle_is_fine(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(bundle)]) == 0
    assert "as it was sealed\nGO for phase1_verify on rehearsal, a rehearsal\n" in capsys.readouterr().out


def test_the_manifest_lists_every_file_with_its_digest(bundle: Path) -> None:
    document = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    found = {name: hashlib.sha256(raw).hexdigest() for name, raw in bundles.content(bundle).items()}
    del found["manifest.json"]
    assert document == {"schema": 1, "files": found}
    assert {"statement.json", "facts/containers.json", "screenshots/login.png"} <= set(found)


@given(data=st.data(), flip=st.integers(1, 255))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_byte_is_named(signed: Path, data: st.DataObject, flip: int) -> None:
    name = data.draw(st.sampled_from(sorted(bundles.content(signed))))
    path = signed / name
    before = path.read_bytes()
    place = data.draw(st.integers(0, len(before) - 1))
    path.write_bytes(before[:place] + bytes([before[place] ^ flip]) + before[place + 1 :])
    try:
        findings = verify(signed).findings
    finally:
        path.write_bytes(before)
    assert findings
    assert name == "manifest.json" or any(name in finding for finding in findings)


@given(data=st.data(), more=st.binary(min_size=1, max_size=3), front=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_added_or_removed_byte_is_named(
    signed: Path, data: st.DataObject, more: bytes, front: bool
) -> None:
    name = data.draw(st.sampled_from(sorted(bundles.content(signed))))
    path = signed / name
    before = path.read_bytes()
    changed = data.draw(st.sampled_from([before[1:], before[:-1], more + before if front else before + more]))
    path.write_bytes(changed)
    try:
        findings = verify(signed).findings
    finally:
        path.write_bytes(before)
    assert any(name in finding for finding in findings)


def test_a_removed_file_is_named(bundle: Path) -> None:
    for name in set(bundles.content(bundle)) - {"manifest.json"}:
        raw = (bundle / name).read_bytes()
        (bundle / name).unlink()
        assert f"missing: {name}" in verify(bundle).findings
        (bundle / name).write_bytes(raw)
    assert not verify(bundle).findings


def _add_file(bundle: Path, outside: Path) -> None:
    (bundle / "facts" / "new").write_bytes(outside.read_bytes())


def _add_hidden(bundle: Path, outside: Path) -> None:
    (bundle / "facts" / ".new").write_bytes(outside.read_bytes())


def _add_directory(bundle: Path, outside: Path) -> None:
    assert outside.exists()
    (bundle / "facts" / "new").mkdir()


def _add_link(bundle: Path, outside: Path) -> None:
    (bundle / "facts" / "new").symlink_to(outside)


def _add_linked_directory(bundle: Path, outside: Path) -> None:
    (bundle / "facts" / "new").symlink_to(outside.parent, target_is_directory=True)


def _add_broken_link(bundle: Path, outside: Path) -> None:
    (bundle / "facts" / "new").symlink_to(outside.with_name("nowhere"))


def _add_pipe(bundle: Path, outside: Path) -> None:
    assert outside.exists()
    os.mkfifo(bundle / "facts" / "new")


@pytest.mark.parametrize(
    "add",
    [
        _add_file,
        _add_hidden,
        _add_directory,
        _add_link,
        _add_linked_directory,
        _add_broken_link,
        _add_pipe,
    ],
)
def test_whatever_is_added_is_named(bundle: Path, tmp_path: Path, add: Callable[[Path, Path], None]) -> None:
    outside = tmp_path / "outside"
    outside.write_text("anything", encoding="utf-8")
    add(bundle, outside)
    (finding,) = verify(bundle).findings
    assert finding.startswith(("added: facts/new", "added: facts/.new"))


@pytest.mark.parametrize("name", ["record.json", "manifest.json"])
def test_a_file_replaced_by_a_link_to_the_same_bytes_is_named(
    bundle: Path, tmp_path: Path, name: str
) -> None:
    (bundle / name).rename(tmp_path / "elsewhere")
    (bundle / name).symlink_to(tmp_path / "elsewhere")
    (finding,) = verify(bundle).findings
    assert name in finding
    assert "a symbolic link" in finding


def test_a_name_that_would_act_on_the_terminal_is_shown_harmlessly(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bundle / "evil\x1b[2J\nas it was sealed").write_text("", encoding="utf-8")
    assert main(["verify", str(bundle)]) == 1
    assert capsys.readouterr().out == "added: evil\\x1b[2J as it was sealed\n"


@pytest.mark.parametrize(
    ("name", "file"), [("../../evil", "screenshots/login.png"), ("login", "../../../../etc/passwd")]
)
def test_a_forged_bundle_cannot_name_a_file_elsewhere(bundle: Path, name: str, file: str) -> None:
    shot = {"name": name, "file": file, "sha256": hashlib.sha256(bundles.PICTURE).hexdigest()}
    bundles.rewrite(bundle / "record.json", screenshots=[shot])
    bundles.reseal(bundle)
    with pytest.raises(UsageError, match=r"record\.json"):
        StoredBundle(bundle)


def test_a_killed_run_is_incomplete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    killed = Bundle("rehearsal", "phase1_verify", Redactor(), tmp_path, replay=False)
    killed.begin(records.run(finished=False))
    assert main(["verify", str(killed.path)]) == 1
    assert capsys.readouterr().out.startswith("incomplete (killed run)")
    assert main(["sign", str(killed.path), "--key", "unused"]) == 1


def test_what_is_no_bundle_is_wrong_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(tmp_path)]) == 4
    assert main(["verify", str(tmp_path / "nowhere")]) == 4
    assert main(["verify", str(tmp_path), "--identity", "x"]) == 4
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_a_verdict_that_contradicts_the_record_is_found_though_the_manifest_fits(bundle: Path) -> None:
    bundles.rewrite(bundle / "verdict.json", verdict="NO-GO")
    bundles.reseal(bundle)
    assert "verdict.json contradicts record.json" in verify(bundle).findings


def test_a_verdict_that_the_items_do_not_earn_is_found_though_all_files_agree(tmp_path: Path) -> None:
    forged = records.mixed().model_copy(update={"verdict": Verdict.GO})
    findings = verify(bundles.sealed(tmp_path, forged)).findings
    assert findings == ("record.json says GO, its items make it NO-GO",)


def test_a_statement_of_another_bundle_is_found(bundle: Path, tmp_path: Path) -> None:
    other = bundles.sealed(tmp_path / "other", records.healthy(), {})
    shutil.copy(other / "statement.json", bundle / "statement.json")
    bundles.reseal(bundle)
    assert verify(bundle).findings == ("statement.json contradicts the bundle",)


def test_a_signature_is_checked_against_the_allowed_signers(
    signed: Path, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    allowed = str(allow(tmp_path / "allowed", key, options='namespaces="acceptance-bundle"'))
    assert main(["verify", str(signed), "--allowed-signers", allowed]) == 0
    assert main(["verify", str(signed), "--allowed-signers", allowed, "--identity", "owner@example"]) == 0
    assert capsys.readouterr().out.count("signed by owner@example with ED25519 key SHA256:") == 2
    assert main(["verify", str(signed), "--allowed-signers", allowed, "--identity", "other@example"]) == 1
    assert capsys.readouterr().out.startswith("bad signature: manifest.json.sig")


def test_a_signature_for_something_else_or_by_someone_else_does_not_count(
    signed: Path, key: Path, tmp_path: Path
) -> None:
    stranger = allow(tmp_path / "stranger", make_key(tmp_path / "other"))
    elsewhere = allow(tmp_path / "elsewhere", key, options='namespaces="git"')
    for allowed in (stranger, elsewhere):
        (finding,) = verify(signed, Trust(allowed)).findings
        assert finding.startswith("bad signature")


def test_a_signature_does_not_fit_another_bundle(signed: Path, key: Path, tmp_path: Path) -> None:
    other = bundles.sealed(tmp_path, records.mixed())
    shutil.copy(signed / manifest.SIGNATURE, other / manifest.SIGNATURE)
    for trust in (None, Trust(allow(tmp_path / "allowed", key))):
        (finding,) = verify(other, trust).findings
        assert finding.startswith("bad signature")


def test_a_bundle_that_must_be_signed_and_is_not_is_found(bundle: Path, key: Path, tmp_path: Path) -> None:
    trust = Trust(allow(tmp_path / "allowed", key))
    assert verify(bundle, trust).findings == ("not signed: there is no manifest.json.sig",)


def test_signing_changes_nothing_else_and_happens_once(bundle: Path, key: Path) -> None:
    before = bundles.content(bundle)
    assert main(["sign", str(bundle), "--key", str(key)]) == 0
    after = bundles.content(bundle)
    assert after.pop("manifest.json.sig")
    assert after == before
    assert main(["verify", str(bundle)]) == 0
    assert main(["sign", str(bundle), "--key", str(key)]) == 4


def test_what_is_not_as_it_was_sealed_is_not_signed(bundle: Path, key: Path) -> None:
    (bundle / "added").touch()
    assert main(["sign", str(bundle), "--key", str(key)]) == 1
    assert not (bundle / manifest.SIGNATURE).exists()


@pytest.mark.parametrize("content", [None, "no key"])
def test_a_key_that_is_none_is_wrong_input(
    bundle: Path, tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "key").write_text(content, encoding="utf-8")
    assert main(["sign", str(bundle), "--key", str(tmp_path / "key")]) == 4
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert "manifest.json.sig" not in bundles.content(bundle)


def test_without_ssh_keygen_one_sentence_says_so(
    signed: Path,
    key: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    allowed = allow(tmp_path / "allowed", key)
    unsigned = bundles.sealed(tmp_path, records.healthy())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["sign", str(unsigned), "--key", str(key)]) == 4
    assert main(["verify", str(signed), "--allowed-signers", str(allowed)]) == 4
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert all("ssh-keygen is not installed" in line for line in errors)
    assert verify(signed).notes[0] == "signed, but not checked: ssh-keygen is not installed"


def test_the_statement_names_the_bundle_the_plan_and_the_images(bundle: Path) -> None:
    document = json.loads((bundle / "statement.json").read_text(encoding="utf-8"))
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    whole, document_of_the_plan, own, image = document["subject"]
    assert whole["annotations"]["rehearsal"] is True
    assert document_of_the_plan == {"name": "documents/plan.md", "digest": {"sha256": bundles.PLAN}}
    content = (checklist.DIRECTORY / "20-phase1_verify.toml").read_bytes()
    assert own == {
        "name": "checklist/20-phase1_verify.toml",
        "digest": {"sha256": hashlib.sha256(content).hexdigest()},
    }
    assert image == {
        "name": f"registry.example/crm-app@sha256:{bundles.DIGEST}",
        "digest": {"sha256": bundles.DIGEST},
    }
    predicate = document["predicate"]
    assert predicate["result"] == "PASSED"
    assert predicate["passedTests"] == list(records.CLAIMS)
    assert predicate["warnedTests"] == predicate["failedTests"] == []
    assert [entry["name"] for entry in predicate["configuration"]] == ["target.json"]


def test_the_contracts_are_subjects_where_they_judged() -> None:
    facts = {"environments": Unavailable(reason="no login")}
    subjects = statement.document(records.healthy(), facts, {})["subject"]
    assert isinstance(subjects, list)
    found = {subject["name"]: subject["digest"] for subject in subjects}
    for path in contract.DIRECTORY.glob("*.toml"):
        assert found[f"contracts/{path.name}"] == {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_a_document_is_told_of_by_its_name_alone(tmp_path: Path) -> None:
    (tmp_path / "plan.md").write_bytes(b"the plan")
    paths = (str(tmp_path / "plan.md"), "/srv/one/notes.md", "/srv/two/notes.md")
    assert list(plan.names(paths)) == ["plan.md", "2/notes.md", "3/notes.md"]
    seen = plan.version(tmp_path / "plan.md", "plan.md")
    assert seen == Known(value=plan.Version(sha256=bundles.PLAN))
    gone = plan.version(tmp_path / "gone.md", "gone.md")
    assert isinstance(gone, Unavailable)
    assert gone.reason == "gone.md cannot be read (No such file or directory)"


@pytest.mark.parametrize("place", ["subject", "predicate"])
def test_a_statement_that_says_more_than_the_record_is_found(bundle: Path, place: str) -> None:
    document = json.loads((bundle / "statement.json").read_text(encoding="utf-8"))
    told = document["subject"][0]["annotations"] if place == "subject" else document["predicate"]
    told |= {"rehearsal": False} if place == "subject" else {"passedTests": ["env.everything"]}
    bundles.rewrite(bundle / "statement.json", **document)
    bundles.reseal(bundle)
    assert verify(bundle).findings == ("statement.json contradicts the bundle",)


def test_the_digest_of_the_bundle_is_what_the_documented_command_prints(bundle: Path) -> None:
    script = (
        "find . -type f ! -name statement.json ! -name 'manifest.json*' | cut -c3- | LC_ALL=C sort"
        " | xargs sha256sum | sha256sum | cut -f1 -d' '"
    )
    printed = subprocess.run(
        ["sh", "-c", script], cwd=bundle, capture_output=True, text=True, check=True
    ).stdout.strip()
    document = json.loads((bundle / "statement.json").read_text(encoding="utf-8"))
    assert document["subject"][0]["digest"] == {"dirHash": printed}


@pytest.mark.parametrize(
    ("outcomes", "result"),
    [
        ({"tls.trusted": Outcome.PASS, "tls.expiry": Outcome.NOT_APPLICABLE}, "PASSED"),
        ({"tls.trusted": Outcome.PASS, "tls.hsts": Outcome.FAIL}, "WARNED"),
        ({"tls.trusted": Outcome.PASS, "tls.expiry": Outcome.WAIVED}, "WARNED"),
        ({"tls.trusted": Outcome.PASS, "tls.hsts": Outcome.UNKNOWN}, "WARNED"),
        ({"tls.trusted": Outcome.PASS, "tls.expiry": Outcome.UNKNOWN}, "FAILED"),
        ({"tls.trusted": Outcome.FAIL}, "FAILED"),
        ({}, "FAILED"),
    ],
)
def test_the_statement_never_says_more_than_the_verdict(outcomes: dict[str, Outcome], result: str) -> None:
    items = [records.item(item_id, outcome) for item_id, outcome in outcomes.items()]
    assert statement.result(records.run(*items)) == result


def test_what_has_no_answer_is_in_no_list_of_results() -> None:
    document = statement.document(records.mixed(), {}, {})
    predicate, subject = document["predicate"], document["subject"]
    assert isinstance(predicate, dict)
    assert isinstance(subject, list)
    unanswered = set(subject[0]["annotations"]["unanswered"])
    assert {"health.authenticated", "pages.login"} <= unanswered
    lists = ("passedTests", "warnedTests", "failedTests")
    assert not unanswered & {item_id for name in lists for item_id in predicate[name]}


def test_the_same_record_and_facts_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (bundles.sealed(tmp_path / name, records.mixed("<b>")) for name in "ab")
    assert first.name != second.name
    assert bundles.content(first) == bundles.content(second)
