"""The target file: what is judged and where it is. It holds no secret, only references to secrets."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from acceptance.errors import UsageError
from acceptance.sections.base import (
    AbsolutePath,
    Endpoint,
    Expression,
    Port,
    RootedPath,
    SecretReference,
    Section,
)
from acceptance.sections.deploy import Deploy
from acceptance.sections.dns import Dns, Which
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


class PublishedPort(Section):
    """A container port that must be reachable on the host."""

    container: Port
    host: Port


class Volume(Section):
    """A named volume that must be mounted: its name in the compose file and where."""

    name: str
    destination: AbsolutePath


class Service(Section):
    """One service of the compose file.

    Attributes:
        image: the reference that must run.
        built: True if our CI builds it; then its digest is compared with the registry's, and all
            built images must come from one commit.
        env_file: True if it gets every variable of the .env file.
        kind: what its log looks like.
    """

    name: str
    image: str
    kind: Literal["app", "worker", "postgres", "redis", "other"] = "other"
    built: bool = False
    env_file: bool = False
    ports: tuple[PublishedPort, ...] = ()
    volumes: tuple[Volume, ...] = ()


class Compose(Section):
    """The deployed stack.

    Attributes:
        interpolation_only: variables of the .env file that only the compose file itself uses.
        commit: the commit that is deployed, if the operator wants it compared.
    """

    project: str
    directory: AbsolutePath
    env_file: str = ".env"
    interpolation_only: tuple[str, ...] = ()
    commit: str | None = None
    services: tuple[Service, ...] = Field(min_length=1)

    @property
    def env_path(self) -> str:
        """The .env file's absolute path."""
        return f"{self.directory}/{self.env_file}"

    @property
    def names(self) -> tuple[str, ...]:
        """The services' names."""
        return tuple(service.name for service in self.services)

    @property
    def app_port(self) -> int | None:
        """The host port on which the application is published; None if the target declares none."""
        ports = [port.host for service in self.services if service.kind == "app" for port in service.ports]
        return ports[0] if ports else None

    @property
    def built_names(self) -> tuple[str, ...]:
        """The names of the services whose images our CI builds."""
        return tuple(service.name for service in self.services if service.built)

    @property
    def published(self) -> tuple[str, ...]:
        """The declared port mappings, for people."""
        return tuple(
            f"{service.name} {port.host}→{port.container}"
            for service in self.services
            for port in service.ports
        )

    @property
    def mounted(self) -> tuple[str, ...]:
        """The declared volumes and where they must be mounted, for people."""
        return tuple(
            f"{service.name} {volume.name} on {volume.destination}"
            for service in self.services
            for volume in service.volumes
        )

    def of_kind(self, kind: str) -> Service:
        """Return the service of that kind.

        Raises:
            KeyError: none is declared; the target file's validation prevents it.
        """
        for service in self.services:
            if service.kind == kind:
                return service
        raise KeyError(kind)


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


class Postgres(Section):
    """The CRM's database, reached through an SSH tunnel to its container.

    Attributes:
        major: the PostgreSQL major the plan declares.
        user: a role that cannot write, where there is one.
    """

    major: int = 16
    port: Port = 5432
    database: str
    user: str
    password: SecretReference


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


class Storage(Section):
    """The S3 storage of the CRM's files, asked by the operator's machine.

    Attributes:
        endpoint: its address, `https://` and nothing behind the name or port.
        connect: where that really is today.
        access_key, secret_key: the operator's; best are keys that can only read.
        backends: values of the setting that mean this storage.
        sample: how many files are looked up, if there are more.
        seed: draws the same files as a former run; by default each run draws others.
        timeout_s: for connecting, and for each wait for an answer.
    """

    endpoint: str = Field(pattern=r"^https://[A-Za-z0-9.-]+(:[0-9]+)?$")
    connect: Endpoint | None = None
    ca_file: str | None = None
    region: str
    bucket: str
    access_key: SecretReference
    secret_key: SecretReference
    backends: tuple[str, ...] = Field(default=("s3",), min_length=1)
    sample: int = Field(default=200, ge=200)
    seed: str | None = None
    timeout_s: float = Field(default=10, gt=0)
    setting: StorageSetting = StorageSetting()
    files: StorageFiles = StorageFiles()
    variables: StorageVariables = StorageVariables()

    @property
    def host(self) -> str:
        """The endpoint's name, without its port."""
        return self.endpoint.removeprefix("https://").partition(":")[0]


class Logs(Section):
    """How much of a container's log may be fetched, in bytes after compression on the server."""

    max_bytes: int = Field(default=64 * 1024 * 1024, gt=0, le=LONGEST_LOG)
    storm: int = Field(default=20, description="refused connections that make a storm")


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
    server: Server
    host: Host = Host()
    outside: Outside = Outside()
    public: Public
    dns: Dns = Dns()
    nginx: Nginx
    tls: Tls = Tls()
    compose: Compose
    deploy: Deploy = Deploy()
    registry: Registry = Registry()
    health: Health
    realtime: Realtime = Realtime()
    sign_in: SignIn | None = None
    api: Api = Api()
    pages: Pages = Pages()
    postgres: Postgres
    database_schema: DatabaseSchema = DatabaseSchema()
    port_settings: PortSettings = PortSettings()
    redis: Redis = Redis()
    worker: Worker = Worker()
    storage: Storage | None = None
    gitea: Gitea | None = None
    website: Website | None = None
    logs: Logs = Logs()
    watch: Watch = Watch()

    @model_validator(mode="after")
    def _assumed_keys_exist(self) -> Target:
        wrong = [key for key in self.assumed if not _has(self, key.split("."))]
        if wrong:
            raise ValueError(f"assumed: no such key: {', '.join(wrong)}")
        return self

    @model_validator(mode="after")
    def _a_rehearsal_is_on_this_machine(self) -> Target:
        public = [self.public, *([self.website.public] if self.website else [])]
        places = [self.server.endpoint, *(each.http for each in public), *(each.https for each in public)]
        outside = [place.address for place in places if not place.address.startswith("127.")]
        if self.rehearsal and outside:
            raise ValueError(
                f"rehearsal: {outside[0]} is no loopback address; everything is approved on a rehearsal"
            )
        return self

    @model_validator(mode="after")
    def _one_service_of_each_kind(self) -> Target:
        for kind in ("app", "worker", "postgres", "redis"):
            count = sum(service.kind == kind for service in self.compose.services)
            if count != 1:
                raise ValueError(f"compose.services: {count} of kind {kind}, exactly one is needed")
        return self

    @property
    def declared_names(self) -> frozenset[str]:
        """Every name that the target declares and a fact may hold; none of them is a secret."""
        compose, storage, gitea = self.compose, self.storage, self.gitea
        names = {
            compose.project,
            *compose.interpolation_only,
            *(volume.name for service in compose.services for volume in service.volumes),
            *(
                f"{compose.project}_{volume.name}"
                for service in compose.services
                for volume in service.volumes
            ),
            *(f"{compose.project}-{service.name}-1" for service in compose.services),
            *compose.names,
            *(service.image for service in compose.services),
            self.server.address,
            self.server.user,
            *(public.name for public in self.sites.values()),
            *self.public_names.values(),
            *self.pages.elsewhere,
            self.postgres.database,
            self.postgres.user,
            self.redis.user or "",
            *self.worker.queues,
            *((storage.bucket, storage.region, storage.endpoint) if storage else ()),
            *((gitea.repository, gitea.branch, *gitea.jobs) if gitea else ()),
            *(self.website.containers if self.website else ()),
        }
        return frozenset(names - {""})

    @property
    def public_names(self) -> dict[Which, str]:
        """The public names whose addresses are judged."""
        found: dict[Which, str] = {"crm": self.public.name}
        if self.dns.documenso:
            found["documenso"] = self.dns.documenso
        if self.storage:
            found["storage"] = self.storage.host
        return found

    @property
    def sites(self) -> dict[str, Public]:
        """The public names that requests may be sent to, by what a declared request calls them."""
        found: dict[str, Public] = {"crm": self.public}
        if self.gitea:
            found["gitea"] = self.gitea
        if self.website:
            found["website"] = self.website.public
        return found

    def is_assumed(self, key: str) -> bool:
        """Tell whether the plan leaves this value open (`compose.directory`)."""
        return key in self.assumed


def _has(section: object, parts: list[str]) -> bool:
    for part in parts:
        if isinstance(section, tuple) and section:
            section = section[0]
        if not isinstance(section, BaseModel) or part not in type(section).model_fields:
            return False
        section = getattr(section, part)
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
