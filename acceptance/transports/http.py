"""HTTP to a public name: logical host in Host and SNI, connecting to wherever the target says."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict

from acceptance.errors import UnavailableError
from acceptance.excerpt import beginning
from acceptance.guard import Guard
from acceptance.ledger import Ledger
from acceptance.sections.public import Public

BODY_LIMIT = 1024 * 1024
"""Longest body kept, in bytes; a longer one is cut off and marked."""


class HttpAnswer(BaseModel):
    """An answer as it came, redirects not followed.

    Attributes:
        headers: names in lower case; a name that was sent twice is joined by newlines.
        seconds: from sending the request to the last byte.
        url: the logical address.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int
    headers: dict[str, str]
    body: bytes
    truncated: bool
    seconds: float
    url: str

    def json_body(self) -> Any:  # noqa: ANN401 - JSON is any value
        """Return the parsed body, or None if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def excerpt(self) -> str:
        """The beginning of the body on one line, for people."""
        return beginning(self.body, 160)


class Http:
    """Sends declared requests to one public name.

    It keeps no cookie: after the approved sign-in a stranger's request is still a stranger's.
    """

    def __init__(self, public: Public, guard: Guard, ledger: Ledger, on: str = "crm") -> None:
        self._public = public
        self._on = on
        self._guard = guard
        self._ledger = ledger
        self._client: httpx.AsyncClient | None = None

    @property
    def client(self) -> httpx.AsyncClient:
        """The client, made on first use.

        Raises:
            UnavailableError: the certificate authority's file cannot be read.
        """
        if self._client is None:
            self._client = httpx.AsyncClient(
                verify=trust(self._public.ca_file),
                timeout=self._public.timeout_s,
                follow_redirects=False,
                trust_env=False,
                headers={"user-agent": "port-nimara-acceptance"},
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
                limits=httpx.Limits(max_connections=20),
            )
        return self._client

    def url(self, path: str, *, secure: bool = True) -> str:
        """Return the logical address of a path."""
        return f"{'https' if secure and not self._public.plain else 'http'}://{self._public.name}{path}"

    async def send(
        self,
        name: str,
        *,
        path: str,
        method: str = "GET",
        secure: bool = True,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> HttpAnswer:
        """Send a declared request.

        Args:
            name: the declaration's name.
            path: path and query.
            method: must be the declared one.
            secure: over TLS; False for port 80.
            headers: may hold secrets; they are neither logged nor returned.
            content: the request's body.

        Raises:
            RefusedError: the request is not declared.
            UnavailableError: no answer (refused, timeout, TLS), or the request needs an approval.
        """
        scheme = "https" if secure else "http"
        request = self._guard.request(name, method, path, content=content, scheme=scheme, on=self._on)
        started = time.perf_counter()
        tls = secure and not self._public.plain
        endpoint = self._public.https if tls else self._public.http
        outcome = "no answer"
        try:
            async with self.client.stream(
                method,
                f"{'https' if tls else 'http'}://{endpoint.address}:{endpoint.port}{path}",
                headers={"host": self._public.name, **(headers or {})},
                content=content,
                extensions={"sni_hostname": self._public.name},
            ) as response:
                body = b""
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > BODY_LIMIT:
                        break
            outcome = str(response.status_code)
        except httpx.HTTPError as error:
            outcome = explain(error)
            raise UnavailableError(
                f"{self.url(path, secure=secure)}: {outcome}",
                f"check that {endpoint.address} port {endpoint.port} can be reached from here",
            ) from error
        finally:
            self._ledger.record(
                "http",
                name,
                detail=f"{method} {self.url(path, secure=secure)}",
                kind="mutation" if request.action else "read",
                seconds=time.perf_counter() - started,
                result=outcome,
            )
        return HttpAnswer(
            status=response.status_code,
            headers=_joined(response.headers),
            body=body[:BODY_LIMIT],
            truncated=len(body) > BODY_LIMIT,
            seconds=time.perf_counter() - started,
            url=self.url(path, secure=secure),
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()


def _joined(headers: httpx.Headers) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers.multi_items():
        joined[name.lower()] = f"{joined[name.lower()]}\n{value}" if name.lower() in joined else value
    return joined


def trust(ca_file: str | None) -> ssl.SSLContext:
    """Return a verifying TLS context for the given certificate authority, or the system's.

    Raises:
        UnavailableError: the file cannot be read or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise UnavailableError(
            f"the certificate authority {ca_file} cannot be used ({error})", "correct ca_file in the target"
        ) from error


def explain(error: httpx.HTTPError) -> str:
    """Return why a request got no answer, in a few words."""
    if isinstance(error, httpx.ConnectTimeout):
        return "no connection within the time limit"
    if isinstance(error, httpx.TimeoutException):
        return "no answer within the time limit"
    text = str(error).strip() or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        reason = text.split("certificate verify failed: ")[-1].split(" (_ssl")[0]
        return f"the certificate is not trusted ({reason})"
    return text
