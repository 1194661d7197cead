"""The server's own logins for the registries of the built images, and whether they are good for reading."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from acceptance.errors import NotApplicableError, UnavailableError
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known
from acceptance.facts.registry import located
from acceptance.guard.commands import REGISTRY_LOGINS, call

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.sections.compose import Service
    from acceptance.transports.host import Result

_ABSENT = 4

Shape = Literal["hexadecimal-token", "json-web-token", "identity-token", "other"]

_TOLD: dict[Shape, str] = {
    "hexadecimal-token": "40 digits of lower-case hexadecimal",
    "json-web-token": "a JSON web token",
    "identity-token": "an identity token",
    "other": "anything else, so an account's password",
}


class Reading(Fact):
    """How the registry took the login for one image.

    Attributes:
        accepted: whether the login is one at all, whatever it may read.
        status: HTTP status of the registry's last answer.
        found: whether the manifest was read.
    """

    accepted: bool
    status: int
    found: bool

    @property
    def is_refused(self) -> bool:
        """Whether the login, or what it may read, does not suffice."""
        return not self.accepted or self.status in (401, 403)

    def __str__(self) -> str:
        if not self.accepted:
            return f"the login is refused (HTTP {self.status})"
        return "read with the login" if self.found else f"the login may not read it (HTTP {self.status})"


class Login(Fact):
    """A login without its secret.

    Attributes:
        username: empty where Docker keeps none.
        shape: what its secret looks like.
        equals: the secret's equality class.
    """

    username: str
    shape: Shape
    equals: str

    @property
    def is_token(self) -> bool:
        """Whether the secret has the shape of an access token.

        Gitea's have 40 digits of lower-case hexadecimal (read in the source of 1.25); an account's password
        of that very shape cannot be told apart.
        """
        return self.shape != "other"

    def __str__(self) -> str:
        return _TOLD[self.shape]


class ServerLogin(Fact):
    """The logins that `docker login` left on the server, one for each registry of a built image.

    Attributes:
        path: the file that holds them.
        logins: by registry; None where the server has none.
        readings: by service, how the registry took its login.
        references: by service, the image's declared reference.
    """

    path: str
    references: dict[str, str]
    logins: dict[str, Attempt[Login | None]]
    readings: dict[str, Attempt[Reading | None]]

    @property
    def source(self) -> Source:
        """Where the logins were seen."""
        return Source(
            where=self.path, again=f'as root: grep -o \'"[^"]*": {{\' {self.path}  # the rest is secret'
        )

    def source_of(self, service: Service) -> Source:
        """Where the reading was tried."""
        return Source(
            where=f"{self.path}, registry manifest {service.image}",
            again=f"as root on the server: docker pull {service.image}  # changes the server",
        )

    def of(self, service: Service) -> Login | None:
        """Return the login for the registry of a service's image, or None if the server has none.

        Raises:
            UnavailableError: it could not be read.
            NotApplicableError: the image is not built by our CI.
        """
        return known(self.logins[located(self._reference(service)).host])

    def stored(self, service: Service) -> Login:
        """Return that login.

        Raises:
            UnavailableError: there is none, or it could not be read.
            NotApplicableError: the image is not built by our CI.
        """
        login = self.of(service)
        if login is None:
            raise UnavailableError(f"the server holds no login for the registry of {service.image}")
        return login

    def reading(self, service: Service) -> Reading:
        """Return how the registry took the login for a service's image.

        Raises:
            UnavailableError: it could not be tried, or there is no such manifest to be read.
        """
        reading = known(self.readings[service.name])
        if reading is None:
            raise UnavailableError(f"the server holds no login for the registry of {service.image}")
        if not reading.is_refused and not reading.found:
            raise UnavailableError(f"{service.image}: there is nothing to read (HTTP {reading.status})")
        return reading

    def _reference(self, service: Service) -> str:
        if service.name not in self.references:
            raise NotApplicableError(f"the image of {service.name} is not built by our CI")
        return self.references[service.name]


class _Stored:
    """One login of the file with its secret, which does not leave this module."""

    def __init__(self, username: str, secret: str, *, identity_token: bool = False) -> None:
        self.username = username
        self.secret = secret
        self.identity_token = identity_token

    @property
    def shape(self) -> Shape:
        return "identity-token" if self.identity_token else shape_of(self.secret)


def shape_of(secret: str) -> Shape:
    """Tell what a secret looks like; pure."""
    if re.fullmatch(r"[0-9a-f]{40}", secret):
        return "hexadecimal-token"
    head, _, rest = secret.partition(".")
    if re.fullmatch(r"[\w-]+\.[\w-]+", rest) and _decoded(head).lstrip().startswith('{"'):
        return "json-web-token"
    return "other"


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def login_of(document: Mapping[str, Any], host: str) -> _Stored | None:
    """Return the login that Docker would use for a registry, or None if it has none; pure.

    Raises:
        UnavailableError: it is kept by a credential helper, or written in a way that Docker does not write.
    """
    helper = _section(document, "credHelpers").get(host) or document.get("credsStore")
    if helper:
        raise UnavailableError(
            f"the login for {host} is kept by docker-credential-{helper}, which is not run",
            f"try it by hand on the server: docker manifest inspect {host}/…",
        )
    entries = _section(document, "auths")
    entry = next((value for key, value in entries.items() if _hostname(key) == host), None)
    if not entry:
        return None
    if not isinstance(entry, dict):
        raise UnavailableError(f"the login for {host} is written in an unknown way")
    username, colon, password = _decoded(str(entry.get("auth", ""))).partition(":")
    if entry.get("identitytoken"):
        return _Stored(username, str(entry["identitytoken"]), identity_token=True)
    if not colon:
        raise UnavailableError(f"the login for {host} is written in an unknown way")
    return _Stored(username, password.rstrip("\0"))


def _section(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = document.get(name)
    return section if isinstance(section, dict) else {}


def _hostname(key: str) -> str:
    """Return the registry that an entry is for; older versions of Docker wrote whole addresses."""
    return re.sub(r"^https?://", "", key).partition("/")[0]


def _document(result: Result) -> Mapping[str, Any]:
    if result.answered(0, _ABSENT).rc == _ABSENT:
        return {}
    try:
        document = json.loads(result.stdout)
    except ValueError as error:
        raise UnavailableError("the server's registry logins are not JSON") from error
    if not isinstance(document, dict):
        raise UnavailableError("the server's registry logins are no JSON object")
    return document


def _login(access: Access, stored: _Stored | None, host: str) -> Login | None:
    """Return a login without its secret, which the redactor knows from now on."""
    if stored is None:
        return None
    encoded = base64.b64encode(f"{stored.username}:{stored.secret}".encode()).decode()
    for spelling in (stored.secret, encoded):
        access.learn(f"login on the server for {host}", spelling)
    return Login(username=stored.username, shape=stored.shape, equals=access.classify(stored.secret))


async def _reading(access: Access, image: str, stored: _Stored | None) -> Known[Reading | None] | Unavailable:
    if stored is None:
        return Known(value=None)
    wanted = located(image)
    if stored.identity_token:
        return Unavailable(reason=f"the login for {wanted.host} is an identity token, which no read can try")
    try:
        answer = await access.registry.read_as(
            stored.username, stored.secret, wanted.host, wanted.repository, wanted.tag
        )
    except UnavailableError as error:
        return Unavailable.of(error)
    return Known(value=Reading(accepted=answer.accepted, status=answer.status, found=bool(answer.digest)))


async def collect(access: Access) -> ServerLogin:
    """Read the logins, and try each in memory on the images that the server must be able to pull.

    Raises:
        UnavailableError: the file cannot be looked at, or an image's reference names no registry.
    """
    path = access.target.registry.server_config
    (result,) = await access.host.run(call(REGISTRY_LOGINS, path))
    access.host.done()
    document = _document(result)
    images = {service.name: service.image for service in access.target.compose.services if service.built}
    logins: dict[str, Known[Login | None] | Unavailable] = {}
    secrets: dict[str, _Stored | None] = {}
    for host in sorted({located(image).host for image in images.values()}):
        try:
            secrets[host] = login_of(document, host)
            logins[host] = Known(value=_login(access, secrets[host], host))
        except UnavailableError as error:
            logins[host] = Unavailable.of(error)

    async def tried(image: str) -> Known[Reading | None] | Unavailable:
        login = logins[located(image).host]
        if isinstance(login, Unavailable):
            return login
        return await _reading(access, image, secrets[located(image).host])

    readings = await asyncio.gather(*map(tried, images.values()))
    return ServerLogin(
        path=path, references=images, logins=logins, readings=dict(zip(images, readings, strict=True))
    )


NOUN = Noun("server_login", ServerLogin, collect, sources=("root", "registry"), host=True, teaches=True)
