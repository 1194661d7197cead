"""The target file: what is judged and where it is. It holds no secret, only references to secrets."""

from __future__ import annotations

import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from acceptance.errors import UnavailableError, UsageError
from acceptance.sections.base import (
    AbsolutePath,
    Endpoint,
    Expression,
    Port,
    RootedPath,
    SecretReference,
    Section,
)
from acceptance.sections.bucket import Bucket
from acceptance.sections.compose import Compose
from acceptance.sections.database import Database
from acceptance.sections.deploy import Deploy
from acceptance.sections.dns import Dns, Which
from acceptance.sections.documenso import Documenso
from acceptance.sections.gitea import Gitea
from acceptance.sections.host import Host
from acceptance.sections.outside import Outside
from acceptance.sections.port_settings import PortSettings
from acceptance.sections.public import Public
from acceptance.sections.watch import Watch
from acceptance.sections.website import Website

LONGEST_LOG = 256 * 1024 * 1024
"""How much of one log a run takes at most, in bytes after compression."""

DIRECTORY = Path(__file__).resolve().parent.parent / "targets"


class Privilege(Section):
    """The way up to root on the server.

    Attributes:
        method: `none` if the login user may do everything itself.
        password: read from standard input by su or sudo; unset if none is asked for.
        helper: a program on the server that sudo lets the login run without a password; it holds the declared
            privileged reads and nothing else. `acceptance commands --root-helper` prints it.
    """

    method: Literal["none", "su", "sudo"] = "none"
    password: SecretReference | None = None
    helper: AbsolutePath | None = None

    @model_validator(mode="after")
    def _helper_goes_with_sudo(self) -> Privilege:
        if self.helper and (self.method != "sudo" or self.password):
            raise ValueError('helper: it goes with method = "sudo" and without a password')
        return self


class Tools(Section):
    """Absolute paths of the server's programs; a login without a shell profile has no sbin in PATH."""

    docker: AbsolutePath = "/usr/bin/docker"
    nginx: AbsolutePath = "/usr/sbin/nginx"
    systemctl: AbsolutePath = "/usr/bin/systemctl"
    su: AbsolutePath = "/usr/bin/su"
    sudo: AbsolutePath = "/usr/bin/sudo"
    certbot: AbsolutePath = "/usr/bin/certbot"


class Server(Section):
    """The server behind SSH.

    Attributes:
        host_key: the pinned public key (`ssh-ed25519 AAAA…`); if unset the operator's own
            known_hosts file must hold it.
        known_hosts: that file.
    """

    address: str
    port: Port = 22
    user: str
    identity: str
    host_key: str | None = None
    known_hosts: str = "~/.ssh/known_hosts"
    connect: Endpoint | None = None
    privilege: Privilege = Privilege()
    tools: Tools = Tools()
    timeout_s: float = Field(default=20, gt=0, description="for one remote command")

    @property
    def endpoint(self) -> Endpoint:
        """Where to connect to today."""
        return self.connect or Endpoint(address=self.address, port=self.port)


class Nginx(Section):
    """The reverse proxy's files and what its vhost must say.

    Attributes:
        listen_http, listen_https: the ports in its configuration; not 80 and 443 only in a
            rehearsal that an ordinary user runs.
        upstream: where requests must go.
        template: the vhost on the server that the CRM's is modelled on; unset if there is none.
        access_log: the file that requests for the public name are logged to, in nginx's own format.
    """

    root: AbsolutePath = "/etc/nginx"
    config: AbsolutePath = "/etc/nginx/nginx.conf"
    vhost: str
    template: str | None = None
    listen_http: Port = 80
    listen_https: Port = 443
    upstream: Endpoint
    body_size_mb: int = 64
    read_timeout_s: int = 300
    access_log: AbsolutePath = "/var/log/nginx/access.log"


class Tls(Section):
    """The certificate: where certbot keeps it and how long it must still hold."""

    letsencrypt: AbsolutePath = "/etc/letsencrypt"
    min_days: int = 21


class Registry(Section):
    """The container registry, asked by the operator's machine.

    Attributes:
        username, password: a login for HTTP Basic; unset where anonymous reads are allowed.
        server_config: the file on the server in which `docker login`, run as root, keeps its logins.
    """

    connect: Endpoint | None = None
    ca_file: str | None = None
    username: str | None = None
    password: SecretReference | None = None
    server_config: AbsolutePath = "/root/.docker/config.json"


class Health(Section):
    """The health endpoint: its path, its secret and the latency budget."""

    path: str = "/api/public/health"
    secret: SecretReference
    latency_p95_ms: int = 800


class Realtime(Section):
    """Socket.IO.

    Attributes:
        auth: `session` if the namespace may be joined only by a signed-in user.
        max_wait_s: the longest ping interval that is worth waiting for.
    """

    path: str = "/socket.io/"
    namespace: str = "/"
    auth: Literal["none", "session"] = "session"
    max_wait_s: float = 60


class SignIn(Section):
    """The account for the approved sign-in, and the route it is sent to."""

    path: str = "/api/auth/sign-in/email"
    email: SecretReference
    password: SecretReference


class Api(Section):
    """The CRM's public routes.

    Attributes:
        berth_list: where the list of berths may stand in the answer, if it is not the answer itself.
        berth_keys: what every berth must have.
    """

    berths: str = "/api/public/berths"
    berth_list: tuple[str, ...] = ("berths", "data")
    berth_keys: tuple[str, ...] = ("id", "name", "status")
    intake: str = "/api/public/website-inquiries"


class Pages(Section):
    """The CRM's pages as a browser shows them. Selectors are CSS; paths are those of the public name.

    Attributes:
        login: the login page.
        title: words that the login page's title holds.
        brand_colour: `#rrggbb`, and the property of the first element matching `brand_element` that has it.
        logo: the picture that must be drawn on the login page.
        guarded: a page that needs a session.
        data: regular expressions; each finds customers' data in a page's HTML or in its payload. They
            prove that nothing leaks without a session, and are tried on a signed-in page first.
        berths: the page with the berth list.
        berth_rows: one element for each berth in it.
        deal: a page with one deal; the plan names none.
        deal_proof: what only a deal's page shows.
        elsewhere: other hosts that the pages may load from; nothing is sent to any other host.
    """

    login: RootedPath = "/login"
    title: str | None = None
    brand_colour: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] | None = None
    brand_element: str = "header"
    brand_property: Literal["background-color", "color", "border-top-color"] = "background-color"
    logo: str = 'img[src*="logo" i], img[alt*="logo" i], header img'
    guarded: RootedPath = "/berths"
    data: tuple[Expression, ...] = (
        r"\bdata-(?:berth|deal|client)(?:-id)?=",
        r'\\?"(?:berths|deals|clients)\\?":\s*\[\s*\{',
    )
    berths: RootedPath = "/berths"
    berth_rows: str = "[data-berth], main table tbody tr"
    deal: RootedPath | None = None
    deal_proof: str = "[data-deal]"
    elsewhere: tuple[str, ...] = ()


class Postgres(Database):
    """The CRM's database, reached through an SSH tunnel to its container."""

    major: int = 16


class Admins(Section):
    """How an admin user is told: one of `values` in that column of the users' table."""

    table: str = "user"
    column: str = "role"
    values: tuple[str, ...] = Field(default=("admin",), min_length=1)


class DatabaseSchema(Section):
    """What the CRM's database must hold.

    Attributes:
        manifest: the file that `acceptance schema manifest` wrote for the deployed commit.
        ports: the table of ports. Tables of another schema than `public` are given with it.
    """

    manifest: str | None = None
    ports: str = "ports"
    admins: Admins = Admins()


class Redis(Section):
    """The CRM's Redis, reached likewise.

    Attributes:
        user: an account that cannot write, where there is one; Redis' default account if unset.
        prefix: BullMQ's.
    """

    port: Port = 6379
    user: str | None = None
    password: SecretReference | None = None
    prefix: str = "bull"


class Worker(Section):
    """What the worker must keep up with.

    Attributes:
        oldest_waiting_s: how long a job may wait for the worker.
        queues: the queues it must consume; every queue that Redis holds if none is named.
    """

    oldest_waiting_s: float = Field(default=300, gt=0)
    queues: tuple[str, ...] = ()


class StorageSetting(Section):
    """Where the CRM's database says what the storage is: a row with a name and a value."""

    table: str = "system_settings"
    name: str = "key"
    value: str = "value"
    key: str = "storage_backend"


class StorageFiles(Section):
    """The table of stored files and its columns; `key` is the object's key in the bucket."""

    table: str = "stored_files"
    key: str = "key"
    size: str = "size"
    content_type: str = "content_type"
    created_at: str = "created_at"


class StorageVariables(Section):
    """How the CRM's environment calls what it needs for the storage."""

    endpoint: str = "S3_ENDPOINT"
    region: str = "S3_REGION"
    bucket: str = "S3_BUCKET"
    access_key: str = "S3_ACCESS_KEY"
    secret_key: str = "S3_SECRET_KEY"


class Storage(Bucket):
    """The S3 storage of the CRM's files.

    Attributes:
        backends: values of the setting that mean this storage.
        sample: how many files are looked up, if there are more.
        seed: draws the same files as a former run; by default each run draws others.
    """

    backends: tuple[str, ...] = Field(default=("s3",), min_length=1)
    sample: int = Field(default=200, ge=200)
    seed: str | None = None
    setting: StorageSetting = StorageSetting()
    files: StorageFiles = StorageFiles()
    variables: StorageVariables = StorageVariables()


class Logs(Section):
    """How much of a container's log may be fetched, in bytes after compression on the server."""

    max_bytes: int = Field(default=64 * 1024 * 1024, gt=0, le=LONGEST_LOG)
    storm: int = Field(default=20, description="refused connections that make a storm")


T = TypeVar("T")

if TYPE_CHECKING:
    Needed = Annotated[T, "may be left out"]
else:

    class Needed:
        """A section that may be left out, though whoever asks for it needs it: `Needed[Server]`."""

        def __class_getitem__(cls, section: Any) -> Any:  # noqa: ANN401 - a type
            """Return the type that pydantic sees."""
            return section | None


def _left_out() -> Any:  # noqa: ANN401 - stands for any section
    return None


NEEDED: Final = ("server", "public", "nginx", "compose", "health", "postgres")
"""The sections of the CRM, which a target that describes Documenso alone leaves out."""


class Target(Section):
    """A whole target file.

    Attributes:
        rehearsal: True for a disposable stand-in; every report then says so.
        assumed: dotted keys whose value the plan does not state, `compose.services.env_file` for that of
            every service. What is missing at such a place is UNKNOWN ("assumed name not found"), not a
            failure.
        stage: of the website's cutover, 0 to 5, unless the operator gives another one with --stage.
        documents: the plan and the runbooks, files of the operator's machine; no secret may stand in them.
    """

    target_version: Literal[1] = 1
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    rehearsal: bool = False
    assumed: tuple[str, ...] = ()
    stage: int | None = Field(default=None, ge=0, le=5)
    documents: tuple[str, ...] = ()
    server: Needed[Server] = Field(default_factory=_left_out)
    host: Host = Host()
    outside: Outside = Outside()
    public: Needed[Public] = Field(default_factory=_left_out)
    dns: Dns = Dns()
    nginx: Needed[Nginx] = Field(default_factory=_left_out)
    tls: Tls = Tls()
    compose: Needed[Compose] = Field(default_factory=_left_out)
    deploy: Deploy = Deploy()
    registry: Registry = Registry()
    health: Needed[Health] = Field(default_factory=_left_out)
    realtime: Realtime = Realtime()
    sign_in: SignIn | None = None
    api: Api = Api()
    pages: Pages = Pages()
    postgres: Needed[Postgres] = Field(default_factory=_left_out)
    database_schema: DatabaseSchema = DatabaseSchema()
    port_settings: PortSettings = PortSettings()
    redis: Redis = Redis()
    worker: Worker = Worker()
    storage: Storage | None = None
    gitea: Gitea | None = None
    website: Website | None = None
    documenso: Documenso | None = None
    logs: Logs = Logs()
    watch: Watch = Watch()

    if not TYPE_CHECKING:

        def __getattribute__(self, name: str) -> Any:  # noqa: ANN401 - any field's
            """Return an attribute.

            Raises:
                UnavailableError: it is a section that the file leaves out and the asker needs.
            """
            value = super().__getattribute__(name)
            if value is None and name in NEEDED:
                raise UnavailableError(f"the target file has no [{name}]", f"describe it there: [{name}]")
            return value

    def has(self, name: str) -> bool:
        """Tell whether the file has a section, by its key."""
        return self.__dict__.get(name) is not None

    @model_validator(mode="after")
    def _something_is_described(self) -> Target:
        missing = [name for name in NEEDED if not self.has(name)]
        if missing and not self.documenso:
            listed = ", ".join(f"[{name}]" for name in missing)
            raise ValueError(f"it has no {listed}; only a target that has [documenso] can do without")
        return self

    @model_validator(mode="after")
    def _assumed_keys_exist(self) -> Target:
        wrong = [key for key in self.assumed if not _has(self, key.split("."))]
        if wrong:
            raise ValueError(f"assumed: no such key: {', '.join(wrong)}")
        return self

    @model_validator(mode="after")
    def _a_rehearsal_is_on_this_machine(self) -> Target:
        public = [each for name, each in self.sites.items() if name != "gitea"]
        places = [place for each in public for place in (each.http, each.https)]
        if self.has("server"):
            places.append(self.server.endpoint)
        outside = [place.address for place in places if not _is_loopback(place.address)]
        if self.rehearsal and outside:
            raise ValueError(
                f"rehearsal: {outside[0]} is no loopback address; everything is approved on a rehearsal"
            )
        return self

    @model_validator(mode="after")
    def _one_service_of_each_kind(self) -> Target:
        for kind in ("app", "worker", "postgres", "redis") if self.has("compose") else ():
            count = sum(service.kind == kind for service in self.compose.services)
            if count != 1:
                raise ValueError(f"compose.services: {count} of kind {kind}, exactly one is needed")
        return self

    @property
    def stacks(self) -> tuple[Compose, ...]:
        """The compose projects that are described: the CRM's and Documenso's."""
        own = (self.compose,) if self.has("compose") else ()
        return own + ((self.documenso.compose,) if self.documenso and self.documenso.compose else ())

    @property
    def databases(self) -> tuple[Database, ...]:
        """The databases that are described: the CRM's and Documenso's."""
        own = (self.postgres,) if self.has("postgres") else ()
        return own + ((self.documenso.database,) if self.documenso and self.documenso.database else ())

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """The buckets that are described: the CRM's and Documenso's."""
        own: tuple[Bucket, ...] = (self.storage,) if self.storage else ()
        return own + ((self.documenso.storage,) if self.documenso and self.documenso.storage else ())

    @property
    def declared_names(self) -> frozenset[str]:
        """Every name that the target declares and a fact may hold; none of them is a secret."""
        gitea = self.gitea
        names = {
            *(name for compose in self.stacks for name in _names_of(compose)),
            *((self.server.address, self.server.user) if self.has("server") else ()),
            *(public.name for public in self.sites.values()),
            *self.public_names.values(),
            *self.pages.elsewhere,
            *(name for database in self.databases for name in (database.database, database.user)),
            self.redis.user or "",
            *self.worker.queues,
            *(name for each in self.buckets for name in (each.bucket, each.region, each.endpoint)),
            *((gitea.repository, gitea.branch, *gitea.jobs) if gitea else ()),
            *(self.website.containers if self.website else ()),
            *((self.documenso.image, self.documenso.version) if self.documenso else ()),
        }
        return frozenset(names - {""})

    @property
    def known_as(self) -> str:
        """The public name that people know the judged system by; empty if none is described."""
        return next((self.sites[name].name for name in ("crm", "documenso") if name in self.sites), "")

    @property
    def login(self) -> str:
        """`USER@ADDRESS` of the server; empty if none is described."""
        return f"{self.server.user}@{self.server.address}" if self.has("server") else ""

    @property
    def public_names(self) -> dict[Which, str]:
        """The public names whose addresses are judged."""
        found: dict[Which, str] = {"crm": self.public.name} if self.has("public") else {}
        if self.dns.documenso:
            found["documenso"] = self.dns.documenso
        if self.storage:
            found["storage"] = self.storage.host
        return found

    @property
    def sites(self) -> dict[str, Public]:
        """The public names that requests may be sent to, by what a declared request calls them."""
        found: dict[str, Public] = {"crm": self.public} if self.has("public") else {}
        if self.gitea:
            found["gitea"] = self.gitea
        if self.website:
            found["website"] = self.website.public
        if self.documenso and self.documenso.public:
            found["documenso"] = self.documenso.public
        return found

    def is_assumed(self, key: str) -> bool:
        """Tell whether the plan leaves this value open (`compose.directory`)."""
        return key in self.assumed


def _is_loopback(address: str) -> bool:
    """Tell whether an address is one of this machine's own; a name is none, whatever it looks like."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _names_of(compose: Compose) -> tuple[str, ...]:
    volumes = [volume.name for service in compose.services for volume in service.volumes]
    return (
        compose.project,
        *compose.interpolation_only,
        *volumes,
        *(f"{compose.project}_{volume}" for volume in volumes),
        *(f"{compose.project}-{service.name}-1" for service in compose.services),
        *compose.names,
        *(service.image for service in compose.services),
    )


def _has(section: object, parts: list[str]) -> bool:
    for part in parts:
        if isinstance(section, tuple) and section:
            section = section[0]
        if not isinstance(section, BaseModel) or part not in type(section).model_fields:
            return False
        section = section.__dict__[part]
    return True


def path_of(name: str) -> Path:
    """Return the path of a target given by name or file name.

    Raises:
        UsageError: there is neither such a file nor such a name.
    """
    given = Path(name)
    if given.suffix == ".toml" or "/" in name:
        if not given.is_file():
            raise UsageError(f"--target {name}: there is no such file; give the path of a target file.")
        return given
    path = DIRECTORY / f"{name}.toml"
    if not path.is_file():
        names = ", ".join(sorted(entry.stem for entry in DIRECTORY.glob("*.toml")))
        raise UsageError(f"--target {name}: there is no such target; use one of {names}, or a file.")
    return path


def load(path: Path) -> Target:
    """Read a target file.

    Raises:
        UsageError: it cannot be read or is wrong; every mistake is listed at once.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); give a readable target file.") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not valid TOML ({error}); correct the file.") from error
    try:
        return Target.model_validate(document)
    except ValidationError as error:
        mistakes = [
            f"  {'.'.join(str(part) for part in detail['loc']) or 'file'}: {_plain(detail['msg'])}"
            for detail in error.errors(include_input=False, include_url=False)
        ]
        raise UsageError(
            f"{path}: {len(mistakes)} mistake(s) in the target file; correct them:\n" + "\n".join(mistakes)
        ) from error


_PLAIN = {
    "Field required": "it is required and missing",
    "Extra inputs are not permitted": "there is no such key",
}


def _plain(message: str) -> str:
    return _PLAIN.get(message) or message.removeprefix("Value error, ")
