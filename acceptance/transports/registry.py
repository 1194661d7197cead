"""The container registry's HTTP API, asked from the operator's machine for digests only."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from acceptance.errors import RefusedError, UnavailableError
from acceptance.guard.registry import MANIFEST, REQUESTS, SERVERS_MANIFEST, SERVERS_TOKEN, TOKEN
from acceptance.guard.requests import Request
from acceptance.ledger import Ledger
from acceptance.target import Registry as Settings
from acceptance.transports.http import explain, trust

MANIFEST_TYPES = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
"""Without all four of them distribution 2.8 may convert the manifest, so that its digest differs, or 404."""

_TIMEOUT_S = 10
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_OF_A_REGISTRY = "docker-distribution-api-version"
"""A header of every answer of distribution 2.8 and of Gitea's registry, a 404 included."""


@dataclass(frozen=True)
class Challenge:
    """Where and for what a token is to be fetched, from a `WWW-Authenticate: Bearer` header."""

    realm: str
    parameters: dict[str, str]


@dataclass(frozen=True)
class Reading:
    """How a registry took a login that was presented for one manifest.

    Attributes:
        accepted: whether it is a login at all, whatever it may read.
        status: of the last answer.
        digest: the manifest's, if it was read.
    """

    accepted: bool
    status: int
    digest: str | None = None


def challenge(header: str) -> Challenge | None:
    """Read a Bearer challenge; None if the header holds none; pure."""
    scheme = re.search(r"(?:^|,\s*)bearer\s+", header, re.IGNORECASE)
    if scheme is None:
        return None
    fields = dict(re.findall(r'([a-z]+)="([^"]*)"', header[scheme.end() :]))
    realm = fields.pop("realm", "")
    wanted = {name: fields[name] for name in ("service", "scope") if name in fields}
    return Challenge(realm, wanted) if realm else None


class Registry:
    """Asks registries for manifests' digests.

    Args:
        settings: its `connect`, `ca_file` and `username` hold for every registry of the target.
        password: resolves the password when it is needed; None where anonymous reads are allowed.
    """

    def __init__(self, settings: Settings, password: Callable[[], str | None], ledger: Ledger) -> None:
        self._settings = settings
        self._password = password
        self._ledger = ledger
        self._client: httpx.AsyncClient | None = None

    async def manifest_digest(self, host: str, repository: str, tag: str) -> str | None:
        """Return the digest (`sha256:…`) that a tag points to, or None if the registry does not know it.

        Args:
            host: logical name of the registry, with its port if it is not 443.
            repository: without the host.
            tag: a tag, or a digest.

        Raises:
            UnavailableError: no answer, no permission, or no digest in the answer.
        """
        address = f"https://{host}/v2/{repository}/manifests/{tag}"
        headers = {"accept": MANIFEST_TYPES}
        login = self._login()
        answer = await self._send(MANIFEST, host, address, headers, login)
        demanded = challenge(answer.headers.get("www-authenticate", ""))
        if answer.status_code == httpx.codes.UNAUTHORIZED and demanded:
            token = await self._token(host, demanded, login)
            answer = await self._send(
                MANIFEST, host, address, {**headers, "authorization": f"Bearer {token}"}, None
            )
        return _digest(answer, f"{host}/{repository}:{tag}", logged_in=login is not None)

    async def read_as(self, username: str, password: str, host: str, repository: str, tag: str) -> Reading:
        """Present a login as Docker does, after a refusal without one, and read a manifest with it.

        What a registry shows to everybody proves no login: it must have refused before, and the token that
        it gives for this login must have been given for no other reason.

        Raises:
            UnavailableError: the registry asks for no login, or does not answer as one.
        """
        address = f"https://{host}/v2/{repository}/manifests/{tag}"
        headers = {"accept": MANIFEST_TYPES}
        login = httpx.BasicAuth(username, password)
        stranger = await self._send(SERVERS_MANIFEST, host, address, headers, None)
        if stranger.status_code != httpx.codes.UNAUTHORIZED:
            raise UnavailableError(
                f"the registry {host} asks for no login (HTTP {stranger.status_code}), so none can be tried"
            )
        demanded = challenge(stranger.headers.get("www-authenticate", ""))
        if demanded is None:
            answer = await self._send(SERVERS_MANIFEST, host, address, headers, login)
            return _reading(answer, accepted=answer.status_code != httpx.codes.UNAUTHORIZED)
        granted = await self._send(SERVERS_TOKEN, host, _token_address(host, demanded), {}, login)
        if granted.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return Reading(accepted=False, status=granted.status_code)
        bearer = {**headers, "authorization": f"Bearer {_token_in(granted, host)}"}
        return _reading(await self._send(SERVERS_MANIFEST, host, address, bearer, None), accepted=True)

    def _login(self) -> httpx.BasicAuth | None:
        if not self._settings.username:
            return None
        return httpx.BasicAuth(self._settings.username, self._password() or "")

    async def _token(self, host: str, demanded: Challenge, login: httpx.BasicAuth | None) -> str:
        answer = await self._send(TOKEN, host, _token_address(host, demanded), {}, login)
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise _refused(host, answer.status_code, logged_in=login is not None)
        return _token_in(answer, host)

    async def _send(
        self,
        request: Request,
        host: str,
        address: str,
        headers: dict[str, str],
        auth: httpx.BasicAuth | None,
    ) -> httpx.Response:
        """Send a declared request; where the target says so, to another address than the logical one."""
        url = httpx.URL(address)
        path = url.raw_path.decode()
        if request not in REQUESTS or not request.allows(path):
            self._ledger.record("registry", request.name, kind="refused", detail=path, result="not declared")
            raise RefusedError(f"registry: {path} is not declared for {request.name}; nothing was sent")
        started = time.perf_counter()
        outcome = "no answer"
        try:
            response = await self._open().request(
                request.method,
                self._connect(url, host),
                headers={"host": url.netloc.decode(), **headers},
                auth=auth,
                extensions={"sni_hostname": url.host},
            )
            outcome = str(response.status_code)
        except httpx.HTTPError as error:
            outcome = explain(error)
            raise UnavailableError(
                f"the registry {url.netloc.decode()} does not answer: {outcome}",
                "check registry.connect and registry.ca_file in the target file",
            ) from error
        finally:
            self._ledger.record(
                "registry",
                request.name,
                detail=f"{request.method} {url.scheme}://{url.netloc.decode()}{url.path}",
                seconds=time.perf_counter() - started,
                result=outcome,
            )
        return response

    def _connect(self, url: httpx.URL, host: str) -> httpx.URL:
        """Return where to send a request; only the registry itself may be elsewhere, no token server."""
        if self._settings.connect is None or url.netloc.decode() != host:
            return url
        return url.copy_with(host=self._settings.connect.address, port=self._settings.connect.port)

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                verify=trust(self._settings.ca_file),
                timeout=_TIMEOUT_S,
                follow_redirects=False,
                trust_env=False,
                headers={"user-agent": "port-nimara-acceptance"},
            )
        return self._client

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()


def _token_address(host: str, demanded: Challenge) -> str:
    address = httpx.URL(demanded.realm).copy_merge_params(demanded.parameters)
    if address.scheme != "https":
        raise UnavailableError(f"{host} wants a token fetched without TLS; the login was not sent")
    return str(address)


def _token_in(answer: httpx.Response, host: str) -> str:
    if answer.status_code != httpx.codes.OK:
        raise UnavailableError(f"{host}: the token endpoint answers HTTP {answer.status_code}")
    try:
        document = answer.json()
        return str(document.get("token") or document["access_token"])
    except (ValueError, KeyError, AttributeError) as error:
        raise UnavailableError(f"{host}: the token endpoint's answer holds no token") from error


def _reading(answer: httpx.Response, *, accepted: bool) -> Reading:
    """Say what was read; a server in trouble is no answer."""
    if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise UnavailableError(f"the registry answers HTTP {answer.status_code}")
    digest = answer.headers.get("docker-content-digest", "") if answer.status_code == httpx.codes.OK else ""
    return Reading(accepted, answer.status_code, digest if _DIGEST.fullmatch(digest) else None)


def _refused(host: str, status: int, *, logged_in: bool) -> UnavailableError:
    who = "the configured login" if logged_in else "an anonymous read"
    return UnavailableError(
        f"the registry {host} refuses {who} (HTTP {status})",
        "set registry.username and registry.password in the target file",
    )


def _digest(answer: httpx.Response, reference: str, *, logged_in: bool) -> str | None:
    if answer.status_code == httpx.codes.NOT_FOUND and _OF_A_REGISTRY in answer.headers:
        return None
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise UnavailableError(
            f"{reference}: HTTP 404, and not from a registry", "correct the image in compose.services"
        )
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise _refused(reference.partition("/")[0], answer.status_code, logged_in=logged_in)
    if answer.status_code != httpx.codes.OK:
        raise UnavailableError(f"{reference}: the registry answers HTTP {answer.status_code}")
    digest = answer.headers.get("docker-content-digest", "")
    if not _DIGEST.fullmatch(digest):
        raise UnavailableError(f"{reference}: the registry's answer names no digest")
    return str(digest)
