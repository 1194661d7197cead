"""Secrets in the plan: which lines are suspected, and which that only speak of secrets are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from acceptance.errors import UnavailableError
from acceptance.facts.base import Known, Unavailable
from acceptance.facts.documents import LARGEST, Document, Documents, findings, kinds, read

HEX = "0123456789abcdef" * 2 + "01234567"
RANDOM = "".join(("Xk2v", "Q9dz", "W7mb", "R4tc", "L8hn", "J5ps"))


def nothing_known(_line: str) -> tuple[str, ...]:
    return ()


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("- Verify the root/sudo password (`hunter27x` — confirmed it works for su).", "a value behind"),
        ("| Root password | k7Qz!mm2 |", "a value behind"),
        ("password: correcthorse", "a value behind"),
        ("SMTP_PASS=kitten99x", "a value behind"),
        ("**API key:** `api_9f3kq2`", "a value behind"),
        ("**API token:** `9f3kq2zz81`", "a value behind"),
        ("The sudo password is tr0ub4dor&3 now.", "a value behind"),
        ("DATABASE_URL=postgres://crm:s3cretpw@db:5432/crm", "a password in a URL"),
        (f"registry token for the server: {HEX}", "a token of 40 hexadecimal digits"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
        (f"key {'AKIA'}{'Q' * 16} of the bucket", "an AWS access key"),
        (f"use {'ghp_'}{'a1B2' * 9} for the mirror", "a token of a known form"),
        (f"ENCRYPTION_SALT={RANDOM}", "a random value"),
    ],
)
def test_what_looks_like_a_secret(line: str, kind: str) -> None:
    assert any(found.startswith(kind) for found in kinds(line))


@pytest.mark.parametrize(
    "line",
    [
        "Credentials live in `private/deployment-creds.md` — never put secrets in this file.",
        "| `WEBSITE_INTAKE_SECRET` | shared secret | MUST equal the website's `CRM_INTAKE_SECRET`. |",
        "- Verify the root/sudo password (`[REDACTED]` — confirmed it works for `su` to root).",
        "(root pass in `private/deployment-creds.md` — VERIFY; the per-server file had another's).",
        "Auth for the dual-write (`X-Webhook-Secret`); health w/ `X-Intake-Secret` -> `{checks}`",
        "Registry pull token — Gitea token for `docker login` on the server.",
        "webhook secret (generate after login as `matt@portnimara.com`).",
        "user `stefan`, key `id_ed25519_2026` (macOS keychain)",
        "password: env:PN_ROOT_PASSWORD, token: $PN_TOKEN, secret: <generate>, api key = required",
        "better-auth secret: 32 characters or more",
        f"deployed {HEX} on Monday",
        f"image sha256:{HEX}{HEX[:24]} was pulled",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8mVqYkTnK0b1cT4uW2eX9sZ7rQ5pLhGf3DdVnBaMkE",
        "The fingerprint is SHA256:Xk2vQ9dzW7mbR4tcL8hnJ5psXk2vQ9dzW7mbR4tcL8h",
        "git log --oneline documenso/documenso:v1.13.1 -> v2.11.0 (issue #1880)",
        "`https://crm.portnimara.com/api/public/website-inquiries?utm_source=NewsletterJune2026Edition`",
        "",
    ],
)
def test_what_only_speaks_of_secrets(line: str) -> None:
    assert kinds(line) == ()


def test_a_known_secret_is_told_by_its_name_and_line() -> None:
    text = f"one\ntwo {RANDOM} three\n"
    found = findings(text, lambda line: ("WEBSITE_INTAKE_SECRET",) if RANDOM in line else ())
    assert (found[0].line, found[0].kind) == (2, "the value of WEBSITE_INTAKE_SECRET")
    assert RANDOM not in "".join(one.model_dump_json() for one in found)


def test_what_was_not_read_is_not_clean(tmp_path: Path) -> None:
    empty = tmp_path / "empty.md"
    empty.write_text("\n \n")
    large = tmp_path / "large.md"
    large.write_bytes(b"x" * (LARGEST + 1))
    for path, reason in (
        (empty, "is empty"),
        (large, "is larger"),
        (tmp_path, "directory"),
        (tmp_path / "no", "No such"),
    ):
        with pytest.raises(UnavailableError, match=reason):
            read(str(path), nothing_known)
    with pytest.raises(UnavailableError, match="names no document"):
        _ = Documents(all={}).extent
    part = Documents(all={"a": Known(value=Document(lines=3, findings=())), "b": Unavailable(reason="gone")})
    with pytest.raises(UnavailableError, match="gone"):
        _ = part.extent
