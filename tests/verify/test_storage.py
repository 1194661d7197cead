"""Are the CRM's files where the CRM believes them to be?"""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.base import known
from acceptance.facts.storage import Storage, summary


@pytest.mark.item("storage.backend")
def test_backend(storage: Storage) -> None:
    """Files go to the S3 storage. In the container's file system they are gone with the next deploy."""
    values = known(storage.values)
    verify(
        bool(values) and set(values) <= set(storage.backends),
        expected=f"{storage.setting} = {' or '.join(storage.backends)}",
        seen=summary(values) or "no such setting",
        source=storage.source,
    )


@pytest.mark.item("storage.objects")
def test_objects(storage: Storage) -> None:
    """Each sampled file is there, with its size and type. A list of files looks the same without them."""
    sample = known(storage.sample)
    verify(
        sample.bucket_exists,
        expected=f"the bucket {sample.bucket}",
        seen="it exists" if sample.bucket_exists else "no such bucket",
        source=sample.source,
    )
    verify(
        not sample.wrong,
        expected=f"an object of the recorded size and type for each of {sample.extent}",
        seen=summary(sample.wrong) or "as recorded",
        source=sample.source,
    )
    verify(sample.were_answered, expected="an answer for every file", seen="one", source=sample.source)
