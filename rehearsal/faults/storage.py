"""What goes wrong with the stored files. Objects are changed through the storage's own API only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg.types.json import Jsonb

from rehearsal.faults import tools
from rehearsal.faults.base import Course, fault
from rehearsal.services import postgres, s3

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
    touches=_TOUCHED,
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
    touches=_TOUCHED,
    blinds=True,
)
def keys_wrong(stack: Stack) -> Course:
    """Let the operator have another secret key than the storage."""
    with tools.replaced(stack.site.secrets / "s3_secret_key", "not-the-secret-key-of-the-store"):
        yield
