"""The website's configuration: environment variables, each a no-op when unset or blank."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

KINDS = {"berth": "BERTHS", "residence": "RESIDENCES", "contact": "CONTACT"}
"""What an inquiry may be about, and how its variable of recipients ends."""

_ON = frozenset({"1", "true", "yes"})


@dataclass(frozen=True)
class Settings:
    """The variables the website reads. Secrets are kept out of `repr`.

    Attributes:
        intake_url, intake_secret: the CRM's; inquiries are delivered there if both are set.
        berths_enabled: the list of berths is the CRM's, if its address is set too.
        mails_disabled: the website sends neither confirmation nor alert.
        recipients: of the alerts, by kind of inquiry.
        siteverify: where reCAPTCHA tokens are verified.
    """

    host: str
    port: int
    nocodb_url: str
    nocodb_token: str = field(repr=False)
    recaptcha_secret: str = field(repr=False)
    recaptcha_site_key: str
    recipients: Mapping[str, tuple[str, ...]]
    intake_url: str
    intake_secret: str = field(repr=False)
    berths_enabled: bool
    mails_disabled: bool
    siteverify: str
    knobs: Path | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the variables; every one has a default, so that the stand-in always starts.

        A file that REHEARSAL_BAKED names holds variables that are in force though the container does not have
        them: what a build leaves in Nuxt's runtime configuration.

        Raises:
            ValueError: PORT is not a number, or the file is not JSON.
        """
        baked = Path(environment.get("REHEARSAL_BAKED", ""))
        if baked.is_file():
            environment = {**environment, **json.loads(baked.read_text(encoding="utf-8"))}

        def text(name: str, default: str = "") -> str:
            return environment.get(name, "").strip() or default

        knobs = text("REHEARSAL_KNOBS")
        return cls(
            host=text("HOST", "127.0.0.1"),
            port=int(text("PORT", "3000")),
            nocodb_url=text("NOCODB_URL"),
            nocodb_token=text("NOCODB_TOKEN"),
            recaptcha_secret=text("RECAPTCHA_SECRET"),
            recaptcha_site_key=text("NUXT_PUBLIC_RECAPTCHA_SITE_KEY"),
            recipients={kind: _addresses(text(f"ALERT_RECIPIENTS_{end}")) for kind, end in KINDS.items()},
            intake_url=text("CRM_INTAKE_URL"),
            intake_secret=text("CRM_INTAKE_SECRET"),
            berths_enabled=text("CRM_BERTHS_ENABLED").lower() in _ON,
            mails_disabled=text("WEBSITE_INQUIRY_EMAILS_DISABLED").lower() in _ON,
            siteverify=text("REHEARSAL_SITEVERIFY", "https://www.google.com/recaptcha/api/siteverify"),
            knobs=Path(knobs) if knobs else None,
        )

    @property
    def delivers(self) -> bool:
        """True if inquiries go to the CRM as well."""
        return bool(self.intake_url and self.intake_secret)

    @property
    def reads_crm(self) -> bool:
        """True if the list of berths is the CRM's."""
        return self.berths_enabled and bool(self.intake_url)


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(address for part in text.split(",") if (address := part.strip()))
