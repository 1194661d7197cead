"""Who gets at the storage: the CRM with the keys of its own environment, the operator, and nobody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from acceptance.errors import UnavailableError
from acceptance.facts import containers
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known
from acceptance.facts.deploy import file_calls, files_of
from acceptance.facts.env_file import reduce
from acceptance.guard.commands import CONTAINERS_INSPECT, call
from acceptance.transports.s3 import NOBODY, Listing, Signer

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.facts.deploy import Deploy
    from acceptance.target import Storage, Target

_WRONG_KEYS = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidAccessKey", "ExpiredToken"})
_NO_BUCKET = frozenset({"NoSuchBucket"})
_DEFAULT_PORT = {"http": 80, "https": 443}


class Reply(Fact):
    """How the storage answered a listing of the bucket.

    Attributes:
        status: the HTTP status; None if the certificate is not trusted.
        code: S3's word for a refusal; empty if it listed.
    """

    status: int | None
    code: str = ""

    @property
    def listed(self) -> bool:
        """True if it listed the bucket."""
        return self.status == 200

    def __str__(self) -> str:
        return " ".join(filter(None, ("" if self.status is None else f"HTTP {self.status}", self.code)))


class CrmSettings(Fact):
    """What the CRM's environment says of the storage; no value of it.

    Attributes:
        missing: names of variables that it lacks or that are blank.
        secure: True if its endpoint is an https address.
        same_endpoint, same_bucket: True if they are those of the target file.
    """

    missing: tuple[str, ...] = ()
    secure: bool = False
    same_endpoint: bool = False
    same_bucket: bool = False


class StorageAccess(Fact):
    """The bucket as three see it.

    Attributes:
        origin: where the CRM's environment was read.
        crm, operator, nobody: how a listing was answered, signed by their keys or unsigned.
    """

    endpoint: str
    bucket: str
    origin: str
    settings: Attempt[CrmSettings]
    crm: Attempt[Reply]
    operator: Attempt[Reply]
    nobody: Attempt[Reply]

    @property
    def source(self) -> Source:
        """Where the CRM's keys were read and used."""
        return Source(
            where=f"bucket {self.bucket} at {self.endpoint}, with the keys of {self.origin}",
            again=(
                f"aws s3api list-objects-v2 --endpoint-url {self.endpoint} "
                f"--bucket {self.bucket} --max-keys 1"
            ),
        )

    @property
    def unsigned_source(self) -> Source:
        """Where it was asked without keys."""
        address = f"{self.endpoint}/{self.bucket}?list-type=2&max-keys=1"
        return Source(where=address, again=f"curl -sS -o /dev/null -w '%{{http_code}}' '{address}'")

    def mismatches(self, target: Target) -> tuple[str, ...]:
        """Say what the CRM's environment lacks or has otherwise than the target file.

        Raises:
            UnavailableError: the environment could not be read, or what it lacks goes by an assumed name.
        """
        found = known(self.settings)
        if found.missing:
            return tuple(f"no {name}" for name in _certainly_missing(target, found.missing))
        self._same_bucket_unless_assumed(target)
        return tuple(
            text
            for text, holds in (
                ("an endpoint without TLS", found.secure),
                ("another endpoint", found.same_endpoint or not found.secure),
                ("another bucket", found.same_bucket),
            )
            if not holds
        )

    def _same_bucket_unless_assumed(self, target: Target) -> None:
        if not known(self.settings).same_bucket and target.is_assumed("storage.bucket"):
            raise UnavailableError(
                f"assumed name not found: the CRM's environment names another bucket than {self.bucket}",
                "correct storage.bucket in the target file",
            )

    @property
    def answers(self) -> bool:
        """True if the storage answers the CRM over TLS, be it with a refusal."""
        status = known(self.crm).status
        return status is not None and status < 500

    @property
    def accepts_keys(self) -> bool:
        """True if the storage accepts the CRM's keys."""
        return known(self.crm).code not in _WRONG_KEYS

    def has_bucket(self, target: Target) -> bool:
        """Tell whether the bucket is there.

        Raises:
            UnavailableError: the storage tells neither that it is there nor that it is not, or it is not the
                CRM's bucket that was looked for, as the name of that one is assumed.
        """
        reply = known(self.crm)
        self._same_bucket_unless_assumed(target)
        if not reply.listed and reply.code not in _NO_BUCKET:
            raise UnavailableError(
                f"the storage does not tell the CRM whether the bucket {self.bucket} exists ({reply})",
                "let the CRM's keys list the bucket, or see its policy on the storage's console",
            )
        return reply.listed

    @property
    def is_refused_unsigned(self) -> bool:
        """True if nobody lists the bucket without keys, while somebody does with keys.

        Raises:
            UnavailableError: the unsigned listing was answered neither with it nor with 401 or 403, or no
                signed one works, so that the refusal may have another cause.
        """
        reply = known(self.nobody)
        if reply.listed:
            return False
        if reply.status not in (401, 403):
            raise UnavailableError(
                f"an unsigned listing is answered with {reply}, which is no refusal for want of keys",
                "see what answers in front of the storage",
            )
        signed = {"the operator": self.operator, "the CRM": self.crm}
        if not any(isinstance(attempt, Known) and attempt.value.listed for attempt in signed.values()):
            told = [
                f"{who}: {attempt.value if isinstance(attempt, Known) else attempt.reason}"
                for who, attempt in signed.items()
            ]
            remedies = [attempt.remedy for attempt in signed.values() if isinstance(attempt, Unavailable)]
            raise UnavailableError(
                f"no signed listing works, so a refused unsigned one proves nothing ({'; '.join(told)})",
                next(filter(None, remedies), "correct the keys, or storage.bucket, in the target file"),
            )
        return True


def _declared(target: Target) -> Storage:
    if target.storage is None:
        raise UnavailableError(
            "the target file declares no storage", "add the section [storage] to the target file"
        )
    return target.storage


def _certainly_missing(target: Target, missing: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the missing variables whose names are not assumed.

    Raises:
        UnavailableError: all of them are assumed.
    """
    variables = _declared(target).variables.model_dump()
    assumed = {
        name: f"storage.variables.{key}"
        for key, name in variables.items()
        if target.is_assumed(f"storage.variables.{key}")
    }
    certain = tuple(name for name in missing if name not in assumed)
    if not certain:
        raise UnavailableError(
            f"assumed name not found: {', '.join(missing)} in the CRM's environment",
            f"correct {', '.join(assumed[name] for name in missing)} in the target file",
        )
    return certain


def settings_of(environment: Mapping[str, str], storage: Storage) -> CrmSettings:
    """Compare the CRM's environment with the declared storage; pure.

    A region is not needed: S3 clients have a default. A port that the scheme implies makes no difference.
    """
    names = storage.variables
    needed = (names.endpoint, names.bucket, names.access_key, names.secret_key)
    endpoint = environment.get(names.endpoint, "").strip()
    return CrmSettings(
        missing=tuple(name for name in needed if not environment.get(name, "").strip()),
        secure=endpoint.lower().startswith("https://"),
        same_endpoint=_place(endpoint) == _place(storage.endpoint),
        same_bucket=environment.get(names.bucket, "").strip() == storage.bucket,
    )


def _place(address: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(address)
        return parts.hostname or "", parts.port or _DEFAULT_PORT.get(parts.scheme)
    except ValueError:
        return "", None


async def _environment(access: Access, deploy: Deploy) -> tuple[str, dict[str, str]]:
    """Return where the CRM's environment is, and the environment; it stays in memory.

    The deploy fact has asked for the same inspection before, so that this one costs no round trip.

    Raises:
        UnavailableError: it cannot be read.
    """
    service = access.target.compose.of_kind("app").name
    if service not in known(deploy.running):
        return await _from_files(access, deploy)
    (result,) = await access.host.run(call(CONTAINERS_INSPECT, *containers.inspect_arguments(access.target)))
    _, found = containers.read(result, access)
    running = [one for one in found if one.service == service and one.runs and not one.one_off]
    if not running:
        raise UnavailableError(f"{service} has stopped while the suite looked", "run again")
    one = running[0]
    inspected = json.loads(result.text.partition("\n")[2])
    values = next(containers.environment_of(raw) for raw in inspected if raw["Id"] == one.id)
    return f"container {one.name}", values


async def _from_files(access: Access, deploy: Deploy) -> tuple[str, dict[str, str]]:
    target, place = access.target, deploy.place
    if not deploy.is_the_place or not place.env_file.is_there:
        raise UnavailableError(
            f"nothing runs and {place.env_file.path} does not exist, so the CRM has no environment yet"
        )
    looks = await access.host.run(*file_calls(target))
    files = files_of(target, looks, something_runs=bool(known(deploy.running)))
    app = target.compose.of_kind("app").name
    values, _ = files.started_with(app, target)
    reduce(access, values)
    return files.shown_with(app).where, values


async def _reply(listing: Awaitable[Listing]) -> Known[Reply] | Unavailable:
    try:
        answer = await listing
    except UnavailableError as error:
        return Unavailable.of(error)
    return Known(value=Reply(status=answer.status, code=answer.code))


async def _as_operator(access: Access) -> Listing:
    return await access.storage.listing(access.storage.operator())


async def _as_crm(access: Access, environment: Mapping[str, str], storage: Storage) -> Listing:
    names = storage.variables
    keys = [environment.get(name, "").strip() for name in (names.access_key, names.secret_key)]
    if not all(keys):
        raise UnavailableError("the CRM's environment holds no keys for the storage")
    region = environment.get(names.region, "").strip()
    return await access.storage.listing(Signer("the CRM", keys[0], keys[1], region))


async def collect(access: Access) -> StorageAccess:
    """Read the CRM's environment, and list the bucket three times.

    Raises:
        UnavailableError: the target file declares no storage.
    """
    storage = _declared(access.target)
    outside = asyncio.gather(_reply(_as_operator(access)), _reply(access.storage.listing(NOBODY)))
    origin = "the CRM's environment"
    settings: Known[CrmSettings] | Unavailable
    crm: Known[Reply] | Unavailable
    try:
        deploy: Deploy = await access.fact("deploy")  # type: ignore[assignment]
        origin, environment = await _environment(access, deploy)
    except UnavailableError as error:
        settings = crm = Unavailable.of(error)
    else:
        settings = Known(value=settings_of(environment, storage))
        crm = await _reply(_as_crm(access, environment, storage))
    operator, nobody = await outside
    return StorageAccess(
        endpoint=storage.endpoint,
        bucket=storage.bucket,
        origin=origin,
        settings=settings,
        crm=crm,
        operator=operator,
        nobody=nobody,
    )


NOUN = Noun(
    "storage_access", StorageAccess, collect, sources=("engine", "storage"), needs=("deploy",), teaches=True
)
