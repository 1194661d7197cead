"""What differs between the releases of Documenso that the stand-in can be.

v1.13.1 and v2.11.0 were recorded. Of v2.0.0 only the migrations were: what its row says is derived from the
first tag whose source has each behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

from rehearsal.documenso.versions import Version

_RECIPIENT = (
    "id",
    "envelopeId",
    "email",
    "name",
    "token",
    "documentDeletedAt",
    "expired",
    "signedAt",
    "authOptions",
    "signingOrder",
    "rejectionReason",
    "role",
    "readStatus",
    "signingStatus",
    "sendStatus",
)

_RECIPIENT_WITH_EXPIRY = (
    *_RECIPIENT[:7],
    "expiresAt",
    "expirationNotifiedAt",
    "sentAt",
    "signedAt",
    "lastReminderSentAt",
    "nextReminderAt",
    *_RECIPIENT[8:],
)

_SETTINGS = (
    "aiFeaturesEnabled",
    "defaultRecipients",
    "delegateDocumentOwnership",
    "envelopeExpirationPeriod",
    "reminderSettings",
    "brandingColors",
    "brandingCss",
)


@dataclass(frozen=True)
class Release:
    """A release; each flag is a behaviour, with the first tag that has it.

    Attributes:
        recipient: the columns of a recipient in the order in which answers show them.
        claim: columns of OrganisationClaim that it asks for and v1.13.1 does not know.
        settings: such columns of both tables of global settings.
        obeys_port: PORT is obeyed; otherwise it listens on 3000 (2.0.0).
        has_v2: `/api/v2` exists beside `/api/v2-beta` (2.0.0).
        fires_by_self_call: an event reaches its webhooks by a request to the server itself (gone in 2.1.0).
        renames_service_users: at boot; without a database it then crashes (2.6.1).
        strict: errors of tokens are told apart, and a signer needs a signature field before `send` (2.5.0).
        own_signer: no default certificate path in production, modern PKCS#12 files are read (2.5.0).
        expires: recipients get an `expiresAt` when a document is sent (2.7.0).
        stored_limits: rate limits are counted in the table RateLimit (2.7.0).
        sweeps: jobs that run every 15 minutes (2.7.0).
        repoints: sealing points the item to a new DocumentData instead of changing the old one (2.8.0).
        blocks_private: webhooks to private and loopback addresses are not sent (2.8.1).
        has_policy: pages come with a Content-Security-Policy (2.10.0).
        attempts: how often a failing job runs.
        counts_retries: whether BackgroundJob.retried says so.
    """

    version: Version
    recipient: tuple[LiteralString, ...] = _RECIPIENT
    claim: tuple[LiteralString, ...] = ()
    settings: tuple[LiteralString, ...] = ()
    obeys_port: bool = True
    has_v2: bool = True
    fires_by_self_call: bool = False
    renames_service_users: bool = False
    strict: bool = False
    own_signer: bool = False
    expires: bool = False
    stored_limits: bool = False
    sweeps: bool = False
    repoints: bool = False
    blocks_private: bool = False
    has_policy: bool = False
    attempts: int = 3
    counts_retries: bool = False


RELEASES: dict[str, Release] = {
    release.version: release
    for release in (
        Release("v1.13.1", obeys_port=False, has_v2=False, fires_by_self_call=True),
        Release("v2.0.0", claim=("envelopeItemCount",), fires_by_self_call=True),
        Release(
            "v2.11.0",
            recipient=_RECIPIENT_WITH_EXPIRY,
            claim=("envelopeItemCount",),
            settings=_SETTINGS,
            renames_service_users=True,
            strict=True,
            own_signer=True,
            expires=True,
            stored_limits=True,
            sweeps=True,
            repoints=True,
            blocks_private=True,
            has_policy=True,
            attempts=4,
            counts_retries=True,
        ),
    )
}
"""Every release the stand-in can be, by version."""
