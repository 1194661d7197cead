"""Who works with Documenso: users, organisations, teams; their settings, tokens, webhooks and folders."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rehearsal.apps.crm.branding import LOGO
from rehearsal.documenso.rows import Ids, Rows

SERVICE_USERS = ("serviceaccount@documenso.com", "deleted-account@documenso.com")
"""The accounts that every installation has; from v2.6.1 on they are renamed at boot."""
ADMIN, CRM_USER, DISABLED = 3, 6, 7
"""Ids of users: who signs in, the CRM's integration, and somebody who has left."""
SALES, LEGAL = 2, 3
"""Ids of teams: the one of the CRM's token, and one that this token does not see."""
FOLDERS = ("folder_contracts", "folder_archive")
"""Ids of the folders of the CRM's team; the second lies in the first."""
EVENTS = ("CREATED", "SENT", "OPENED", "SIGNED", "COMPLETED", "REJECTED", "CANCELLED")
"""Every event of v1.13.1, without its prefix."""
MAILS = dict.fromkeys(
    (
        "documentDeleted",
        "documentPending",
        "recipientSigned",
        "recipientRemoved",
        "documentCompleted",
        "ownerDocumentCompleted",
        "recipientSigningRequest",
    ),
    True,
)
"""Which mails are sent, as both settings and documents say it."""

_PEOPLE = {
    1: "Service Account",
    2: "Deleted Account",
    ADMIN: "Stefan Ahrens",
    4: "Jörg Müller-Lüdenscheidt",
    5: "Anneliese Groß",
    CRM_USER: "CRM Integration",
    DISABLED: "Zoë Łukasiewicz",
}
_ADDRESSES = {
    4: "joerg.mueller@portnimara.test",
    5: "a.gross@portnimara.test",
    DISABLED: "zoe@portnimara.test",
}
_STAFF = (ADMIN, 4, 5, CRM_USER, DISABLED)
_PLANS = ("free", "individual", "team", "platform", "enterprise", "earlyAdopter")
_ROLES = ("ADMIN", "MANAGER", "MEMBER")


@dataclass(frozen=True)
class Crm:
    """What the CRM's integration has in Documenso.

    Attributes:
        token: its API token in clear; the database holds the SHA-512.
        webhook_url: where events go.
        webhook_secret: what deliveries carry in X-Documenso-Secret.
        team: the name of its team.
        team_url: the team's part of addresses.
        email: of the user behind the token.
    """

    token: str = field(repr=False)
    webhook_url: str
    webhook_secret: str = field(repr=False)
    team: str = "Port Nimara Vertrieb"
    team_url: str = "port-nimara-vertrieb"
    email: str = "crm-bot@portnimara.test"


@dataclass(frozen=True)
class Login:
    """With what the administrator signs in."""

    email: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Accounts:
    """Adds the rows of everything that is no document.

    Attributes:
        moment: when the newest of the rows are from.
        columns: columns that rows of plans need beyond those of v1.13.1.
    """

    rows: Rows
    ids: Ids
    moment: datetime
    columns: Mapping[str, object]
    crm: Crm
    login: Login

    @property
    def webhook(self) -> str:
        """The id of the CRM's webhook."""
        return "cmcrmwebhook0000000000001"

    @property
    def logo(self) -> tuple[str, bytes]:
        """The key and the content of the organisation's logo."""
        return "l0g0p0rtn1m4/port-nimara-logo.png", LOGO

    def add(self) -> None:
        """Add them all."""
        self._add_people()
        self._add_plans()
        stored = json.dumps({"type": "S3_PATH", "data": self.logo[0]})
        inline = json.dumps({"type": "BYTES_64", "data": b64encode(LOGO).decode()})
        port = self._add_organisation("Port Nimara", "port-nimara", _STAFF, logo=stored)
        self._add_team(SALES, self.crm.team, self.crm.team_url, port)
        self._add_team(LEGAL, "Port Nimara Recht & Steuern", "port-nimara-recht", port, logo=inline)
        for user in _PEOPLE:
            own = self._add_organisation("Personal Organisation", f"personal-{user}", (user,))
            self._add_team(1 if user == 1 else user + 2, "Personal Team", f"personal-{user}", own)
        self._add_tokens()
        self._add_webhooks()
        self._add_folders()
        banner = {"content": "", "bgColor": "#000000", "textColor": "#ffffff"}
        self.rows.add(
            "SiteSettings", id="site.banner", enabled=False, data=banner, lastModifiedAt=self._since
        )

    @property
    def _since(self) -> datetime:
        return self.moment - timedelta(days=700)

    def _add_people(self) -> None:
        self.rows.add("AvatarImage", id="avatar_stefan", bytes=b64encode(LOGO).decode())
        known = {
            **dict(zip((1, 2), SERVICE_USERS, strict=True)),
            **_ADDRESSES,
            ADMIN: self.login.email,
            CRM_USER: self.crm.email,
        }
        for user, name in _PEOPLE.items():
            self.rows.add(
                "User",
                id=user,
                name=name,
                email=known[user],
                emailVerified=self._since,
                roles=["USER", "ADMIN"] if user == ADMIN else ["USER"],
                createdAt=self._since,
                updatedAt=self._since,
                lastSignedIn=self.moment - timedelta(days=user),
                avatarImageId="avatar_stefan" if user == ADMIN else None,
                disabled=user == DISABLED,
            )
        for number in range(12):
            self.rows.add(
                "UserSecurityAuditLog",
                userId=ADMIN + number % 2,
                createdAt=self.moment - timedelta(days=2 * number + 1),
                type="SIGN_IN_FAIL" if number % 5 == 4 else "SIGN_IN",
                userAgent="Mozilla/5.0",
                ipAddress="192.0.2.17",
            )

    def _add_plans(self) -> None:
        for plan in _PLANS:
            self.rows.add(
                "SubscriptionClaim",
                id=plan,
                createdAt=self._since,
                updatedAt=self._since,
                name=plan.capitalize(),
                locked=True,
                teamCount=1,
                memberCount=1,
                flags={"unlimitedDocuments": plan != "free"},
                **self.columns,
            )

    def _add_organisation(self, name: str, url: str, members: Iterable[int], *, logo: str = "") -> str:
        """Add an organisation with its settings and members, the first of whom owns it; return its id."""
        organisation = self.ids.prefixed("org")
        claim, settings, portal = (
            self.ids.prefixed(kind) for kind in ("org_claim", "org_setting", "org_sso")
        )
        owner, *others = members
        times = {"createdAt": self._since, "updatedAt": self._since}
        self.rows.add(
            "OrganisationClaim",
            id=claim,
            **times,
            originalSubscriptionClaimId="free",
            teamCount=0,
            memberCount=0,
            flags={"unlimitedDocuments": True},
            **self.columns,
        )
        self.rows.add(
            "OrganisationGlobalSettings",
            id=settings,
            documentLanguage="de",
            brandingEnabled=bool(logo),
            brandingLogo=logo,
            emailDocumentSettings=MAILS,
            documentTimezone="Europe/Berlin",
        )
        self.rows.add("OrganisationAuthenticationPortal", id=portal)
        self.rows.add(
            "Organisation",
            id=organisation,
            **times,
            type="ORGANISATION" if others else "PERSONAL",
            name=name,
            url=url,
            ownerUserId=owner,
            organisationClaimId=claim,
            organisationGlobalSettingsId=settings,
            organisationAuthenticationPortalId=portal,
        )
        groups = {role: self._add_group(organisation, "INTERNAL_ORGANISATION", role) for role in _ROLES}
        for user in (owner, *others):
            member = self.ids.prefixed("member")
            self.rows.add("OrganisationMember", id=member, **times, userId=user, organisationId=organisation)
            group = groups["ADMIN" if user == owner else "MEMBER"]
            self.rows.add(
                "OrganisationGroupMember",
                id=self.ids.prefixed("group_member"),
                groupId=group,
                organisationMemberId=member,
            )
        return organisation

    def _add_team(
        self, team: int, name: str, url: str, organisation: str, *, logo: str | None = None
    ) -> None:
        settings = self.ids.prefixed("team_setting")
        self.rows.add(
            "TeamGlobalSettings", id=settings, brandingEnabled=bool(logo) or None, brandingLogo=logo
        )
        self.rows.add(
            "Team",
            id=team,
            name=name,
            url=url,
            createdAt=self._since,
            organisationId=organisation,
            teamGlobalSettingsId=settings,
        )
        self.rows.add("TeamProfile", id=self.ids.cuid(), enabled=False, bio=None, teamId=team)
        for role in _ROLES:
            self.rows.add(
                "TeamGroup",
                id=self.ids.prefixed("team_group"),
                organisationGroupId=self._add_group(organisation, "INTERNAL_TEAM", "MEMBER"),
                teamRole=role,
                teamId=team,
            )

    def _add_group(self, organisation: str, kind: str, role: str) -> str:
        group = self.ids.prefixed("org_group")
        self.rows.add(
            "OrganisationGroup", id=group, type=kind, organisationRole=role, organisationId=organisation
        )
        return group

    def _add_tokens(self) -> None:
        tokens = (
            ("Port Nimara CRM", self.crm.token, CRM_USER, SALES, None),
            ("Alte Website", f"api_{self.ids.cuid()}", ADMIN, SALES, self.moment - timedelta(days=90)),
            ("Kanzlei", f"api_{self.ids.cuid()}", 5, LEGAL, None),
        )
        for name, token, user, team, expires in tokens:
            self.rows.add(
                "ApiToken",
                name=name,
                token=hashlib.sha512(token.encode()).hexdigest(),
                expires=expires,
                createdAt=self._since,
                userId=user,
                teamId=team,
            )

    def _add_webhooks(self) -> None:
        hooks = (
            (self.webhook, self.crm.webhook_url, self.crm.webhook_secret, True, CRM_USER, SALES),
            (self.ids.cuid(), "https://hooks.portnimara.test/documenso", None, False, ADMIN, LEGAL),
        )
        for webhook, url, secret, enabled, user, team in hooks:
            self.rows.add(
                "Webhook",
                id=webhook,
                webhookUrl=url,
                eventTriggers=[f"DOCUMENT_{event}" for event in EVENTS],
                secret=secret,
                enabled=enabled,
                createdAt=self._since,
                updatedAt=self._since,
                userId=user,
                teamId=team,
            )

    def _add_folders(self) -> None:
        contracts, archive = FOLDERS
        folders = (
            (contracts, "Verträge", None, "DOCUMENT"),
            (archive, "Archiv – Liegeplätze", contracts, "DOCUMENT"),
        )
        for folder, name, parent, kind in (*folders, ("folder_templates", "Vorlagen", None, "TEMPLATE")):
            self.rows.add(
                "Folder",
                id=folder,
                name=name,
                userId=ADMIN,
                teamId=SALES,
                createdAt=self._since,
                updatedAt=self._since,
                parentId=parent,
                type=kind,
            )
