"""What goes wrong with the stored files. Objects are changed through the storage's own API only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg.types.json import Jsonb

from rehearsal.faults import tools
from rehearsal.faults.base import Course, fault
from rehearsal.services import nginx, postgres, s3
from rehearsal.site import APP, WORKER

if TYPE_CHECKING:
    from rehearsal.stack import Stack

_TOUCHED = ("storage",)
_ERROR_PAGE = b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body></body></html>\n"


def _set_backend(stack: Stack, value: str) -> None:
    with psycopg.connect(postgres.owner_dsn(stack.site)) as connection:
        connection.execute(
            "update system_settings set value = %s where key = 'storage_backend'", (Jsonb(value),)
        )


@contextmanager
def _replaced(stack: Stack, key: str, content: bytes | None) -> Iterator[None]:
    """Replace an object's content, or delete it; afterwards restore it."""
    store = s3.client(stack.site)
    before = store.get_object(Bucket=s3.BUCKET, Key=key)
    original, content_type = before["Body"].read(), before["ContentType"]
    if content is None:
        store.delete_object(Bucket=s3.BUCKET, Key=key)
    else:
        store.put_object(Bucket=s3.BUCKET, Key=key, Body=content, ContentType=content_type)
    try:
        yield
    finally:
        store.put_object(Bucket=s3.BUCKET, Key=key, Body=original, ContentType=content_type)


@fault(
    "storage-filesystem",
    notice="nothing; the files of today are gone with the next deploy",
    reddens=("storage.backend",),
    touches=_TOUCHED,
)
def filesystem(stack: Stack) -> Course:
    """Set the backend to the container's file system."""
    _set_backend(stack, "filesystem")
    yield
    _set_backend(stack, "s3")


@fault(
    "storage-object-deleted",
    notice="one document does not open",
    reddens=("storage.objects",),
    touches=_TOUCHED,
)
def object_deleted(stack: Stack) -> Course:
    """Delete a stored file's object."""
    with _replaced(stack, "documents/2025/11/reservation-agreement.pdf", None):
        yield


@fault(
    "storage-object-emptied",
    notice="one picture is blank",
    reddens=("storage.objects",),
    touches=_TOUCHED,
)
def object_emptied(stack: Stack) -> Course:
    """Leave an object without content."""
    with _replaced(stack, "images/berths/a12.png", b""):
        yield


@fault(
    "storage-object-error-page",
    notice="one document does not open, though its object has the right size and type",
    reddens=("storage.objects",),
    touches=_TOUCHED,
)
def object_error_page(stack: Stack) -> Course:
    """Store an error page, blanks behind it, in place of a PDF."""
    key = "documents/2025/12/berth-a12-contract.pdf"
    size = s3.client(stack.site).head_object(Bucket=s3.BUCKET, Key=key)["ContentLength"]
    with _replaced(stack, key, _ERROR_PAGE.ljust(size)):
        yield


@fault(
    "source-storage-unreachable",
    notice="the storage does not answer: no document opens, nor can the operator look",
    reddens=("storage.reachable",),
    touches=("storage_access", *_TOUCHED),
    blinds=True,
)
def unreachable(stack: Stack) -> Course:
    """Stop the storage behind its proxy."""
    stack.program("s3").stop()
    yield
    stack.program("s3").start()


@fault(
    "source-storage-keys-wrong",
    notice="the operator's keys are refused",
    touches=("storage_access", *_TOUCHED),
    blinds=True,
)
def keys_wrong(stack: Stack) -> Course:
    """Let the operator have another secret key than the storage."""
    with tools.replaced(stack.site.secrets / "s3_secret_key", "not-the-secret-key-of-the-store"):
        yield


@fault(
    "storage-crm-key-wrong",
    notice="no document opens and no upload works, though the operator's own S3 client works",
    reddens=("storage.reachable",),
    touches=(
        *("storage_access", "deploy", "env_file", "containers", "logs"),
        *("queues", "health", "api", "realtime", "pages"),
    ),
)
def crm_key_wrong(stack: Stack) -> Course:
    """Put another secret key into .env and recreate the CRM's containers with it."""
    right = stack.site.credentials.s3_secret_key
    with tools.edited(stack.site.deploy / ".env", f"S3_SECRET_KEY={right}", f"S3_SECRET_KEY={right[::-1]}"):
        _recreate(stack, right[::-1])
        yield
    _recreate(stack, right)


def _recreate(stack: Stack, secret_key: str) -> None:
    for service in (APP, WORKER):
        container = stack.container(service)
        container.recreate(env={**container.spec.env, "S3_SECRET_KEY": secret_key})


@fault(
    "storage-bucket-missing",
    notice="no document opens and no upload works",
    reddens=("storage.reachable", "storage.objects"),
    touches=("storage_access", *_TOUCHED),
)
def bucket_missing(stack: Stack) -> Course:
    """Delete the bucket with all that is in it; afterwards load it anew."""
    store = s3.client(stack.site)
    for found in store.list_objects_v2(Bucket=s3.BUCKET)["Contents"]:
        store.delete_object(Bucket=s3.BUCKET, Key=found["Key"])
    store.delete_bucket(Bucket=s3.BUCKET)
    yield
    s3.load(stack.site)


@fault(
    "storage-bucket-public",
    notice="nothing; whoever knows the address reads contracts and identity documents",
    reddens=("storage.private",),
    touches=("storage_access",),
)
def bucket_public(stack: Stack) -> Course:
    """Answer unsigned requests with the bucket's list, as a storage with an anonymous policy does."""
    listing = "<ListBucketResult><Name>crm-files</Name><KeyCount>1</KeyCount></ListBucketResult>"
    with tools.edited(nginx.vhost(stack.site, nginx.STORAGE), "return 403;", f"return 200 '{listing}';"):
        tools.reload_nginx(stack)
        yield
    tools.reload_nginx(stack)
