"""Nothing secret leaves, and nothing ordinary is rewritten."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acceptance import target as targets
from acceptance.errors import UnavailableError
from acceptance.facts.containers import Containers
from acceptance.ledger import Ledger
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


_VALUES = {
    "short": "aB3$x9Q",
    "a phrase": "correct horse battery staple",
    "joined words": "PortNimaraSecretValue",
    "a random end": "CANARY_database_rows_3f9a1c0b",
    "quotes and signs": "k7\"R'2<f&>q%$W\\9ü/+=z",
    "what looks encoded": "x8%41Zq&amp;3\\n7Kd",
}
_ENCODINGS: dict[str, Callable[[str], str]] = {
    "as it stands": str,
    "url": lambda value: quote(value, safe=""),
    "url, small letters": lambda value: re.sub("%..", lambda code: code[0].lower(), quote(value, safe="")),
    "url, every character": lambda value: "".join(f"%{byte:02X}" for byte in value.encode()),
    "base64": lambda value: base64.b64encode(f"user:{value}\n".encode()).decode(),
    "base64 for addresses": lambda value: base64.urlsafe_b64encode(f"a{value}".encode()).decode().rstrip("="),
    "json": json.dumps,
    "json, every character": lambda value: "".join(f"\\u{ord(character):04x}" for character in value),
    "json in json": lambda value: json.dumps(json.dumps(value)),
    "html": html.escape,
    "html, every character": lambda value: "".join(f"&#x{ord(character):X};" for character in value),
    "json in html": lambda value: html.escape(json.dumps(value)),
    "shell": shlex.quote,
    "python": repr,
}
_FOLDS = {
    "in one line": "",
    "in lines": "\n",
    "in Windows' lines": "\r\n",
    "in indented lines": "\n      ",
    "in lines of a page": "<br>",
    "in lines of a comparison": "\nE         - ",
    "with invisible characters": "\u200b",
}


@pytest.mark.parametrize("encoding", _ENCODINGS)
@pytest.mark.parametrize("value", _VALUES)
def test_whatever_a_secret_is_like_it_is_removed(value: str, encoding: str) -> None:
    redactor, encoded = _redactor(_VALUES[value]), _ENCODINGS[encoding](_VALUES[value])
    cleaned = {
        name: redactor.clean(f"before {_folded(encoded, fold)} after") for name, fold in _FOLDS.items()
    }
    pieces = [encoded[start : start + 12] for start in range(10, len(encoded) - 21)]
    assert {
        name: text
        for name, text in cleaned.items()
        if "«redacted: the-secret»" not in text or any(piece in text for piece in pieces)
    } == {}


def _folded(encoded: str, fold: str) -> str:
    if len(encoded) > 60:
        return fold.join(encoded[start : start + 60] for start in range(0, len(encoded), 60))
    return f"{encoded[: _middle(encoded)]}{fold}{encoded[_middle(encoded) :]}"


def _middle(encoded: str) -> int:
    """Return the place nearest to the middle of a text that is not within an escape."""
    within = re.compile(r"(?:%[0-9A-Fa-f]?|&[^;]*|\\(?:u[0-9a-f]{0,3})?)\Z")
    places = [place for place in range(1, len(encoded)) if not within.search(encoded[:place])]
    return min(places, key=lambda place: abs(place - len(encoded) // 2))


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


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("correct-horse-battery-staple", "correct horse battery staple, or correct-horse-battery-station"),
        ("pn-crm-app-db-reader-9", "pn-crm-app-db-1 and pn-crm-app-worker-1 of pn-crm-app-db"),
        ("CANARY_database_rows_3f9a1c0b", "CANARY_database_rows_ are rows of CANARY_database_"),
        ("PortNimaraSecretValue", "Port Nimara\nSecret of some value"),
        ("hunter2", "hunter\n2"),
    ],
)
def test_words_in_common_with_a_secret_stay(value: str, text: str) -> None:
    assert _redactor(value).clean(text) == text


def test_a_secret_that_begins_another_leaves_nothing_of_it() -> None:
    redactor = _redactor("Zq8-unmistakable")
    redactor.learn("longer", "Zq8-unmistakable-secret-0X")
    assert "secret-0X" not in redactor.clean("it is Zq8-unmistakable-secret-0X.")
    assert redactor.clean("Zq8-unmistakable-") == "«redacted: the-secret»-"


def test_a_secret_with_blanks_around_it_is_removed_without_them() -> None:
    assert "Kw7$tz" not in _redactor(" Kw7$tz\n").clean("the password Kw7$tz was wrong")


def test_the_name_that_is_shown_is_no_markup() -> None:
    redactor = Redactor()
    redactor.learn('<img src=x onerror="fired()">_TOKEN', "Zq8-unmistakable-secret-0X")
    assert "<" not in redactor.scrub("Zq8-unmistakable-secret-0X")
    assert '"' not in redactor.scrub("Zq8-unmistakable-secret-0X")


def test_scrubbing_a_document_leaves_its_markup_whole() -> None:
    document = '<li>Zq8-unmistak</li>\n<li>able-secret-0X</li> {"a": "Zq8-unmist", "b": "akable-secret-0X"}'
    assert _redactor("Zq8-unmistakable-secret-0X").scrub(document) == document


def test_a_big_fact_is_cleaned_quickly() -> None:
    redactor = Redactor()
    for number in range(40):
        redactor.learn(f"TOKEN_{number}", f"{number}aB{number}xY{number}" * (1 + number % 5))
    lines = [f'{{"level":"info","message":"request {number} done in 7 ms"}}' for number in range(90_000)]
    begun = time.process_time()
    cleaned = redactor.clean_leaves({"lines": lines, "text": "\n".join(lines[:10_000])})
    assert time.process_time() - begun < 5
    assert cleaned["lines"] == lines


@pytest.mark.parametrize("code", ["d800", "dc80"])
def test_half_a_character_is_told_and_does_no_harm(code: str, tmp_path: Path) -> None:
    half, code = chr(int(code, 16)), f"\\u{code}"
    redactor = _redactor(f"Zq8-unmistakable{half}-secret-0X")
    assert redactor.clean(f"a{half}b Zq8-unmistakable{half}-secret-0X") == f"a{code}b «redacted: the-secret»"
    assert redactor.clean_leaves({"key": [f"a{half}"]}) == {"key": [f"a{code}"]}
    Ledger(tmp_path / "ledger.jsonl", redactor).record("http", "name", detail=half)
    assert Secrets(redactor).classify(half)


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
