"""The S3 storage, asked from the operator's machine. Sends declared reading operations only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import urllib3

from acceptance.errors import RefusedError, UnavailableError
from acceptance.guard.s3 import LIST_ONE, OPERATIONS, Operation
from acceptance.ledger import Ledger
from acceptance.sections.base import Endpoint
from acceptance.sections.bucket import Bucket
from acceptance.transports.http import trust

WORKERS = 8
BODY_LIMIT = 64 * 1024
_ATTEMPTS = 2
_FAMILIAR = (
    "Connection refused",
    "Name or service not known",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "No route to host",
)
_UNTRUSTED = "the certificate is not trusted"
_NOT_FOUND = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NotFound"})
_FORBIDDEN = frozenset({"401", "403", "AccessDenied", "Forbidden"})


@dataclass(frozen=True)
class Answer:
    """What the storage answered.

    Attributes:
        found: False if it says that there is no such object or bucket.
        allowed: False if it refuses to tell; S3 does so for a missing object too, to who may not list.
        fields: of the answer's header. body: the bytes that were asked for.
    """

    found: bool = True
    allowed: bool = True
    fields: Mapping[str, Any] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Signer:
    """Who signs a request.

    Attributes:
        name: for the ledger.
        access_key, secret_key: empty for nobody: the request is sent unsigned.
        region: that of the target file if empty.
    """

    name: str
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    region: str = ""


NOBODY = Signer("nobody")


@dataclass(frozen=True)
class Listing:
    """How the storage answered the wish to list the bucket.

    Attributes:
        status: the HTTP status; None if TLS failed because the certificate is not trusted.
        code: S3's word for why it refuses, or why the certificate is not trusted; empty if it listed.
    """

    status: int | None
    code: str = ""


class ObjectStore:
    """Reads from the bucket of a target.

    Requests are signed for the logical endpoint. boto3 hands each signed request to `_Delivery`, which
    connects to where the target says that endpoint is today; no proxy, no file and no variable of the
    operator's own S3 tools has a say.

    Args:
        settings: None if the target declares no such bucket.
        secret: resolves a reference when the keys are needed.
        of: the section of the target file that declares it.
    """

    def __init__(
        self,
        settings: Bucket | None,
        secret: Callable[[str], str],
        ledger: Ledger,
        of: str = "storage",
    ) -> None:
        self._settings = settings
        self._of = of
        self._secret = secret
        self._ledger = ledger
        self._threads: ThreadPoolExecutor | None = None
        self._client: asyncio.Task[Any] | None = None

    async def send(self, operation: str, **parameters: str) -> Answer:
        """Send a declared operation about the target's bucket.

        Raises:
            RefusedError: it is not declared with these parameters.
            UnavailableError: the storage does not answer, or not intelligibly.
        """
        settings = self._declared()
        given = {"Bucket": settings.bucket, **parameters}
        declared = next((each for each in OPERATIONS if each.name == operation), None)
        if declared is None or declared.parameters != given.keys():
            self._ledger.record("s3", operation, kind="refused", result="not declared")
            raise RefusedError(
                f"s3: {operation} of {', '.join(sorted(given))} is not declared in "
                "acceptance/guard; nothing was sent"
            )
        client = await self._open(settings)
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._call, client, declared, given
        )

    def operator(self) -> Signer:
        """Return the operator as a signer.

        Raises:
            UnavailableError: the keys cannot be resolved, or the target declares no storage.
        """
        settings = self._declared()
        return Signer("the operator", self._secret(settings.access_key), self._secret(settings.secret_key))

    async def listing(self, signer: Signer) -> Listing:
        """Ask for the first object's name and return how that was answered, be it a refusal.

        Raises:
            UnavailableError: there was no answer.
        """
        return await asyncio.to_thread(self._listing, self._declared(), signer)

    def _listing(self, settings: Bucket, signer: Signer) -> Listing:
        import botocore.exceptions  # noqa: PLC0415 - takes a quarter of a second, so only if it is needed

        started = time.perf_counter()
        answer = Listing(None)
        result = "no answer"
        try:
            made = _client(settings, signer.access_key, signer.secret_key, signer.region)
            with contextlib.closing(made) as client:
                fields = client.list_objects_v2(Bucket=settings.bucket, MaxKeys=1)
            answer = Listing(int(fields["ResponseMetadata"]["HTTPStatusCode"]))
        except botocore.exceptions.ClientError as error:
            code = re.sub(r"[^A-Za-z]", "", str(error.response.get("Error", {}).get("Code", "")))[:64]
            answer = Listing(int(error.response["ResponseMetadata"]["HTTPStatusCode"]), code)
        except (botocore.exceptions.BotoCoreError, urllib3.exceptions.HTTPError) as error:
            result = _explain(error)
            if not result.startswith(_UNTRUSTED):
                raise self._silent(result) from error
            answer = Listing(None, result)
        else:
            result = str(answer.status)
        finally:
            self._ledger.record(
                "s3",
                LIST_ONE.name,
                detail=f"{settings.bucket}, signed by {signer.name}",
                seconds=time.perf_counter() - started,
                result=f"{answer.status} {answer.code}".strip() if answer.status else result,
            )
        return answer

    def _silent(self, reason: str) -> UnavailableError:
        return UnavailableError(
            f"the storage {self._where} does not answer: {reason}",
            f"check endpoint, connect and ca_file under [{self._of}] in the target file",
        )

    def _declared(self) -> Bucket:
        if self._settings is None:
            raise UnavailableError(f"the target file has no [{self._of}]", f"describe it there: [{self._of}]")
        return self._settings

    async def _open(self, settings: Bucket) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
        if self._client is None:
            self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="s3")
            self._client = asyncio.create_task(self._connect(settings, self._threads))
        return await asyncio.shield(self._client)

    async def _connect(self, settings: Bucket, threads: ThreadPoolExecutor) -> Any:  # noqa: ANN401
        keys = self.operator()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(threads, _client, settings, keys.access_key, keys.secret_key)

    def _call(self, client: Any, operation: Operation, given: Mapping[str, str]) -> Answer:  # noqa: ANN401
        import botocore.exceptions  # noqa: PLC0415 - takes a quarter of a second, so only if it is needed

        started = time.perf_counter()
        result = "no answer"
        try:
            fields = getattr(client, operation.method)(**given)
            result = str(fields["ResponseMetadata"]["HTTPStatusCode"])
            return Answer(fields=fields, body=_body(fields.get("Body")))
        except botocore.exceptions.ClientError as error:
            result = str(error.response.get("Error", {}).get("Code", "no code"))
            return _negative(result, self._where)
        except (botocore.exceptions.BotoCoreError, urllib3.exceptions.HTTPError) as error:
            result = _explain(error)
            raise self._silent(result) from error
        finally:
            self._ledger.record(
                "s3",
                operation.name,
                detail="/".join(given[name] for name in ("Bucket", "Key") if name in given),
                seconds=time.perf_counter() - started,
                result=result,
            )

    @property
    def _where(self) -> str:
        return self._declared().endpoint

    async def close(self) -> None:
        """Close the connections; what was not sent yet is not sent."""
        if self._threads is None or self._client is None:
            return
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.cancel()
        await asyncio.gather(self._client, return_exceptions=True)


def _client(settings: Bucket, access_key: str, secret_key: str, region: str = "") -> Any:  # noqa: ANN401
    """Return an S3 client without the operator's own settings, that connects through `_Delivery`.

    Without an access key it signs nothing.
    """
    import boto3  # noqa: PLC0415 - takes a quarter of a second, so only if it is needed
    import botocore  # noqa: PLC0415
    import botocore.session  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    nothing = (None, None, None, None)
    no_file = (None, None, os.devnull, None)
    session = botocore.session.Session(
        session_vars={
            "profile": nothing,
            "config_file": no_file,
            "credentials_file": no_file,
            "ca_bundle": nothing,
        }
    )
    client = boto3.Session(botocore_session=session).client(
        "s3",
        endpoint_url=settings.endpoint,
        region_name=region or settings.region,
        aws_access_key_id=access_key or None,
        aws_secret_access_key=secret_key or None,
        config=Config(
            s3={"addressing_style": "path"},
            signature_version="s3v4" if access_key else botocore.UNSIGNED,
            proxies={},
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            ignore_configured_endpoint_urls=True,
        ),
    )
    client.meta.events.register("before-send.s3", _Delivery(settings))
    return client


class _Delivery:
    """Delivers signed requests to where the endpoint is today.

    A handler of botocore's event `before-send`: botocore takes its answer and sends nothing itself.
    """

    def __init__(self, settings: Bucket) -> None:
        logical = urlsplit(settings.endpoint)
        self._name = logical.hostname or ""
        endpoint = settings.connect or Endpoint(address=self._name, port=logical.port or 443)
        self._pool = urllib3.HTTPSConnectionPool(
            endpoint.address,
            endpoint.port,
            server_hostname=self._name,
            ssl_context=trust(settings.ca_file),
            timeout=urllib3.Timeout(connect=settings.timeout_s, read=settings.timeout_s),
            maxsize=WORKERS,
            block=True,
        )

    def __call__(self, request: Any, **_event: Any) -> Any:  # noqa: ANN401 - botocore has no types
        """Deliver one request and return botocore's form of the answer.

        Raises:
            RefusedError: it is no read, or not for the declared endpoint.
        """
        from botocore.awsrequest import AWSResponse  # noqa: PLC0415
        from botocore.exceptions import EndpointConnectionError  # noqa: PLC0415

        url = urlsplit(request.url)
        if request.method not in ("HEAD", "GET") or url.hostname != self._name:
            raise RefusedError(f"s3: {request.method} to {url.hostname} is not declared; nothing was sent")
        headers = {name: _text(value) for name, value in request.headers.items()}
        try:
            raw = self._pool.urlopen(
                request.method,
                f"{url.path or '/'}?{url.query}" if url.query else url.path or "/",
                headers={**headers, "Host": url.netloc},
                retries=urllib3.Retry(False),
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise EndpointConnectionError(endpoint_url=request.url, error=error) from error
        answer = AWSResponse(request.url, raw.status, raw.headers, raw)
        if not request.stream_output:
            _ = answer.content
        return answer


def _body(stream: Any) -> bytes:  # noqa: ANN401 - botocore has no types
    """Read what was asked for, and no more from a server that sends the whole object."""
    if stream is None:
        return b""
    with contextlib.closing(stream):
        return bytes(stream.read(BODY_LIMIT))


def _text(value: str | bytes) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else value


def _negative(code: str, where: str) -> Answer:
    """Turn an error code into an answer.

    Raises:
        UnavailableError: it says neither that there is nothing nor that the keys may not read it.
    """
    if code in _NOT_FOUND:
        return Answer(found=False)
    if code in _FORBIDDEN:
        return Answer(allowed=False)
    raise UnavailableError(
        f"the storage {where} answers with the error {code}",
        "check that the storage runs, storage.region, the keys, and this machine's clock",
    )


def _explain(error: Exception) -> str:
    """Return why a request got no answer, in a few words and without the signed address."""
    text = str(error.__cause__ or error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        reason = text.rsplit("verify failed: ", maxsplit=1)[-1].split(" (_ssl", maxsplit=1)[0]
        return f"{_UNTRUSTED} ({reason})"
    for words in _FAMILIAR:
        if words in text:
            return words
    if isinstance(error.__cause__, urllib3.exceptions.TimeoutError):
        return "no answer within the time limit"
    return type(error.__cause__ or error).__name__
