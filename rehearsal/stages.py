"""The stages of the website's cutover as data: what each sets on the website and on the CRM."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A stage.

    Attributes:
        website: the website's variables that are set.
        crm_sends_mails: the CRM's setting website_intake_email_enabled.
    """

    website: tuple[str, ...] = ()
    crm_sends_mails: bool = False


TOUCHES = (
    "environments",
    "port_settings",
    "visits",
    "deliveries",
    "inquiry",
    "berth_feed",
    "watch",
)
"""The nouns that look different from stage to stage."""

_DUAL_WRITE = ("CRM_INTAKE_URL", "CRM_INTAKE_SECRET")
_MAILS = (*_DUAL_WRITE, "WEBSITE_INQUIRY_EMAILS_DISABLED")
_BERTHS = (*_MAILS, "CRM_BERTHS_ENABLED")

STAGES = (
    Stage(),
    Stage(),
    Stage(_DUAL_WRITE),
    Stage(_MAILS, crm_sends_mails=True),
    Stage(_BERTHS, crm_sends_mails=True),
    Stage(_BERTHS, crm_sends_mails=True),
)
"""By number. At the first two the website is the same, what differs is whether the CRM is ready; the last two
differ by being watched."""
