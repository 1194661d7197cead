"""Does the CRM get at the storage, and nobody else?"""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.base import known
from acceptance.facts.storage_access import StorageAccess
from acceptance.target import Target


@pytest.mark.item("storage.reachable")
def test_the_crm_names_the_storage(storage_access: StorageAccess, target: Target) -> None:
    """The CRM's environment names this very storage, over TLS: other keys and buckets prove nothing."""
    wrong = storage_access.mismatches(target)
    verify(
        not wrong,
        expected=f"{storage_access.endpoint}, the bucket {storage_access.bucket} and keys in the environment",
        seen="; ".join(wrong) or "these",
        source=storage_access.source,
    )


@pytest.mark.item("storage.reachable")
def test_the_storage_answers(storage_access: StorageAccess) -> None:
    """The storage answers over TLS. Without it the CRM starts, and no document opens."""
    verify(
        storage_access.answers,
        expected="an answer over TLS with a certificate that is trusted",
        seen=known(storage_access.crm),
        source=storage_access.source,
    )


@pytest.mark.item("storage.reachable")
def test_the_crms_keys_are_accepted(storage_access: StorageAccess) -> None:
    """The CRM's own keys are accepted. The operator's say nothing about what stands in .env."""
    verify(
        storage_access.accepts_keys,
        expected="keys that the storage knows",
        seen=known(storage_access.crm),
        source=storage_access.source,
    )


@pytest.mark.item("storage.reachable")
def test_the_bucket_exists(storage_access: StorageAccess, target: Target) -> None:
    """The bucket is there. The CRM does not create it; the first upload would fail."""
    answers = storage_access.answers and storage_access.accepts_keys
    verify(
        answers and storage_access.has_bucket(target),
        expected=f"the bucket {storage_access.bucket}",
        seen=known(storage_access.crm),
        source=storage_access.source,
    )


@pytest.mark.item("storage.private")
def test_an_unsigned_listing_is_refused(storage_access: StorageAccess) -> None:
    """Nobody lists the bucket without keys. It holds contracts and identity documents."""
    verify(
        storage_access.is_refused_unsigned,
        expected="401 or 403 for an unsigned listing, while a signed one works",
        seen=f"{known(storage_access.nobody)} unsigned",
        source=storage_access.unsigned_source,
    )
