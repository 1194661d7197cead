"""The sources of a target, and how each is looked at in passing. Only declared reads are sent."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from acceptance import schema_manifest, sources
from acceptance.access import Access
from acceptance.errors import UnavailableError
from acceptance.facts import containers, database_settings, gitea, registry
from acceptance.facts.ssh_login import fingerprint
from acceptance.guard.commands import ACCOUNT, CONTAINERS_INSPECT, ROOT_IDENTITY, call
from acceptance.guard.requests import GITEA_BRANCH, HEALTH_PUBLIC, WEBSITE_PAGE
from acceptance.guard.s3 import HEAD_BUCKET
from acceptance.position import Position
from acceptance.secrets import REFERENCE
from acceptance.target import Target
from acceptance.transports import browser
from acceptance.transports.ssh_client import host_key_name

KEY: Final = "key"
HOST_KEY: Final = "host-key"
STAGE: Final = "stage"
"""Sources that stand on the operator's machine, beside those that facts name."""

SECRET: Final = "secret "
"""How the title of a secret begins."""

_KEYGEN_S = 4

Probe = Callable[[Access], Awaitable[str]]


@dataclass(frozen=True)
class Source:
    """Something that must be there, or answer, before a gate can be judged.

    Attributes:
        title: for people.
        needs: names of the sources without which it is not tried.
        probe: looks in passing and returns what was found; raises UnavailableError.
        beside: names of the sources that facts need along with it, though it is tried without them.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    probe: Probe
    beside: tuple[str, ...] = ()


def all_of(target: Target, position: Position) -> Iterator[Source]:
    """Return everything that a gate may need of this target, the nearest first."""
    secrets = dict(_references(target))
    yield from (_secret(key, reference) for key, reference in secrets.items())

    def needing(section: str, *names: str) -> tuple[str, ...]:
        return (*names, *(f"secret.{key}" for key in secrets if key.startswith(f"{section}.")))

    way_up = not target.has("server") or target.server.privilege.method != "none"
    yield Source(STAGE, "stage of the cutover", (), _stage(position))
    yield Source(sources.MANIFEST, "schema manifest", (), _locally(_manifest))
    yield Source(sources.DOCUMENTS, "documents", (), _locally(_documents))
    yield Source(sources.WEBSITE_FILE, "website's variables", (), _locally(_website_file))
    yield Source(sources.BROWSER, "browser", (), _locally(_browser))
    yield Source(KEY, "SSH key", (), _locally(_key))
    yield Source(HOST_KEY, "SSH host key", (), _locally(_host_key))
    yield Source(sources.SERVER, "SSH login", (KEY,), _server, (HOST_KEY,))
    yield Source(
        sources.ROOT,
        "root privilege" if way_up else "the login's rights",
        needing("server", sources.SERVER),
        _root,
    )
    yield Source(sources.ENGINE, "Docker engine", (sources.ROOT,), _engine)
    yield Source(sources.POSTGRES, "PostgreSQL", needing("postgres", sources.ENGINE), _postgres)
    yield Source(sources.REDIS, "Redis", needing("redis", sources.ENGINE), _redis)
    yield Source(sources.DNS, "name system", (), _dns)
    yield Source(sources.CRM, "CRM over HTTPS", (), _crm)
    yield Source(sources.STORAGE, "storage", needing("storage"), _storage)
    yield Source(sources.REGISTRY, "registry", needing("registry"), _registry)
    yield Source(sources.GITEA, "Gitea", needing("gitea"), _gitea)
    yield Source(sources.WEBSITE, "website", (), _website, needing("website"))


def _references(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Return each reference to a secret with its dotted key."""
    for name in type(section).model_fields:
        value = section.__dict__[name]
        if isinstance(value, BaseModel):
            yield from _references(value, f"{prefix}{name}.")
        elif isinstance(value, str) and re.match(REFERENCE, value):
            yield f"{prefix}{name}", value


def _secret(key: str, reference: str) -> Source:
    async def probe(access: Access) -> str:
        await _in_background(lambda: access.secret(reference))
        return reference if reference.startswith(("env:", "file:")) else "the command answers"

    return Source(f"secret.{key}", f"{SECRET}{key}", (), probe)


async def _in_background(resolve: Callable[[], str]) -> str:
    """Resolve a secret in a thread that nobody waits for: a command may hang or ask its user something.

    Raises:
        UnavailableError: it cannot be resolved.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[str] = loop.create_future()

    def settle(value: str | UnavailableError) -> None:
        if future.done():
            return
        if isinstance(value, UnavailableError):
            future.set_exception(value)
        else:
            future.set_result(value)

    def run() -> None:
        value: str | UnavailableError
        try:
            value = resolve()
        except UnavailableError as error:
            value = error
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(settle, value)

    threading.Thread(target=run, daemon=True).start()
    return await future


def _locally(look: Callable[[Target], str]) -> Probe:
    async def probe(access: Access) -> str:
        return await asyncio.to_thread(look, access.target)

    return probe


def _stage(position: Position) -> Probe:
    async def probe(_access: Access) -> str:
        if position.stage is None:
            raise UnavailableError(
                "no stage of the cutover is declared",
                "give --stage 0 to 5, or set `stage` in the target file",
            )
        return f"stage {position.stage}"

    return probe


def _manifest(target: Target) -> str:
    path = target.database_schema.manifest
    if not path:
        raise UnavailableError("the target file names no schema manifest", schema_manifest.HOW_TO_MAKE)
    schema_manifest.read(Path(path))
    return path


def _documents(target: Target) -> str:
    paths = target.documents
    if not paths:
        raise UnavailableError("the target file names no document", "name the plan under `documents`")
    for path in paths:
        _readable(path, "`documents`")
    return ", ".join(paths)


def _website_file(target: Target) -> str:
    website = target.website
    if website is None:
        raise UnavailableError("the target file has no [website]", "describe it there: [website]")
    path = website.environment.local_file
    if path is None:
        return "on the server"
    _readable(path, "website.environment")
    return path


def _readable(path: str, key: str) -> None:
    """Open a file of the operator's.

    Raises:
        UnavailableError: it cannot be opened.
    """
    try:
        with Path(path).expanduser().open("rb"):
            pass
    except OSError as error:
        raise UnavailableError(
            f"{path} cannot be read ({error.strerror})", f"correct {key} in the target file"
        ) from error


def _browser(_target: Target) -> str:
    return browser.executable()


def _key(target: Target) -> str:
    identity = target.server.identity
    path = Path(identity).expanduser()
    if not path.is_file():
        raise UnavailableError(
            f"there is no key file {identity}", "put it there, or correct server.identity in the target file"
        )
    _readable(identity, "server.identity")
    if path.stat().st_uid == os.geteuid() and path.stat().st_mode & 0o077:
        raise UnavailableError(
            f"the key file {identity} may be read by others, so ssh ignores it", f"run: chmod 600 {identity}"
        )
    return identity


def _host_key(target: Target) -> str:
    server = target.server
    if server.host_key is not None:
        shown = fingerprint(server.host_key)
        if not shown:
            raise UnavailableError(
                "server.host_key is no public key",
                "give it as ssh-keyscan prints it: ssh-ed25519 AAAA…, without the name before it",
            )
        return f"pinned: {shown}"
    name = host_key_name(server)
    known_hosts = Path(server.known_hosts).expanduser()
    try:
        asked = subprocess.run(
            ["ssh-keygen", "-F", name, "-f", str(known_hosts)],  # noqa: S607 - the operator's own OpenSSH
            capture_output=True,
            check=False,
            timeout=_KEYGEN_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(
            f"ssh-keygen cannot be asked ({type(error).__name__})", "install the OpenSSH client"
        ) from error
    if asked.returncode != 0:
        raise UnavailableError(
            f"no host key of {name} is known",
            f"compare the key on the server's console, then set server.host_key in the target file or add it "
            f"to {server.known_hosts}",
        )
    return f"{name} in {server.known_hosts}"


async def _server(access: Access) -> str:
    (result,) = await access.host.run(call(ACCOUNT))
    result.answered()
    server = access.target.server
    return f"{server.user}@{server.address}:{server.port}"


async def _root(access: Access) -> str:
    (result,) = await access.host.run(call(ROOT_IDENTITY))
    uid = result.answered().text.strip()
    return f"uid {uid}" if uid.isdigit() else "answers"


async def _engine(access: Access) -> str:
    (result,) = await access.host.run(call(CONTAINERS_INSPECT, *containers.inspect_arguments(access.target)))
    _, found = containers.read(result, access)
    return f"{len(found)} containers of the project {access.target.compose.project}"


async def _postgres(access: Access) -> str:
    await access.postgres.query(database_settings.QUERY)
    return f"{access.target.postgres.user} at {access.target.postgres.database}"


async def _redis(access: Access) -> str:
    await access.redis.send([("TIME",)])
    return "answers"


async def _dns(access: Access) -> str:
    name = access.target.public.name
    answer = await access.dns.ask(name, "A")
    found = ", ".join(answer.addresses) or ("no A record" if answer.exists else "no such name (NXDOMAIN)")
    return f"{access.dns.where}: {name} → {found}"


async def _crm(access: Access) -> str:
    answer = await access.http.send(HEALTH_PUBLIC.name, path=access.target.health.path)
    return f"{answer.url}: HTTP {answer.status}"


async def _website(access: Access) -> str:
    website = access.target.website
    path = website.page if website else ""
    answer = await access.site(sources.WEBSITE).send(WEBSITE_PAGE.name, path=path)
    return f"{answer.url}: HTTP {answer.status}"


async def _gitea(access: Access) -> str:
    settings = gitea.settings(access)
    answer = await gitea.get(access, GITEA_BRANCH.name, settings.branch_path)
    return answer.url


async def _registry(access: Access) -> str:
    built = [service.image for service in access.target.compose.services if service.built]
    for image in built[:1]:
        reference = registry.located(image)
        await access.registry.manifest_digest(reference.host, reference.repository, reference.tag)
    return ", ".join(built[:1]) or "no image is built by CI"


async def _storage(access: Access) -> str:
    answer = await access.storage.send(HEAD_BUCKET.name)
    settings = access.target.storage
    assert settings is not None
    if not answer.allowed:
        raise UnavailableError(
            f"the storage {settings.endpoint} refuses the operator's keys for the bucket {settings.bucket}",
            "correct storage.access_key and storage.secret_key",
        )
    return f"{settings.bucket} at {settings.endpoint}"
