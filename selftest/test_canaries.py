"""No guise of a secret gets past the redactor, and none past the scanner, which shares no code with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from acceptance.excerpt import around, beginning, cut
from acceptance.ledger import Ledger
from acceptance.redaction import Redactor
from acceptance.secrets import Secrets
from selftest.canaries import PIECE, Scanner, forms, secret

CANARIES = st.sampled_from(
    [secret() for _ in range(4)] + [f"{secret(15)}{odd}{secret(12)}" for odd in ("'\"\\A", "<&>", "%$ü/+=")]
)
"""An `n` behind the backslash would make an escape; that a line may not break beside one is a known limit."""
GUISES = sorted(forms(secret()))
AROUND = st.text(st.characters(codec="utf-8"), max_size=12).map(lambda text: f" {text} ")


# --- the scanner and the redactor, which share no code


@pytest.mark.parametrize("guise", GUISES)
def test_the_scanner_sees_every_guise(guise: str) -> None:
    value = secret()
    assert Scanner({"it": value}).leaks(f"before {forms(value)[guise]} after") == {"it"}


@given(CANARIES, st.sampled_from(GUISES), AROUND, AROUND)
def test_a_known_secret_is_removed_in_every_guise(value: str, guise: str, before: str, after: str) -> None:
    redactor = Redactor()
    redactor.learn("it", value)
    assert Scanner({"it": value}).leaks(redactor.clean(f"{before}{forms(value)[guise]}{after}")) == set()


@given(CANARIES, st.integers(min_value=0, max_value=27), st.sampled_from(["", ":", "/", "…", "\n"]))
def test_any_twelve_characters_of_a_secret_are_removed(value: str, place: int, edge: str) -> None:
    redactor = Redactor()
    redactor.learn("it", value)
    part = value[min(place, len(value) - PIECE) :][:PIECE]
    cleaned = redactor.clean(f"before{edge}{part}{edge}after")
    assert "«redacted: it»" in cleaned
    assert part not in cleaned


@given(st.text(max_size=60), CANARIES, st.sampled_from(GUISES))
def test_what_was_cleaned_stays_as_it_is(text: str, value: str, guise: str) -> None:
    redactor = Redactor()
    redactor.learn("it", value)
    once = redactor.clean(f"{text} password={forms(value)[guise]} Cookie: a={text}")
    assert redactor.clean(once) == once


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("PortNimara2024", "Port Nimara 2024"),
        ("correct-horse-battery", "correct horse battery, or correct-horse"),
        ("administrator", "admin istrator"),
        ("Acceptance", "acceptance.portnimara.test"),
    ],
)
def test_words_that_a_secret_consists_of_stay(value: str, text: str) -> None:
    redactor = Redactor()
    redactor.learn("it", value)
    assert redactor.clean(text) == text
    assert value not in redactor.clean(f"it is {value}.") or len(value) < 12


@pytest.mark.parametrize(
    "text",
    [
        "set postgres.password in the target file",
        'password = "env:POSTGRES_READER_PASSWORD"',
        'curl -H "X-Intake-Secret: $WEBSITE_INTAKE_SECRET" https://crm.portnimara.com/',
        "curl -H 'X-Intake-Secret: wrong' https://crm.portnimara.com/",
        "registry.test:5000/crm/app@sha256:0123",
        "session cookie: Secure, HttpOnly, SameSite=Lax",
        "Unexpected token '<', \"<!DOCTYPE \"... is not valid JSON",
        'FATAL:  password authentication failed for user "pn_crm"',
        "WRONGPASS invalid username-password pair or user is disabled.",
        "# Basic Settings",
        'PASS: "it runs"',
        "proxy_pass 'http://127.0.0.1:7100'",
        "give it with --password options or --token",
    ],
)
def test_ordinary_sentences_about_secrets_stay(text: str) -> None:
    assert Redactor().clean(text) == text


@pytest.mark.parametrize(
    "form",
    [
        "postgres://crm:{}@db:5432/crm",
        "postgres://crm:p@{}@db/crm",
        "rediss://:{}@cache",
        "Authorization: Bearer {}",
        "(b'authorization', b'Basic {}')",
        "> Cookie: theme=dark; session={}",
        "set-cookie: __Host-id={}; Path=/; Secure",
        "better-auth.session_token={}",
        "PGPASSWORD={} psql",
        "host=db password={} user=crm",
        "password: '{}'",
        '{{"password":"{}"}}',
        '{{\\"apiKey\\":\\"{}\\"}}',
        "X-Intake-Secret: {}",
        "DOCUMENSO_API_KEY: {}",
        "https://s3.test/a?X-Amz-Credential=a&X-Amz-Signature={}",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{}",
        "-----BEGIN EC PRIVATE KEY-----\nMIIB\n{}",
        "MIIBabcdefghijklmnop\n{}\n-----END PRIVATE KEY-----",
        "SMTP_PASS={}",
        "auth: {{ user: 'crm', pass: '{}' }}",
        "ALTER ROLE crm WITH ENCRYPTED PASSWORD '{}';",
        "redis-server --requirepass {}",
        "mysql --password {} crm",
        "password: {}",
        "'password' => '{}'",
        "<SecretAccessKey>{}</SecretAccessKey>",
        "xc-token: {}",
        "'set-cookie': [ '__session={}; Path=/' ]",
        "&quot;token&quot;:&quot;{}&quot;",
        "?next=%2Flogin%3Ftoken%3D{}",
        "https://{}@gitea.test/crm.git",
        "glpat-{}",
    ],
)
def test_a_secret_is_removed_from_a_place_that_gives_it_away(form: str) -> None:
    value = secret()
    assert Scanner({"it": value}).leaks(Redactor().clean(form.format(value))) == set()


@pytest.mark.parametrize("form", ['<i class="{}">', "a <b and {} are > c"])
def test_a_secret_in_lines_is_found_within_a_tag_and_what_looks_like_one(form: str) -> None:
    value = secret(24)
    redactor = Redactor()
    redactor.learn("it", value)
    lines = "\n> ".join(value[start : start + 8] for start in range(0, 24, 8))
    assert "«redacted: it»" in redactor.clean(form.format(lines))


def test_each_line_of_a_key_is_a_secret_of_its_own() -> None:
    lines = [secret(64) for _ in range(3)]
    redactor = Redactor()
    redactor.learn(
        "SIGNING_KEY", "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"])
    )
    assert [redactor.clean(line) for line in lines] == ["«redacted: SIGNING_KEY»"] * 3
    assert redactor.clean("-----BEGIN CERTIFICATE-----") == "-----BEGIN CERTIFICATE-----"


def test_the_name_that_is_shown_holds_no_secret() -> None:
    value = secret()
    redactor = Redactor()
    redactor.learn(f"{value}_TOKEN", value)
    assert redactor.clean(value) == "«redacted: a secret»"


# --- cutting, late knowledge, references


@given(st.text(), st.integers(min_value=0, max_value=300), st.integers(min_value=2, max_value=200))
def test_an_excerpt_is_short_and_says_where_something_is_missing(text: str, start: int, limit: int) -> None:
    for shown in (cut(text, limit), around(text, start, limit)):
        assert len(shown) <= max(limit, 1)
        assert shown == text or "…" in shown or text[start:].strip() == ""


@given(st.integers(min_value=0, max_value=200))
def test_an_excerpt_never_ends_within_a_secret(place: int) -> None:
    value = secret()
    text = f"{'x ' * place}{value} {'y' * 400}"
    for shown in (cut(text, 160), beginning(text.encode(), 160), around(text, 2 * place + 3, 160)):
        assert not any(value[at : at + 4] in shown for at in range(36)) or value in shown


def test_the_ledger_forgets_what_became_known_as_a_secret_later(tmp_path: Path) -> None:
    value, redactor = secret(), Redactor()
    ledger = Ledger(tmp_path / "ledger.jsonl", redactor)
    ledger.record("http", "berths", detail=f"GET /{value}", result="200")
    redactor.learn("it", value)
    ledger.close()
    (line,) = (tmp_path / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["detail"] == "GET /«redacted: it»"


def test_references_are_known_before_they_are_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Section(BaseModel):
        entries: tuple[str, ...]

    value, other = secret(), secret()
    (tmp_path / "secret").write_text(value, encoding="utf-8")
    monkeypatch.setenv("OTHER", other)
    target = Section(entries=(f"file:{tmp_path}/secret", "env:OTHER", "env:UNSET", "cmd:false", "file.txt"))
    secrets = Secrets(Redactor())
    secrets.foresee(target.model_dump(mode="json"))
    assert secrets.redactor.clean(f"{value} {other}") == (
        f"«redacted: file:{tmp_path}/secret» «redacted: env:OTHER»"
    )
