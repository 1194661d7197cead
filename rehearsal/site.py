"""One rehearsal's place: its directory, addresses, accounts and generated credentials."""

from __future__ import annotations

import os
import secrets
import socket
import string
from dataclasses import dataclass, field
from pathlib import Path

HOSTNAME = "crm.portnimara.test"
REGISTRY_NAME = "registry.portnimara.test"
STORAGE_NAME = "s3.portnimara.test"
GITEA_NAME = "code.portnimara.test"
DOCUMENSO_NAME = "signatures.portnimara.test"
WEBSITE_NAME = "portnimara.test"
NOCODB_NAME = "nocodb.portnimara.test"
PROJECT = "pn-crm"
WEBSITE = "website"
APP = "crm-app"
WORKER = "crm-worker"

_ADDRESSES = {
    "public": 10,
    "server": 20,
    "crm-app": 31,
    "crm-worker": 32,
    "postgres": 33,
    "redis": 34,
    "s3": 41,
    "registry": 42,
    "gitea": 43,
    "resolver": 53,
    "website": 51,
    "outside": 52,
    "documenso": 61,
    "database": 62,
}

_ALPHABET = string.ascii_letters + string.digits


def _secret(length: int = 40) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _documenso_token() -> str:
    """Return what Documenso gives as an API token: `api_` and 16 of 0-9a-z."""
    return "api_" + "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(16))


def _token() -> str:
    """Return what Gitea gives as an access token."""
    return secrets.token_hex(20)


@dataclass(frozen=True)
class Account:
    """An account of the rehearsal's server; it exists in its private mount namespace only."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Credentials:
    """Everything secret, generated at boot. Never printed; `repr` shows nothing."""

    root_password: str = field(default_factory=_secret, repr=False)
    login_password: str = field(default_factory=_secret, repr=False)
    postgres_password: str = field(default_factory=_secret, repr=False)
    postgres_reader_password: str = field(default_factory=_secret, repr=False)
    redis_password: str = field(default_factory=_secret, repr=False)
    intake_secret: str = field(default_factory=_secret, repr=False)
    auth_secret: str = field(default_factory=_secret, repr=False)
    documenso_database_password: str = field(default_factory=_secret, repr=False)
    documenso_reader_password: str = field(default_factory=_secret, repr=False)
    documenso_auth_secret: str = field(default_factory=_secret, repr=False)
    documenso_encryption_key: str = field(default_factory=_secret, repr=False)
    documenso_secondary_key: str = field(default_factory=_secret, repr=False)
    documenso_passphrase: str = field(default_factory=_secret, repr=False)
    documenso_password: str = field(default_factory=_secret, repr=False)
    documenso_webhook_secret: str = field(default_factory=_secret, repr=False)
    documenso_api_key: str = field(default_factory=_documenso_token, repr=False)
    smtp_password: str = field(default_factory=_secret, repr=False)
    admin_password: str = field(default_factory=_secret, repr=False)
    nocodb_token: str = field(default_factory=_secret, repr=False)
    website_smtp_password: str = field(default_factory=_secret, repr=False)
    recaptcha_secret: str = field(default_factory=_secret, repr=False)
    recaptcha_site_key: str = field(default_factory=_secret, repr=False)
    recaptcha_token: str = field(default_factory=_secret, repr=False)
    s3_access_key: str = field(default_factory=lambda: _secret(20), repr=False)
    s3_secret_key: str = field(default_factory=_secret, repr=False)
    gitea_token: str = field(default_factory=_token, repr=False)
    gitea_password: str = field(default_factory=_secret, repr=False)
    registry_token: str = field(default_factory=_token, repr=False)
    server_registry_token: str = field(default_factory=_token, repr=False)
    admin_email: str = "admin@portnimara.test"


@dataclass(frozen=True)
class Site:
    """Where a rehearsal lives.

    Attributes:
        root: its temporary directory; everything it writes is below.
        net: the first three numbers of its loopback addresses, `127.A.B`.
        as_root: True if servers run under own accounts in a private mount namespace; False if
            everything runs as the ordinary user who started it.
    """

    root: Path
    net: str
    as_root: bool
    credentials: Credentials

    @property
    def host(self) -> Path:
        """The stand-in of the server's file tree: etc/nginx, etc/letsencrypt, opt/pn-crm, bin, …."""
        return self.root / "host"

    @property
    def secrets(self) -> Path:
        """Files with secrets that the target file refers to (0700)."""
        return self.root / "secrets"

    @property
    def state(self) -> Path:
        """Sockets and state of the supervisor."""
        return self.root / "state"

    @property
    def containers(self) -> Path:
        """One directory per container: its log and its writable files."""
        return self.root / "containers"

    @property
    def nginx(self) -> Path:
        """What /etc/nginx is on a real server."""
        return self.host / "etc" / "nginx"

    @property
    def letsencrypt(self) -> Path:
        """What /etc/letsencrypt is on a real server."""
        return self.host / "etc" / "letsencrypt"

    @property
    def engine(self) -> Path:
        """The container engine's data root, /var/lib/docker on a real server."""
        return self.host / "var" / "lib" / "docker"

    @property
    def deploy(self) -> Path:
        """The deploy directory with compose file and .env."""
        return self.project(PROJECT)

    @property
    def staging(self) -> Path:
        """Where both files would wait before the first deploy; it does not exist."""
        return self.host / "home" / "staging"

    def project(self, name: str) -> Path:
        """Return the directory of a compose project."""
        return self.host / "opt" / name

    @property
    def ca_file(self) -> Path:
        """The rehearsal's own certificate authority (public part)."""
        return self.root / "pki" / "root.pem"

    def address(self, role: str) -> str:
        """Return the loopback address of `public`, `server` or a container."""
        return f"{self.net}.{_ADDRESSES[role]}"

    def account(self, name: str) -> Account:
        """Return the account that `name` (login, postgres, nginx, app, …) runs under.

        For an ordinary user it is always that user.
        """
        if not self.as_root:
            return Account("", os.getuid(), os.getgid())
        return ACCOUNTS[name]

    def knobs(self, service: str) -> Path:
        """Return the file by which faults change a stand-in's behaviour while it runs (JSON object)."""
        return self.containers / service / "knobs.json"

    @property
    def http_port(self) -> int:
        """The public port of plain HTTP; below 1024 for root only."""
        return 80 if self.as_root else 8080

    @property
    def https_port(self) -> int:
        """The public port of HTTPS."""
        return 443 if self.as_root else 8443


ACCOUNTS = {
    "root": Account("root", 0, 0),
    "login": Account("stefan", 61000, 61000),
    "postgres": Account("postgres", 61070, 61070),
    "redis": Account("redis", 61071, 61071),
    "nginx": Account("www-data", 61033, 61033),
    "app": Account("nodejs", 61001, 61001),
    "store": Account("store", 61072, 61072),
    "sshd": Account("sshd", 61074, 61074),
}


def free_net() -> str:
    """Return three numbers `127.A.B` whose addresses this machine can bind and nobody uses.

    Raises:
        OSError: only 127.0.0.1 answers; the message says how to add addresses.
    """
    for _ in range(64):
        net = f"127.{64 + secrets.randbelow(128)}.{1 + secrets.randbelow(254)}"
        try:
            with socket.socket() as probe:
                probe.bind((f"{net}.10", 0))
        except OSError:
            continue
        return net
    raise OSError(
        "no loopback address besides 127.0.0.1 can be bound; add some, "
        "e.g. `sudo ifconfig lo0 alias 127.64.1.10` for each address (macOS)"
    )
