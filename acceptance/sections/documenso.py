"""Documenso, the e-signing system, or a disposable clone of it."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, model_validator

from acceptance.sections.base import AbsolutePath, Endpoint, RootedPath, SecretReference, Section
from acceptance.sections.bucket import Bucket
from acceptance.sections.compose import Compose
from acceptance.sections.database import Database
from acceptance.sections.environment import EnvironmentSource
from acceptance.sections.public import Public

Version = Literal["v1.13.1", "v2.0.0", "v2.11.0"]
VERSIONS: tuple[Version, ...] = get_args(Version)
"""The versions of the plan, in the order of its steps."""


class DocumensoDatabase(Database):
    """Documenso's database.

    Attributes:
        connect: where it is reached from the operator's machine; without it, through an SSH tunnel to the
            container of the kind `postgres` in Documenso's compose project.
    """

    major: int = 15
    connect: Endpoint | None = None


class Certificate(Section):
    """The certificate that documents are signed with.

    Attributes:
        path: the PKCS #12 file on the server.
        local_file: a copy of it on the operator's machine, for an instance that runs elsewhere.
        uid: the account in the container that must be able to read it (Documenso's images: 1001).
        min_days: how long it must still hold.
    """

    path: AbsolutePath = "/opt/documenso/certificate.p12"
    local_file: str | None = None
    passphrase: SecretReference | None = None
    uid: int = 1001
    min_days: int = 21


class CrmWebhook(Section):
    """The webhook by which the CRM learns of signatures.

    Attributes:
        url: the CRM's address, as the webhook must have it.
        secret: what Documenso sends as X-Documenso-Secret, and the CRM expects.
        variable: how the CRM's environment calls that secret.
        recent_hours: how far back deliveries must have succeeded.
    """

    url: str = Field(pattern=r"^https?://\S+$")
    secret: SecretReference
    variable: str = "DOCUMENSO_WEBHOOK_SECRET"
    recent_hours: float = Field(default=24 * 7, gt=0)


class DocumensoSignIn(Section):
    """The account for the approved sign-in."""

    email: SecretReference
    password: SecretReference


class Reconciliation(Section):
    """How closely the stored documents are looked at.

    Attributes:
        sample: of how many completed documents the first bytes are read; size and existence are looked up
            of all.
        rendered: how many documents are fetched whole and opened as PDF.
        seed: draws the same documents as a former run; by default each run draws others.
    """

    sample: int = Field(default=200, ge=1)
    rendered: int = Field(default=5, ge=1, le=50)
    seed: str | None = None


class Documenso(Section):
    """One instance of Documenso. Every part may be left out; what needs it is UNKNOWN then.

    Attributes:
        version: what it should be now.
        clone_of: the name of the target that this instance is a disposable clone of; unset for production.
        image: the repository of its image.
    """

    version: Version = "v1.13.1"
    clone_of: str | None = None
    image: str = "documenso/documenso"
    public: Public | None = None
    sign_in_page: RootedPath = "/signin"
    compose: Compose | None = None
    environment: EnvironmentSource | None = None
    database: DocumensoDatabase | None = None
    storage: Bucket | None = None
    api_token: SecretReference | None = None
    webhook: CrmWebhook | None = None
    certificate: Certificate = Certificate()
    sign_in: DocumensoSignIn | None = None
    reconciliation: Reconciliation = Reconciliation()

    @model_validator(mode="after")
    def _one_app_and_one_database(self) -> Documenso:
        services = self.compose.services if self.compose else ()
        for kind in ("app", "postgres") if services else ():
            count = sum(service.kind == kind for service in services)
            if count != 1:
                raise ValueError(f"compose.services: {count} of kind {kind}, exactly one is needed")
        return self
