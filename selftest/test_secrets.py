"""Nothing secret leaves, and nothing ordinary is rewritten."""

from __future__ import annotations

import base64
import html
import json
import shlex
import sys
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acceptance import target as targets
from acceptance.errors import UnavailableError
from acceptance.facts.containers import Containers
from acceptance.outcome import Outcome
from acceptance.secrets import SHORTEST, Redactor, Secrets
from rehearsal.client import Rehearsal
from selftest import matrix

SECRETS = st.text(
    alphabet=st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="«»"),
    min_size=12,
    max_size=40,
).filter(lambda value: value.strip() == value)


def _redactor(value: str) -> Redactor:
    redactor = Redactor()
    redactor.learn("the-secret", value)
    return redactor


@given(SECRETS, st.text(max_size=20), st.text(max_size=20))
def test_a_known_secret_is_removed_in_every_spelling(value: str, before: str, after: str) -> None:
    redactor = _redactor(value)
    spellings = (
        value,
        quote(value, safe=""),
        quote_plus(value),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        html.escape(value),
        shlex.quote(value).strip("'"),
    )
    for spelling in spellings:
        if len(spelling) >= SHORTEST:
            assert spelling not in redactor.clean(f"{before} {spelling} {after}").replace("the-secret", "")


@given(st.text(alphabet="abcXYZ0189+/!-", min_size=12, max_size=40), st.integers(min_value=0, max_value=5))
def test_a_secret_inside_base64_is_removed(value: str, shift: int) -> None:
    encoded = base64.b64encode(b"u" * shift + value.encode() + b"tail").decode()
    cleaned = _redactor(value).clean(f"Basic: {encoded}")
    assert encoded not in cleaned
    assert "«redacted" in cleaned


@given(st.text(alphabet=st.characters(whitelist_categories=("Ll", "Zs", "Nd")), max_size=80))
def test_ordinary_text_is_left_alone(text: str) -> None:
    redactor = _redactor("Zq8-unmistakable-secret-0X")
    assert redactor.clean(text) == text


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("postgres://crm:hunter2hunter2@db:5432/x", "hunter2hunter2"),
        ("redis://:sup3rsecret@redis:6379", "sup3rsecret"),
        ("Authorization: Bearer abc.def-ghi", "abc.def-ghi"),
        ('{"authorization":"Basic dXNlcjpwdw=="}', "dXNlcjpwdw=="),
        ("__Secure-better-auth.session_token=XyZ%2Fabc; Path=/", "XyZ%2Fabc"),
        ("-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----", "MIIabc"),
        ("token eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeK", "SflKxwRJSMeK"),
    ],
)
def test_secrets_at_anchored_places_are_removed_unlearned(text: str, hidden: str) -> None:
    assert hidden not in Redactor().clean(text)


@pytest.mark.parametrize("word", ["postgres", "changeme", "running", "12345678"])
def test_a_secret_that_may_be_an_ordinary_word_rewrites_nothing(word: str) -> None:
    assert _redactor(word).clean(f"image {word}:16-alpine is {word}") == f"image {word}:16-alpine is {word}"


def test_a_declared_name_is_never_a_secret_learned_before_or_after() -> None:
    redactor = _redactor("crm-app")
    redactor.learn("another", "git.example/crm")
    redactor.spare(["crm-app", "git.example/crm/crm-app:latest"])
    redactor.learn("again", "crm-app")
    redactor.learn("real", "crm-app-2-secret")
    text = "crm-app of git.example/crm/crm-app:latest with crm-app-2-secret"
    assert redactor.clean(text) == text.replace("crm-app-2-secret", "«redacted: real»")


@pytest.mark.user
def test_a_password_that_is_a_services_name_hides_no_service(rehearsal: Rehearsal, tmp_path: Path) -> None:
    observer = matrix.Observer(targets.load(rehearsal.target_file), tmp_path)
    observer.secrets.redactor.learn("an unlucky password", "crm-app")
    seen = observer.look(["containers"]).facts["containers"]
    assert isinstance(seen, Containers)
    assert seen.troubles(["crm-app"]) == ()


def test_every_text_of_a_json_value_is_cleaned() -> None:
    secret = "Zq8-unmistakable-secret-0X"
    cleaned = _redactor(secret).clean_leaves({"a": [secret, 1, None], f"key {secret}": {"b": f"x {secret}"}})
    assert secret not in json.dumps(cleaned)
    assert cleaned["a"][1:] == [1, None]


def test_scrubbing_a_document_never_touches_outcomes() -> None:
    redactor = Redactor()
    for outcome in Outcome:
        redactor.learn("odd", outcome.value)
    document = json.dumps({"outcome": "unknown", "verdict": "GO", "other": "fail"})
    assert redactor.scrub(document) == document


def test_equality_classes_compare_and_tell_nothing_else() -> None:
    secrets = Secrets(Redactor())
    assert secrets.classify("a") == secrets.classify("a")
    assert secrets.classify("a") != secrets.classify("b")
    assert Secrets(Redactor()).classify("a") != secrets.classify("a")


def test_references_are_resolved_and_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "value-from-environment")
    (tmp_path / "s").write_text("value-from-file\n", encoding="utf-8")
    secrets = Secrets(Redactor())
    assert secrets.resolve("env:CANARY") == "value-from-environment"
    assert secrets.resolve(f"file:{tmp_path / 's'}") == "value-from-file"
    assert (
        secrets.resolve(f'cmd:{sys.executable} -c \'print("value-" + "from-command")\'')
        == "value-from-command"
    )
    assert "value-from" not in secrets.redactor.clean(
        "value-from-environment value-from-file value-from-command"
    )


@pytest.mark.parametrize(
    "reference", ["env:NOT_SET_ANYWHERE", "file:/nonexistent/x", "cmd:false", "cmd:/nonexistent"]
)
def test_an_unset_secret_is_unavailable_with_a_remedy(reference: str) -> None:
    with pytest.raises(UnavailableError) as caught:
        Secrets(Redactor()).resolve(reference)
    assert caught.value.reason
    assert caught.value.remedy
