"""Sampling stored files, telling what they are, and the S3 transport, against real servers."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.rows import dict_row

from acceptance import target as targets
from acceptance.errors import RefusedError, UnavailableError
from acceptance.facts.base import Unavailable, known
from acceptance.facts.media import HTML, S3_ERROR, contradicts, recognised
from acceptance.facts.storage import Sample, Storage, StoredFile, summary
from acceptance.ledger import Ledger
from acceptance.secrets import Redactor, Secrets
from acceptance.sections.base import Endpoint
from acceptance.target import Target
from acceptance.transports import s3 as transport
from acceptance.transports.postgres import statement
from acceptance.transports.s3 import Answer, ObjectStore
from rehearsal.client import Rehearsal
from rehearsal.services import s3
from selftest import app_stack, matrix

PDF = "documents/2025/11/reservation-agreement.pdf"
PAGE = b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head></html>"
REFUSAL = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>'


@pytest.fixture(scope="module")
def stack() -> Iterator[app_stack.Stack]:
    with app_stack.running() as running:
        yield running


@pytest.fixture(scope="module")
def target(rehearsal: Rehearsal) -> Target:
    return targets.load(rehearsal.target_file)


# What the first bytes say


@pytest.mark.parametrize(("key", "content_type", "content"), s3._OBJECTS, ids=lambda value: str(value)[:40])
def test_the_rehearsals_files_are_what_they_are_recorded_as(
    key: str, content_type: str, content: bytes
) -> None:
    assert not contradicts(recognised(content[:1024]), content_type), key


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\r\n junk before it %PDF-1.4", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "image/svg+xml"),
        (b"\xef\xbb\xbf\n  <HTML><body><svg></svg>", HTML),
        (PAGE, HTML),
        (REFUSAL, S3_ERROR),
        (b"<Error><Code>NoSuchKey</Code></Error>", S3_ERROR),
        (b"name,berth\r\n", ""),
        (b"", ""),
    ],
)
def test_recognised(first: bytes, kind: str) -> None:
    assert recognised(first) == kind


@pytest.mark.parametrize(
    ("seen", "recorded", "wrong"),
    [
        ("application/pdf", "application/pdf; charset=binary", False),
        ("image/jpeg", "image/jpg", False),
        ("", "application/pdf", True),
        ("image/jpeg", "image/png", True),
        ("application/zip", "application/vnd.oasis.opendocument.text", False),
        (HTML, "application/vnd.openxmlformats-officedocument.wordprocessingml.document", True),
        (HTML, "text/csv", True),
        (S3_ERROR, "application/octet-stream", True),
        (HTML, "text/html; charset=utf-8", False),
        ("", "text/csv", False),
        ("application/zip", "application/octet-stream", False),
    ],
)
def test_contradicts(seen: str, recorded: str, wrong: bool) -> None:
    assert contradicts(seen, recorded) is wrong


GOOD: dict[str, Any] = {
    "key": "a.pdf",
    "size": 10,
    "content_type": "application/pdf",
    "object_size": 10,
    "object_type": "application/pdf",
    "looks_like": "application/pdf",
}


@pytest.mark.parametrize(
    ("change", "trouble"),
    [
        ({}, ""),
        ({"object_size": None}, "no such object"),
        ({"object_size": 0, "looks_like": ""}, "0 bytes, recorded 10"),
        ({"size": None}, ""),
        ({"looks_like": HTML}, "looks like text/html, recorded application/pdf"),
        ({"looks_like": ""}, "looks like nothing known, recorded application/pdf"),
        ({"object_type": "binary/octet-stream"}, ""),
        ({"object_type": "image/png"}, "stored as image/png, recorded application/pdf"),
        ({"size": 0, "object_size": 0, "looks_like": ""}, ""),
        ({"object_size": None, "refused": True}, ""),
    ],
)
def test_trouble(change: dict[str, Any], trouble: str) -> None:
    assert StoredFile.model_validate({**GOOD, **change}).trouble == trouble


def test_a_refusal_is_not_an_answer() -> None:
    files = (StoredFile.model_validate({**GOOD, "object_size": None, "refused": True}),)
    sample = Sample(
        table="t", endpoint="https://s", bucket="b", bucket_exists=True, total=1, seed="1", files=files
    )
    assert sample.wrong == ()
    with pytest.raises(UnavailableError, match="1 of 1 files"):
        _ = sample.were_answered


def test_summary_is_short() -> None:
    assert summary([str(number) for number in range(12)]) == "0; 1; 2; 3; 4; 5; 6; 7; 8; 9; and 2 more"


# Drawing the sample


IDENTIFIERS = {
    "table": ["Archive", "Stored Files"],
    "key": ["object key"],
    "size": ["size"],
    "content_type": ["content_type"],
    "created_at": ["created_at"],
}
KINDS = {"application/pdf": 950, "image/png": 45, "text/csv": 5}


@pytest.fixture(scope="module")
def many(stack: app_stack.Stack) -> app_stack.Stack:
    """A table of a thousand files, most of them of one kind, with names that need quoting."""
    with psycopg.connect(stack.dsn, autocommit=True) as connection:
        connection.execute('create schema "Archive"')
        connection.execute(
            'create table "Archive"."Stored Files" ("object key" text, size bigint, content_type text, '
            "created_at timestamptz)"
        )
        for kind, count in KINDS.items():
            connection.execute(
                """insert into "Archive"."Stored Files" select %s || n, n, %s, now() - n * interval '1 day'
                from generate_series(1, %s) as n""",
                (kind, kind, count),
            )
    return stack


def draw(stack: app_stack.Stack, seed: str, limit: int) -> list[dict[str, Any]]:
    """Run the suite's query."""
    with psycopg.connect(stack.dsn, row_factory=dict_row) as connection:
        cursor = connection.execute(statement("stored_files", IDENTIFIERS), {"seed": seed, "limit": limit})
        return cursor.fetchall()


def test_everything_is_drawn_if_there_is_little(many: app_stack.Stack) -> None:
    rows = draw(many, "seed", 1001)
    assert len({row["key"] for row in rows}) == 1000
    assert {row["total"] for row in rows} == {1000}


def test_every_kind_and_age_is_drawn(many: app_stack.Stack) -> None:
    rows = draw(many, "seed", 200)
    assert len({row["key"] for row in rows}) == 200
    assert {row["total"] for row in rows} == {1000}
    kinds = Counter(row["content_type"] for row in rows)
    assert kinds["text/csv"] == 5
    assert kinds["image/png"] == 45
    ages = Counter((row["size"] - 1) * 4 // 950 for row in rows if row["content_type"] == "application/pdf")
    assert set(ages) == {0, 1, 2, 3}
    assert max(ages.values()) - min(ages.values()) <= 1


def test_the_seed_decides(many: app_stack.Stack) -> None:
    first, again, other = (draw(many, seed, 200) for seed in ("a", "a", "b"))
    assert first == again
    assert {row["key"] for row in first} != {row["key"] for row in other}


def columns(stack: app_stack.Stack, *parts: str, role: LiteralString = "crm") -> dict[str, bool]:
    """Run the suite's query as a role."""
    with psycopg.connect(stack.dsn) as connection:
        connection.execute(b"set role " + role.encode())
        rows = connection.execute(statement("readable_columns"), {"parts": list(parts)}).fetchall()
        return dict(rows)


def test_columns_are_found_in_the_catalogue(many: app_stack.Stack) -> None:
    assert columns(many, "Archive", "Stored Files") == {
        "object key": True,
        "size": True,
        "content_type": True,
        "created_at": True,
    }
    assert columns(many, "stored_files")["sha256"] is True


def test_a_missing_table_leaves_no_error_in_the_log(many: app_stack.Stack) -> None:
    assert columns(many, "no_such_table") == {}
    assert columns(many, "no_such_schema", "stored_files") == {}
    assert "no_such" not in many.postgres_log.read_text()


def test_a_role_without_rights(many: app_stack.Stack) -> None:
    with psycopg.connect(many.dsn, autocommit=True) as connection:
        connection.execute("create role stranger")
        connection.execute("grant select (key) on stored_files to stranger")
    assert set(columns(many, "Archive", "Stored Files", role="stranger").values()) == {False}
    found = columns(many, "stored_files", role="stranger")
    assert (found["key"], found["size"]) == (True, False)


# The transport


def send(
    target: Target,
    tmp_path: Path,
    operation: str,
    change: Mapping[str, object] | None = None,
    **given: str,
) -> Answer:
    """Send one operation to the rehearsal's storage."""

    async def sending() -> Answer:
        assert target.storage is not None
        ledger = Ledger(tmp_path / "ledger.jsonl", Redactor())
        settings = target.storage.model_copy(update=change or {})
        store = ObjectStore(settings, Secrets(Redactor()).resolve, ledger)
        try:
            return await store.send(operation, **given)
        finally:
            await store.close()
            ledger.close()

    return asyncio.run(sending())


def test_reading_an_object(target: Target, tmp_path: Path) -> None:
    head = send(target, tmp_path, "HeadObject", Key=PDF)
    assert (head.found, head.allowed) == (True, True)
    assert (head.fields["ContentLength"], head.fields["ContentType"]) == (6800, "application/pdf")
    first = send(target, tmp_path, "GetObject", Key=PDF, Range="bytes=0-1023")
    assert first.body.startswith(b"%PDF-")
    assert len(first.body) == 1024
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert [(line["name"], line["detail"]) for line in lines] == [
        ("HeadObject", f"crm-files/{PDF}"),
        ("GetObject", f"crm-files/{PDF}"),
    ]


@pytest.mark.parametrize("key", ["no/such/object", "Verträge & Pläne/100 % + ?.pdf"])
def test_a_missing_object(target: Target, tmp_path: Path, key: str) -> None:
    assert not send(target, tmp_path, "HeadObject", Key=key).found
    assert not send(target, tmp_path, "GetObject", Key=key, Range="bytes=0-1023").found


def test_the_bucket(target: Target, tmp_path: Path) -> None:
    assert send(target, tmp_path, "HeadBucket").found
    assert not send(target, tmp_path, "HeadBucket", change={"bucket": "no-such-bucket"}).found


@pytest.mark.parametrize(
    ("operation", "given"),
    [
        ("PutObject", {"Key": "x"}),
        ("DeleteObject", {"Key": "x"}),
        ("GetObject", {"Key": PDF}),
        ("HeadObject", {}),
        ("HeadBucket", {"Bucket": "another", "Key": "x"}),
    ],
)
def test_what_is_not_declared_is_not_sent(
    target: Target, tmp_path: Path, operation: str, given: dict[str, str]
) -> None:
    with pytest.raises(RefusedError, match="nothing was sent"):
        send(target, tmp_path, operation, None, **given)
    (line,) = (tmp_path / "ledger.jsonl").read_text().splitlines()
    assert json.loads(line)["kind"] == "refused"


def test_the_client_itself_delivers_reads_only(target: Target) -> None:
    assert target.storage is not None
    client = transport._client(target.storage, "k" * 20, "s" * 40)
    with pytest.raises(RefusedError, match="PUT"):
        client.put_object(Bucket="crm-files", Key="x", Body=b"x")
    with pytest.raises(RefusedError, match="DELETE"):
        client.delete_object(Bucket="crm-files", Key="x")


def test_the_operators_own_settings_have_no_say(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = "http://127.0.0.1:9"
    config = tmp_path / "config"
    config.write_text(
        f"[default]\nendpoint_url = {elsewhere}\nregion = mars\ns3 =\n  addressing_style = virtual\n"
    )
    for name, value in {
        "AWS_PROFILE": "no-such-profile",
        "AWS_CONFIG_FILE": str(config),
        "AWS_ENDPOINT_URL": elsewhere,
        "AWS_ENDPOINT_URL_S3": elsewhere,
        "AWS_CA_BUNDLE": os.devnull,
        "HTTPS_PROXY": elsewhere,
        "AWS_ACCESS_KEY_ID": "another",
        "AWS_SECRET_ACCESS_KEY": "another",
    }.items():
        monkeypatch.setenv(name, value)
    assert send(target, tmp_path, "HeadObject", Key=PDF).found


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ca_file": None}, "the certificate is not trusted"),
        ({"connect": Endpoint(address="127.0.0.1", port=9)}, "Connection refused"),
        ({"endpoint": "https://other.portnimara.test"}, "the certificate is not trusted"),
        ({"ca_file": "/no/such/file"}, "cannot be used"),
        ({"access_key": "env:PN_NOT_SET"}, "is not set"),
    ],
)
def test_out_of_reach(target: Target, tmp_path: Path, change: dict[str, object], reason: str) -> None:
    with pytest.raises(UnavailableError, match=reason):
        send(target, tmp_path, "HeadBucket", change=change)


def test_refused_keys(target: Target, tmp_path: Path) -> None:
    wrong = tmp_path / "key"
    wrong.write_text("x" * 40)
    assert not send(target, tmp_path, "HeadBucket", change={"secret_key": f"file:{wrong}"}).allowed


# The whole noun


def look(target: Target, tmp_path: Path, **storage: object) -> Storage:
    """Collect the noun from the rehearsal, with other settings of the storage."""
    assert target.storage is not None
    settings = target.storage.model_copy(update=storage)
    assumed = ("storage.bucket", "storage.files.table")
    other = target.model_copy(update={"storage": settings, "assumed": assumed})
    found = matrix.Observer(other, tmp_path).look(["storage"]).facts["storage"]
    assert isinstance(found, Storage), found
    return found


def test_every_file_of_the_rehearsal_resolves(target: Target, tmp_path: Path) -> None:
    found = look(target, tmp_path, seed="again")
    sample = known(found.sample)
    assert known(found.values) == ("s3",)
    assert (sample.seed, sample.total, len(sample.files)) == ("again", 12, 12)
    assert sample.wrong == ()
    assert sample.were_answered
    assert Storage.model_validate_json(found.model_dump_json()) == found


def test_an_assumed_name_that_is_wrong(target: Target, tmp_path: Path) -> None:
    assert target.storage is not None
    files = target.storage.files.model_copy(update={"table": "public.no_such_files"})
    setting = target.storage.setting.model_copy(update={"value": "no_such_value"})
    found = look(target, tmp_path, files=files, setting=setting)
    assert found.sample == Unavailable(
        reason="assumed name not found: there is no table public.no_such_files",
        remedy="correct storage.files.table in the target file",
    )
    assert found.values == Unavailable(
        reason="there is no column system_settings.no_such_value",
        remedy="correct storage.setting.value in the target file",
    )


def test_an_assumed_bucket_that_is_wrong(target: Target, tmp_path: Path) -> None:
    found = look(target, tmp_path, bucket="no-such-bucket")
    assert isinstance(found.sample, Unavailable)
    assert found.sample.reason == "assumed name not found: there is no bucket no-such-bucket"
