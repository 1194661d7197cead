"""`docker manifest inspect` as docker 20.10 does it: by the client alone, with the login of whoever calls it.

It knows no OCI image index and says `no such manifest` for one, as for a missing tag and for a registry that
cannot be reached over TLS (seen on Docker 20.10.24). It needs neither the engine nor its socket, and nothing
beyond the standard library.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ACCEPTED = (
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json"
)
_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_TIMEOUT_S = 10
_FLAGS = {"-v", "--verbose", "--insecure"}
_USAGE = '"docker manifest inspect" requires at least 1 and at most 2 arguments.\n'


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class _Failed(Exception):  # noqa: N818
    """The command ends with this message on standard error."""


class _Registry:
    """A registry of the rehearsal, with the caller's login."""

    def __init__(self, name: str, place: Mapping[str, Any], login: str) -> None:
        self._name = name
        self._place = place
        self._login = login

    def manifest(self, repository: str, tag: str) -> _Answer:
        """Return the manifest, or the registry's refusal of it.

        Raises:
            OSError: no answer over TLS.
        """
        path = f"/v2/{repository}/manifests/{tag}"
        answer = self._get(path, "")
        challenge = answer.headers.get("www-authenticate", "")
        if answer.status != 401 or not challenge:
            return answer
        if challenge.lower().startswith("bearer "):
            return self._get(path, f"Bearer {self._token(challenge)}")
        if not self._login:
            raise _Failed(f'Get "https://{self._name}{path}": no basic auth credentials')
        return self._get(path, f"Basic {self._login}")

    def _token(self, challenge: str) -> str:
        fields = dict(re.findall(r'([a-z]+)="([^"]*)"', challenge))
        query = urllib.parse.urlencode(
            {name: fields[name] for name in ("service", "scope") if name in fields}
        )
        path = f"{urllib.parse.urlsplit(fields['realm']).path}?{query}"
        answer = self._get(path, f"Basic {self._login}" if self._login else "")
        if answer.status != 200:
            raise _Failed(f'Get "https://{self._name}{path}": unauthorized')
        return str(json.loads(answer.body)["token"])

    def _get(self, path: str, authorization: str) -> _Answer:
        context = ssl.create_default_context(cafile=self._place["ca_file"])
        plain = socket.create_connection((self._place["address"], self._place["port"]), _TIMEOUT_S)
        connection = http.client.HTTPConnection(self._name)
        connection.sock = context.wrap_socket(plain, server_hostname=self._name)
        headers = {"Accept": _ACCEPTED, **({"Authorization": authorization} if authorization else {})}
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return _Answer(answer.status, found, answer.read())
        finally:
            connection.close()


def reply(argv: Sequence[str], registries: Path) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error.

    Args:
        argv: what stands behind `docker manifest inspect`.
        registries: a JSON file with the place of each registry that there is, by its name.
    """
    names = [word for word in argv if word not in _FLAGS]
    if len(names) != 1:
        return 1, "", _USAGE
    (reference,) = names
    host, _, rest = reference.partition("/")
    repository, _, tag = rest.partition(":")
    tag = tag or "latest"
    place = json.loads(registries.read_text(encoding="utf-8")).get(host)
    try:
        answer = _Registry(host, place, _login(host)).manifest(repository, tag) if place else None
    except _Failed as failure:
        return 1, "", f"{failure}\n"
    except OSError:
        answer = None
    if answer is None or answer.status != 200:
        return 1, "", f"no such manifest: {host}/{repository}:{tag}\n"
    document = json.loads(answer.body)
    if {"-v", "--verbose"} & set(argv):
        document = _verbose(f"{host}/{repository}:{tag}", answer, document)
    return 0, json.dumps(document, indent="\t") + "\n", ""


def _verbose(reference: str, answer: _Answer, document: Mapping[str, Any]) -> object:
    """Wrap a manifest with its digest; of a list only the children's are told."""
    if answer.headers.get("content-type") == _LIST:
        name = reference.rpartition(":")[0]
        return [{"Ref": f"{name}@{each['digest']}", "Descriptor": each} for each in document["manifests"]]
    descriptor = {
        "mediaType": document["mediaType"],
        "digest": f"sha256:{hashlib.sha256(answer.body).hexdigest()}",
        "size": len(answer.body),
        "platform": {"architecture": "amd64", "os": "linux"},
    }
    return {"Ref": reference, "Descriptor": descriptor, "SchemaV2Manifest": document}


def _login(host: str) -> str:
    """Return the caller's login for a registry as `docker login` keeps it; empty without one."""
    directory = os.environ.get("DOCKER_CONFIG") or f"{Path.home()}/.docker"
    try:
        document = json.loads((Path(directory) / "config.json").read_text(encoding="utf-8"))
        login = str(document["auths"][host]["auth"])
        base64.b64decode(login, validate=True)
    except (OSError, ValueError, KeyError):
        return ""
    return login
