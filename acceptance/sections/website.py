"""The marketing website, the second instance."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from acceptance.sections.base import RootedPath, SecretReference, Section
from acceptance.sections.environment import EnvironmentSource
from acceptance.sections.public import Public

_BODY = {
    "kind": "contact",
    "name": "ACCEPTANCE TEST",
    "email": "{email}",
    "message": "{marker}: a test of the deployment; please ignore it",
    "recaptchaToken": "{token}",
}


class Inquiry(Section):
    """The website's form for inquiries, as its own page sends it.

    Attributes:
        path: where it is posted to, as JSON.
        body: the form's fields. `{marker}`, `{email}` and `{token}` stand for the test's own marker, the
            address below and the reCAPTCHA token.
        email: whom a confirmation is sent to; an own mailbox, or one that cannot exist.
        token: a reCAPTCHA token that the website accepts; unset if it asks for none.
        utm: how the page's script writes the utm values into the header `x-utm`.
        wait_s: how long the inquiry may take from the website to the CRM.
    """

    path: RootedPath = "/api/inquiry"
    body: dict[str, str] = Field(default_factory=lambda: dict(_BODY))
    email: str = Field(default="acceptance@test.invalid", pattern=r"^[^@\s\"\\]+@[^@\s\"\\]+$")
    token: SecretReference | None = None
    utm: Literal["json", "query"] = "json"
    wait_s: float = Field(default=15, gt=0, le=60)

    @model_validator(mode="after")
    def _the_marker_travels(self) -> Inquiry:
        if not any("{marker}" in value for value in self.body.values()):
            raise ValueError(
                "body: no field holds {marker}, so the test inquiry could not be told from others"
            )
        return self


class Submissions(Section):
    """The CRM's table of inquiries that came from the website, and its columns."""

    table: str = "website_submissions"
    payload: str = "payload"
    utm: str = "utm"
    created_at: str = "created_at"


class Website(Section):
    """The marketing website.

    Attributes:
        public: where visitors find it.
        environment: where its variables are read.
        page: a page that visitors see.
        berths: its public list of berths.
        berth_list: where that list may stand in the answer, if it is not the answer itself.
        berth_keys: what tells the website's and the CRM's berths apart: the website's key, the CRM's key.
        logs: the container on the CRM's server whose log is watched; unset if it runs elsewhere.
    """

    public: Public
    environment: EnvironmentSource
    page: RootedPath = "/"
    berths: RootedPath = "/api/berths"
    berth_list: tuple[str, ...] = ("berths", "list", "data")
    berth_keys: dict[str, str] = Field(
        default_factory=lambda: {"name": "name", "status": "status"}, min_length=1
    )
    inquiry: Inquiry = Inquiry()
    submissions: Submissions = Submissions()
    logs: str | None = None

    @property
    def containers(self) -> tuple[str, ...]:
        """The names of its containers on the CRM's server that are declared."""
        return tuple(sorted({name for name in (self.environment.container, self.logs) if name}))
