"""The container registry: Debian's `docker-registry` with real manifests, and the images made from them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import secrets
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

import httpx

from rehearsal.apps.gitea import issuer
from rehearsal.runtime.spec import Image, Program
from rehearsal.services import gitea, postgres, redis
from rehearsal.services.files import accepts, make_directory, write
from rehearsal.site import REGISTRY_NAME, Site

PORT = 5000
REPOSITORY = gitea.REPOSITORY
"""What the names of the images that our CI builds begin with."""

REVISION = "org.opencontainers.image.revision"
"""The label that holds the commit an image was built from."""

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

_CONFIG = """\
version: 0.1
log:
  level: info
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: {data}
  delete:
    enabled: true
http:
  addr: {address}:{port}
  secret: {secret}
  headers:
    X-Content-Type-Options: [nosniff]
auth:
  token:
    realm: https://{name}/v2/token
    service: {service}
    issuer: {issuer}
    rootcertbundle: {certificate}
"""


def program(site: Site) -> Program:
    """Write its configuration and return the registry as a program; it asks for tokens that Gitea signs.

    Raises:
        OSError: docker-registry is not installed, or a file cannot be written.
    """
    account = site.account("store")
    gitea.create_issuer(site)
    directory = site.root / "registry"
    data = make_directory(directory / "data", mode=0o700, account=account)
    config = _CONFIG.format(
        data=data,
        address=site.address("registry"),
        port=PORT,
        secret=secrets.token_hex(32),
        name=REGISTRY_NAME,
        service=issuer.SERVICE,
        issuer=issuer.NAME,
        certificate=gitea.issuer_certificate(site),
    )
    write(directory / "config.yml", config, mode=0o600, account=account)
    return Program(
        name="registry",
        argv=(binary(), "serve", str(directory / "config.yml")),
        account=account,
        log=directory / "registry.log",
        ready=lambda: accepts(site.address("registry"), PORT),
        env={"PATH": "/usr/bin:/bin", "OTEL_TRACES_EXPORTER": "none"},
        cwd=directory,
    )


def push_all(site: Site) -> dict[str, Image]:
    """Push crm-app and crm-worker, tagged `latest` and with one generated commit.

    Returns:
        The image of each service: those two, and postgres and redis, which are in no registry of ours.

    Raises:
        httpx.HTTPError: the registry cannot be reached or refuses a request.
    """
    commit = secrets.token_hex(20)
    images = {name: _push_tags(site, name, commit) for name in ("crm-app", "crm-worker")}
    return images | {
        "postgres": _upstream(postgres.reference()),
        "redis": _upstream(redis.reference()),
    }


def push(site: Site, repository: str, tag: str, revision: str) -> Image:
    """Push the image of a repository built from commit `revision` under a tag, and return it.

    The same repository and revision give the same digests, so two tags can name one manifest.

    Raises:
        httpx.HTTPError: the registry cannot be reached or refuses a request.
    """
    labels = {REVISION: revision, "org.opencontainers.image.title": repository.rpartition("/")[2]}
    archive = _archive("app/REVISION", f"{repository}\n{revision}\n".encode())
    layer = gzip.compress(archive, mtime=0)
    config = _config(archive, labels)
    manifest = _manifest(config, layer)
    base = f"http://{site.address('registry')}:{PORT}/v2/{repository}"
    token = gitea.issuer(site).sign("build", repository, ("pull", "push"))
    with httpx.Client(trust_env=False, timeout=10, headers={"Authorization": f"Bearer {token}"}) as client:
        _push_blob(client, base, layer)
        _push_blob(client, base, config)
        client.put(
            f"{base}/manifests/{tag}", content=manifest, headers={"Content-Type": MANIFEST}
        ).raise_for_status()
    name = f"{REGISTRY_NAME}/{repository}"
    return Image(_digest(config), (f"{name}:{tag}",), (f"{name}@{_digest(manifest)}",), labels)


def login_file(site: Site) -> Path:
    """Return where `docker login`, run by root of the server, keeps its logins."""
    return site.host / "root" / ".docker" / "config.json"


def write_login(site: Site, logins: Mapping[str, object] | None = None) -> None:
    """Write the server's logins as `docker login` leaves them.

    Args:
        site: whose server.
        logins: what the file holds; by default the login with the server's token.

    Raises:
        OSError: it cannot be written.
    """
    document = logins or logins_with(site.credentials.server_registry_token)
    make_directory(login_file(site).parent, mode=0o700, account=site.account("root"))
    text = json.dumps(document, indent="\t")
    write(login_file(site), text, mode=0o600, account=site.account("root"))


def logins_with(secret: str) -> dict[str, object]:
    """Return what Docker writes down of a login with that token or password."""
    return {
        "auths": {REGISTRY_NAME: {"auth": base64.b64encode(f"{gitea.READER}:{secret}".encode()).decode()}}
    }


def reference(service: str) -> str:
    """Return the image reference of a service that our CI builds."""
    return f"{REGISTRY_NAME}/{REPOSITORY}/{service}:latest"


def binary() -> str:
    """Return the registry's absolute path.

    Raises:
        OSError: it is not installed.
    """
    found = shutil.which("docker-registry", path="/usr/bin:/usr/local/bin")
    if found is None:
        raise OSError("docker-registry is not installed; `make rehearsal` installs it")
    return found


def _push_tags(site: Site, name: str, commit: str) -> Image:
    repository = f"{REPOSITORY}/{name}"
    latest = push(site, repository, "latest", commit)
    tagged = push(site, repository, commit, commit)
    return Image(latest.id, latest.tags + tagged.tags, latest.digests, latest.labels)


def _push_blob(client: httpx.Client, base: str, content: bytes) -> None:
    digest = _digest(content)
    if client.head(f"{base}/blobs/{digest}").status_code == 200:
        return
    started = client.post(f"{base}/blobs/uploads/").raise_for_status()
    location = httpx.URL(started.headers["Location"]).copy_merge_params({"digest": digest})
    client.put(
        location, content=content, headers={"Content-Type": "application/octet-stream"}
    ).raise_for_status()


def _upstream(reference: str) -> Image:
    labels: dict[str, str] = {}
    archive = _archive("etc/image", f"{reference}\n".encode())
    config = _config(archive, labels)
    manifest = _manifest(config, gzip.compress(archive, mtime=0))
    repository = reference.partition(":")[0]
    return Image(_digest(config), (reference,), (f"{repository}@{_digest(manifest)}",), labels)


def _archive(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def _config(archive: bytes, labels: dict[str, str]) -> bytes:
    document = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-06-01T00:00:00Z",
        "config": {"Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": [_digest(archive)]},
        "history": [{"created": "2026-06-01T00:00:00Z", "created_by": "COPY app /app"}],
    }
    return json.dumps(document).encode()


def _manifest(config: bytes, layer: bytes) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": len(config),
            "digest": _digest(config),
        },
        "layers": [
            {
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "size": len(layer),
                "digest": _digest(layer),
            }
        ],
    }
    return json.dumps(document, indent=3).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
