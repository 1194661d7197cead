"""Uploads: objects in a bucket, reached by presigned addresses, or bytes in the database."""

from __future__ import annotations

import base64
from urllib.parse import quote, urlsplit

from rehearsal.apps.documenso.settings import Bucket
from rehearsal.apps.documenso.store import Row
from rehearsal.apps.web import FetchError, Outgoing

_LIFETIME_S = 3600
_READ = {"x-amz-checksum-mode": "ENABLED", "x-id": "GetObject"}
_WRITE = {
    "x-amz-checksum-crc32": "AAAAAA==",
    "x-amz-sdk-checksum-algorithm": "CRC32",
    "x-id": "PutObject",
}
"""What the AWS SDK for JavaScript adds: a checksum of nothing, which a strict server refuses."""


class StorageError(Exception):
    """An object could not be read or written."""


class Storage:
    """The bucket that NEXT_PRIVATE_UPLOAD_* names."""

    def __init__(self, bucket: Bucket, outgoing: Outgoing) -> None:
        self._bucket = bucket
        self._outgoing = outgoing

    @property
    def is_bucket(self) -> bool:
        """True if uploads go to a bucket, false if to the database."""
        return self._bucket.transport == "s3"

    def download_address(self, key: str) -> str:
        """Return an address that gives an object for an hour; whether it exists is not looked up."""
        return self._presigned("GET", key, _READ)

    def upload_address(self, key: str) -> str:
        """Return an address that takes an object for an hour."""
        return self._presigned("PUT", key, _WRITE)

    def read(self, data: Row) -> bytes:
        """Return the current bytes of a DocumentData row.

        Raises:
            StorageError: the object does not come.
        """
        if data["type"] == "BYTES_64":
            return base64.b64decode(data["data"])
        if data["type"] == "BYTES":
            return str(data["data"]).encode("latin-1")
        return self._exchange("GET", self.download_address(data["data"]), None)

    def write(self, key: str, content: bytes) -> None:
        """Store an object.

        Raises:
            StorageError: the bucket does not take it.
        """
        self._exchange("PUT", self.upload_address(key), content)

    def _exchange(self, method: str, address: str, content: bytes | None) -> bytes:
        headers = {"content-type": "application/pdf"} if content is not None else {}
        try:
            received = self._outgoing.send(method, address, headers, content)
        except FetchError as error:
            raise StorageError(str(error)) from error
        if received.status != 200:
            raise StorageError(f"{urlsplit(address).path}: {received.status} {received.reason}")
        return received.body

    def _presigned(self, method: str, key: str, extra: dict[str, str]) -> str:
        # Imported when first needed: it takes longer than everything else here.
        from botocore.auth import S3SigV4QueryAuth  # noqa: PLC0415
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        from botocore.credentials import Credentials  # noqa: PLC0415

        bucket = self._bucket
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in extra.items())
        request = AWSRequest(method, f"{self._address(key)}?X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&{query}")
        credentials = Credentials(bucket.access_key, bucket.secret_key)
        S3SigV4QueryAuth(credentials, "s3", bucket.region, expires=_LIFETIME_S).add_auth(request)
        address, _, signed = str(request.url).partition("?")
        return f"{address}?{'&'.join(sorted(signed.split('&')))}"

    def _address(self, key: str) -> str:
        bucket = self._bucket
        if bucket.path_style:
            return f"{bucket.endpoint}/{bucket.name}/{quote(key)}"
        parts = urlsplit(bucket.endpoint)
        return f"{parts.scheme}://{bucket.name}.{parts.netloc}/{quote(key)}"
