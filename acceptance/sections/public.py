"""A web server under its public name."""

from __future__ import annotations

from pydantic import Field

from acceptance.sections.base import Endpoint, Section


class Public(Section):
    """A public name and where it really is today.

    Attributes:
        plain: True if it speaks plain HTTP only, like a throw-away clone on the operator's machine; then
            everything goes to `connect_http`.
        ca_file: certificate authority to trust instead of the system's; the rehearsal's own.
        connect_http, connect_https: where ports 80 and 443 of the name really are today.
    """

    name: str
    connect_http: Endpoint | None = None
    connect_https: Endpoint | None = None
    plain: bool = False
    ca_file: str | None = None
    timeout_s: float = Field(default=10, gt=0)

    @property
    def url(self) -> str:
        """Its logical address, without a path."""
        return f"{'http' if self.plain else 'https'}://{self.name}"

    @property
    def http(self) -> Endpoint:
        """Where plain HTTP requests go."""
        return self.connect_http or Endpoint(address=self.name, port=80)

    @property
    def https(self) -> Endpoint:
        """Where HTTPS requests go."""
        return self.connect_https or Endpoint(address=self.name, port=443)
