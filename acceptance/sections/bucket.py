"""A bucket of an S3 storage."""

from __future__ import annotations

from pydantic import Field

from acceptance.sections.base import Endpoint, SecretReference, Section


class Bucket(Section):
    """A bucket, asked by the operator's machine.

    Attributes:
        endpoint: the storage's address, `https://` and nothing behind the name or port.
        connect: where that really is today.
        access_key, secret_key: the operator's; best are keys that can only read.
        timeout_s: for connecting, and for each wait for an answer.
    """

    endpoint: str = Field(pattern=r"^https://[A-Za-z0-9.-]+(:[0-9]+)?$")
    connect: Endpoint | None = None
    ca_file: str | None = None
    region: str
    bucket: str
    access_key: SecretReference
    secret_key: SecretReference
    timeout_s: float = Field(default=10, gt=0)

    @property
    def host(self) -> str:
        """The endpoint's name, without its port."""
        return self.endpoint.removeprefix("https://").partition(":")[0]
