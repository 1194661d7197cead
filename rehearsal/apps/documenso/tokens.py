"""API tokens: whom a request of the API is made for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from psycopg import sql

from rehearsal.apps.documenso.release import Release
from rehearsal.apps.documenso.store import Row, Store, now

_SETTINGS = (
    "documentVisibility",
    "documentLanguage",
    "documentTimezone",
    "documentDateFormat",
    "typedSignatureEnabled",
    "uploadSignatureEnabled",
    "drawSignatureEnabled",
    "emailDocumentSettings",
)
_TOKEN = 'select id, name, expires, "userId", "teamId" from "ApiToken" where token = %s'
_TEAM = sql.SQL(
    'select t.id, t.name, t.url, o."ownerUserId" as owner, {columns} from "Team" t '
    'join "Organisation" o on o.id = t."organisationId" '
    'join "OrganisationClaim" c on c.id = o."organisationClaimId" '
    'join "OrganisationGlobalSettings" os on os.id = o."organisationGlobalSettingsId" '
    'join "TeamGlobalSettings" ts on ts.id = t."teamGlobalSettingsId" where t.id = %s'
)


class TokenError(Exception):
    """The token opens nothing.

    Attributes:
        code: what Documenso's errors call the reason; empty if there was no token.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Access:
    """Whom a token stands for.

    Attributes:
        settings: the team's, or where it has none the organisation's.
    """

    user: int
    team: int
    team_name: str
    team_url: str
    settings: Row


class Tokens:
    """The tokens in the database."""

    def __init__(self, store: Store, release: Release) -> None:
        self._store = store
        both = [
            (name, f"coalesce(ts.{_quoted(name)}, os.{_quoted(name)})")
            for name in (*_SETTINGS, *release.settings)
        ]
        claims = [(name, f"c.{_quoted(name)}") for name in release.claim]
        columns = ", ".join(f"{expression} as {_quoted(name)}" for name, expression in both + claims)
        self._team = _TEAM.format(columns=sql.SQL(columns))

    def access(self, header: str) -> Access:
        """Return whom the value of an Authorization header stands for.

        Raises:
            TokenError: there is no such token, or it has expired.
            QueryError: the database cannot tell; so on a schema that lacks what this release asks for.
        """
        token = next((part for part in header.split("Bearer ") if part), "")
        if not token:
            raise TokenError("", "API token was not provided")
        digest = hashlib.sha512(token.encode()).hexdigest()
        found = self._store.rows(_TOKEN, digest, call="apiToken.findFirst")
        if not found:
            raise TokenError("UNAUTHORIZED", "Invalid token")
        if found[0]["expires"] and found[0]["expires"] < now():
            raise TokenError("EXPIRED_CODE", "Expired token")
        team = self._store.rows(self._team, found[0]["teamId"], call="team.findFirst")[0]
        return Access(
            user=found[0]["userId"] or team["owner"],
            team=team["id"],
            team_name=team["name"],
            team_url=team["url"],
            settings={name: team[name] for name in _SETTINGS},
        )


def _quoted(name: str) -> str:
    return f'"{name}"'
