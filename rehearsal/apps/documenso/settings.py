"""The stand-in's configuration: Documenso's own variables, and those that make it part of a rehearsal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from rehearsal.apps.documenso.release import RELEASES, Release
from rehearsal.apps.mail import Mailer
from rehearsal.apps.web import Outgoing

_PORT = 3000
_DEFAULT_CERTIFICATE = "/opt/documenso/cert.p12"
_EXAMPLE_CERTIFICATE = "example/cert.p12"


@dataclass(frozen=True)
class DatabaseAddress:
    """NEXT_PRIVATE_DATABASE_URL, taken apart; parameters that only Prisma knows are left out.

    Attributes:
        named: host and port as the variable has them.
        host, port: where that really is.
    """

    named: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    name: str

    @classmethod
    def parse(cls, url: str, outgoing: Outgoing) -> DatabaseAddress:
        """Read the address.

        Raises:
            ValueError: its port is not a number.
        """
        parts = urlsplit(url)
        host, port = parts.hostname or "localhost", parts.port or 5432
        real_host, real_port = outgoing.place(host, port)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(f"{host}:{port}", real_host, real_port, user, password, unquote(parts.path.lstrip("/")))


@dataclass(frozen=True)
class Bucket:
    """Where uploads go: NEXT_PUBLIC_UPLOAD_TRANSPORT and NEXT_PRIVATE_UPLOAD_*."""

    transport: str
    endpoint: str
    path_style: bool
    region: str
    name: str
    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class Certificate:
    """What documents are sealed with: NEXT_PRIVATE_SIGNING_*.

    Attributes:
        contents: the PKCS#12 file in base64; wins over the path.
        path: as the variable has it; empty if it is unset.
        root: the directory that is the container's `/`.
        production: decides which path is the default.
    """

    transport: str
    passphrase: str = field(repr=False)
    contents: str = field(repr=False)
    path: str
    legacy_subfilter: bool
    root: Path
    production: bool

    def file(self) -> Path:
        """Return the file that health looks at; sealing in later releases has no default."""
        default = _DEFAULT_CERTIFICATE if self.production else _EXAMPLE_CERTIFICATE
        return self.root / (self.path or default).lstrip("/")

    def available(self) -> bool:
        """Tell what health thinks: unless the transport is `local` it does not look, and it never parses."""
        if self.transport != "local" or self.contents:
            return True
        try:
            with self.file().open("rb") as file:
                return bool(file.read(1))
        except OSError:
            return False


@dataclass(frozen=True)
class Settings:
    """The variables the stand-in reads. Secrets are kept out of `repr`.

    Attributes:
        url: NEXT_PUBLIC_WEBAPP_URL, without a final slash.
        internal_url: where the server believes to reach itself.
        secret: NEXTAUTH_SECRET.
        production: NODE_ENV is `production`.
        bypass_hosts: NEXT_PRIVATE_WEBHOOK_SSRF_BYPASS_HOSTS.
        private_names: REHEARSAL_PRIVATE_NAMES, names that lead to private addresses where this server is; any
            other name of REHEARSAL_CONNECT counts as public.
        telemetry: whether it tells its makers that it exists; here only the row of that is written.
    """

    release: Release
    host: str
    port: int
    url: str
    internal_url: str
    secret: str = field(repr=False)
    production: bool
    database: DatabaseAddress
    direct_database: DatabaseAddress
    bucket: Bucket
    certificate: Certificate
    mailer: Mailer
    sender: str
    bypass_hosts: frozenset[str]
    private_names: frozenset[str]
    unlimited: bool
    telemetry: bool
    outgoing: Outgoing
    knobs: Path | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the variables. REHEARSAL_DOCUMENSO_VERSION says which release this is.

        Raises:
            KeyError: there is no such release.
            ValueError: a port is not a number.
        """

        def text(name: str, default: str = "") -> str:
            return environment.get(name) or default

        outgoing = Outgoing.from_environment(environment)
        release = RELEASES[text("REHEARSAL_DOCUMENSO_VERSION", "v1.13.1")]
        url = text("NEXT_PUBLIC_WEBAPP_URL", f"http://localhost:{_PORT}").rstrip("/")
        database = text("NEXT_PRIVATE_DATABASE_URL")
        production = text("NODE_ENV") == "production"
        knobs = text("REHEARSAL_KNOBS")
        return cls(
            release=release,
            host=text("HOSTNAME", "127.0.0.1"),
            port=int(text("PORT", str(_PORT))) if release.obeys_port else _PORT,
            url=url,
            internal_url=text("NEXT_PRIVATE_INTERNAL_WEBAPP_URL", url).rstrip("/"),
            secret=text("NEXTAUTH_SECRET"),
            production=production,
            database=DatabaseAddress.parse(database, outgoing),
            direct_database=DatabaseAddress.parse(
                text("NEXT_PRIVATE_DIRECT_DATABASE_URL", database), outgoing
            ),
            bucket=Bucket(
                transport=text("NEXT_PUBLIC_UPLOAD_TRANSPORT", "database"),
                endpoint=text("NEXT_PRIVATE_UPLOAD_ENDPOINT").rstrip("/"),
                path_style=text("NEXT_PRIVATE_UPLOAD_FORCE_PATH_STYLE") == "true",
                region=text("NEXT_PRIVATE_UPLOAD_REGION", "us-east-1"),
                name=text("NEXT_PRIVATE_UPLOAD_BUCKET"),
                access_key=text("NEXT_PRIVATE_UPLOAD_ACCESS_KEY_ID"),
                secret_key=text("NEXT_PRIVATE_UPLOAD_SECRET_ACCESS_KEY"),
            ),
            certificate=Certificate(
                transport=text("NEXT_PRIVATE_SIGNING_TRANSPORT"),
                passphrase=text("NEXT_PRIVATE_SIGNING_PASSPHRASE"),
                contents=text("NEXT_PRIVATE_SIGNING_LOCAL_FILE_CONTENTS"),
                path=text("NEXT_PRIVATE_SIGNING_LOCAL_FILE_PATH"),
                legacy_subfilter=text("NEXT_PRIVATE_USE_LEGACY_SIGNING_SUBFILTER") == "true",
                root=Path(text("REHEARSAL_ROOT", "/")),
                production=production,
            ),
            mailer=Mailer(
                host=text("NEXT_PRIVATE_SMTP_HOST", "127.0.0.1"),
                port=int(text("NEXT_PRIVATE_SMTP_PORT", "587")),
                user=text("NEXT_PRIVATE_SMTP_USERNAME"),
                password=text("NEXT_PRIVATE_SMTP_PASSWORD"),
                outgoing=outgoing,
                sender=text("NEXT_PRIVATE_SMTP_FROM_ADDRESS", "noreply@documenso.com"),
            ),
            sender=text("NEXT_PRIVATE_SMTP_FROM_NAME", "Documenso"),
            bypass_hosts=_names(text("NEXT_PRIVATE_WEBHOOK_SSRF_BYPASS_HOSTS")),
            private_names=_names(text("REHEARSAL_PRIVATE_NAMES")),
            unlimited=text("DANGEROUS_BYPASS_RATE_LIMITS") == "true",
            telemetry=not (
                text("DOCUMENSO_DISABLE_TELEMETRY") == "true" or text("NEXT_PRIVATE_DOCUMENSO_LICENSE_KEY")
            ),
            outgoing=outgoing,
            knobs=Path(knobs) if knobs else None,
        )

    @property
    def domain(self) -> str:
        """Host of the public address, which cookies are for."""
        return urlsplit(self.url).hostname or ""

    @property
    def secure_cookies(self) -> bool:
        """Both are needed: NODE_ENV=production and an https address."""
        return self.production and self.url.startswith("https://")


def _names(text: str) -> frozenset[str]:
    return frozenset(name for part in text.split(",") if (name := part.strip().lower()))
