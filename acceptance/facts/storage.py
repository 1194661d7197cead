"""Where the CRM keeps its files: the setting, and a sample of them looked up in the S3 storage."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from acceptance.errors import UnavailableError
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable
from acceptance.facts.media import GENERIC, contradicts, essence, recognised
from acceptance.facts.tables import absent, identifiers
from acceptance.guard.s3 import GET_FIRST_BYTES, HEAD_BUCKET, HEAD_OBJECT

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.target import Storage as Settings

T = TypeVar("T")

FIRST_BYTES = 1024
"""How much of an object is read; a PDF's mark may stand anywhere in there."""
SHOWN = 10
"""How many files a message names at most."""


class StoredFile(Fact):
    """One file of the sample.

    Attributes:
        size, content_type: as the database records them; None and empty if it does not.
        object_size: the object's; None if there is no such object, or the storage refuses to tell.
        object_type: the object's media type as the storage gives it.
        looks_like: what its first bytes are, as a media type; empty if they tell nothing.
        refused: True if the storage refuses to tell whether the object exists.
    """

    key: str
    size: int | None
    content_type: str
    object_size: int | None = None
    object_type: str = ""
    looks_like: str = ""
    refused: bool = False

    @property
    def trouble(self) -> str:
        """What is wrong with it, empty if nothing is or the storage refused to tell."""
        if self.refused:
            return ""
        if self.object_size is None:
            return "no such object"
        if self.size is not None and self.object_size != self.size:
            return f"{self.object_size} bytes, recorded {self.size}"
        if self.object_size and contradicts(self.looks_like, self.content_type):
            return (
                f"looks like {self.looks_like or 'nothing known'}, recorded {self.content_type or 'no type'}"
            )
        recorded, stored = essence(self.content_type), essence(self.object_type)
        if recorded and stored not in (recorded, *GENERIC):
            return f"stored as {stored}, recorded {recorded}"
        return ""


class Sample(Fact):
    """Stored files, drawn from their table and looked up.

    Attributes:
        bucket_exists: if not, nothing was looked up in it.
        total: how many rows the table has.
        seed: what decided which of them were drawn; with the same seed and rows they are drawn again.
    """

    table: str
    endpoint: str
    bucket: str
    bucket_exists: bool
    total: int
    seed: str
    files: tuple[StoredFile, ...]

    @property
    def source(self) -> Source:
        """Where the files were seen and how to draw the same ones."""
        return Source(
            where=f"rows of {self.table}, bucket {self.bucket} at {self.endpoint}",
            again=(
                f'storage.seed = "{self.seed}" in the target file; '
                f"aws s3api head-object --endpoint-url {self.endpoint} --bucket {self.bucket} --key KEY"
            ),
        )

    @property
    def extent(self) -> str:
        """How much was looked at, in a few words."""
        drawn = "all" if len(self.files) == self.total else f"drawn with the seed {self.seed}"
        kinds = Counter(essence(file.content_type) or "no type" for file in self.files)
        counted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        marks = sum(bool(file.looks_like) for file in self.files)
        told = f"{marks} recognised by their first bytes"
        return f"{len(self.files)} of {self.total} files ({drawn}): {counted}; {told}"

    @property
    def wrong(self) -> tuple[str, ...]:
        """Each file that does not resolve as recorded, and what is wrong with it."""
        return tuple(f"{file.key}: {file.trouble}" for file in self.files if file.trouble)

    @property
    def were_answered(self) -> bool:
        """True once the storage said of every file whether it is there.

        Raises:
            UnavailableError: it refused to, of some.
        """
        refused = [file.key for file in self.files if file.refused]
        if refused:
            raise UnavailableError(
                f"the storage refuses to tell about {len(refused)} of {len(self.files)} files "
                f"(HTTP 403), among them {refused[0]}",
                "use keys that may list the bucket too; without that, a missing object is HTTP 403",
            )
        return True


class Storage(Fact):
    """The setting and the sample.

    Attributes:
        setting, table: the setting's name and where it stands.
        backends: its values that mean the declared storage.
        values: those it has, one for each port that has its own.
    """

    setting: str
    table: str
    backends: tuple[str, ...]
    values: Attempt[tuple[str, ...]]
    sample: Attempt[Sample]

    @property
    def source(self) -> Source:
        """Where the setting was seen."""
        return Source(
            where=f"{self.table}, {self.setting}", again="psql -f acceptance/queries/storage_settings.sql"
        )


def summary(entries: Sequence[str]) -> str:
    """Join entries for people, the first `SHOWN` of them; pure."""
    rest = len(entries) - SHOWN
    return "; ".join(entries[:SHOWN]) + (f"; and {rest} more" if rest > 0 else "")


async def _settings(access: Access, settings: Settings) -> tuple[str, ...]:
    declared = settings.setting
    names = await identifiers(
        access,
        declared.table,
        {"name": declared.name, "value": declared.value},
        "storage.setting",
    )
    rows = await access.postgres.query("storage_settings", names, name=declared.key)
    return tuple(_plain(str(row["value"])) for row in rows)


def _plain(value: str) -> str:
    """Return a setting's value without the quotes that it has as JSON."""
    quoted = re.fullmatch(r'"([^"\\]*)"', value.strip())
    return quoted[1] if quoted else value.strip()


async def _rows(access: Access, settings: Settings, seed: str) -> list[dict[str, Any]]:
    declared = settings.files
    columns = {name: getattr(declared, name) for name in ("key", "size", "content_type", "created_at")}
    names = await identifiers(access, declared.table, columns, "storage.files")
    rows = await access.postgres.query("stored_files", names, seed=seed, limit=settings.sample)
    if not rows:
        raise UnavailableError(
            f"{declared.table} records no stored file, so there is none to look up",
            "store a file in the CRM, then run again",
        )
    return rows


async def _bucket(access: Access, settings: Settings) -> bool:
    """Return whether the bucket exists.

    Raises:
        UnavailableError: the storage does not answer or refuses the keys, or the bucket's name is assumed
            and wrong.
    """
    answer = await access.storage.send(HEAD_BUCKET.name)
    if not answer.allowed:
        raise UnavailableError(
            f"the storage {settings.endpoint} refuses the operator's keys for the bucket {settings.bucket}",
            "correct storage.access_key and storage.secret_key",
        )
    if not answer.found and access.target.is_assumed("storage.bucket"):
        raise absent(access.target, "storage.bucket", f"bucket {settings.bucket}")
    return answer.found


async def _sample(access: Access, settings: Settings) -> Sample:
    seed = settings.seed or secrets.token_hex(8)
    rows, exists = await asyncio.gather(_rows(access, settings, seed), _bucket(access, settings))
    drawn = [
        StoredFile(key=row["key"], size=row["size"], content_type=row["content_type"] or "") for row in rows
    ]
    files = await _all(_looked_up(access, file) for file in drawn) if exists else tuple(drawn)
    return Sample(
        table=settings.files.table,
        endpoint=settings.endpoint,
        bucket=settings.bucket,
        bucket_exists=exists,
        total=rows[0]["total"],
        seed=seed,
        files=files,
    )


async def _all(looks: Iterable[Coroutine[Any, Any, StoredFile]]) -> tuple[StoredFile, ...]:
    """Look files up side by side. The first that cannot be looked up ends it: a dead storage costs little."""
    tasks = [asyncio.create_task(look) for look in looks]
    try:
        return tuple(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


async def _looked_up(access: Access, file: StoredFile) -> StoredFile:
    head = await access.storage.send(HEAD_OBJECT.name, Key=file.key)
    if not head.found or not head.allowed:
        return file.model_copy(update={"refused": not head.allowed})
    size = int(head.fields["ContentLength"])
    seen = {"object_size": size, "object_type": str(head.fields.get("ContentType", ""))}
    if not size:
        return file.model_copy(update=seen)
    first = await access.storage.send(GET_FIRST_BYTES.name, Key=file.key, Range=f"bytes=0-{FIRST_BYTES - 1}")
    if not first.found or not first.allowed:
        return file.model_copy(update={"refused": not first.allowed})
    return file.model_copy(update={**seen, "looks_like": recognised(first.body)})


async def _attempt(look: Coroutine[Any, Any, T]) -> Known[T] | Unavailable:
    try:
        return Known(value=await look)
    except UnavailableError as error:
        return Unavailable.of(error)


async def collect(access: Access) -> Storage:
    """Read the setting, draw the sample and look it up.

    Raises:
        UnavailableError: the target file declares no storage.
    """
    settings = access.target.storage
    if settings is None:
        raise UnavailableError(
            "the target file declares no storage", "add the section [storage] to the target file"
        )
    values, sample = await asyncio.gather(
        _attempt(_settings(access, settings)), _attempt(_sample(access, settings))
    )
    return Storage(
        setting=settings.setting.key,
        table=settings.setting.table,
        backends=settings.backends,
        values=values,
        sample=sample,
    )


NOUN = Noun("storage", Storage, collect, sources=("postgres", "storage"), needs=("containers",))
