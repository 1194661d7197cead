"""The stand-ins' configuration: environment variables and nothing else, as in the real containers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.apps.mail import Mailer


@dataclass(frozen=True)
class Settings:
    """The variables the stand-ins read. Secrets are kept out of `repr`.

    Attributes:
        auth_url: better-auth's baseURL; its scheme alone decides how cookies are named.
        intake_secret: blank means unset: the intake then refuses everything with 503.
        production: NODE_ENV is `production`; better-auth limits sign-ins only then.
        ping_interval_ms: Engine.IO's pingInterval; real servers use 25000.
        sign_in_limit: sign-ins per client and ten seconds; better-auth's default is 3.
    """

    host: str
    port: int
    app_url: str
    auth_url: str
    auth_secret: str = field(repr=False)
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    intake_secret: str = field(repr=False)
    documenso_secret: str = field(repr=False)
    mailer: Mailer
    production: bool
    ping_interval_ms: int
    sign_in_limit: int
    knobs: Path | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the variables; every one has a default, so that a stand-in always starts.

        Raises:
            ValueError: PORT, SMTP_PORT or a REHEARSAL_ number is not a number.
        """
        app_url = environment.get("APP_URL", "http://127.0.0.1:3000")
        knobs = environment.get("REHEARSAL_KNOBS", "")
        return cls(
            host=environment.get("HOSTNAME", "127.0.0.1"),
            port=int(environment.get("PORT", "3000")),
            app_url=app_url,
            auth_url=environment.get("BETTER_AUTH_URL", app_url),
            auth_secret=environment.get("BETTER_AUTH_SECRET", ""),
            database_url=environment.get("DATABASE_URL", ""),
            redis_url=environment.get("REDIS_URL", "redis://127.0.0.1:6379"),
            intake_secret=environment.get("WEBSITE_INTAKE_SECRET", "").strip(),
            documenso_secret=environment.get("DOCUMENSO_WEBHOOK_SECRET", "").strip(),
            mailer=Mailer.from_environment(environment, "SMTP_PASSWORD"),
            production=environment.get("NODE_ENV") == "production",
            ping_interval_ms=int(environment.get("REHEARSAL_PING_INTERVAL_MS", "25000")),
            sign_in_limit=int(environment.get("REHEARSAL_SIGN_IN_LIMIT", "3")),
            knobs=Path(knobs) if knobs else None,
        )
