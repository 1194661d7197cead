"""The CRM's source code and its builds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from acceptance.sections.base import SecretReference
from acceptance.sections.public import Public

_Path = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$")]


class Gitea(Public):
    """The Gitea server, asked by the operator's machine.

    Attributes:
        token: an access token that may read the repository; unset where anonymous reads are allowed.
        repository: owner and name.
        branch: the one that is deployed.
        version: the oldest one whose API is known to say what the suite reads.
        jobs: what must have succeeded: names of jobs, or whole contexts of commit statuses
            (`build / lint (push)`).
        env_schema, env_example: the files that say which variables the CRM knows.
    """

    token: SecretReference | None = None
    repository: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")]
    branch: _Path = "main"
    version: Annotated[str, Field(pattern=r"^\d+(\.\d+)*$")] | None = None
    jobs: tuple[str, ...] = ()
    env_schema: _Path = "src/lib/env.ts"
    env_example: _Path = ".env.example"

    @property
    def api(self) -> str:
        """The path of the repository in the API."""
        return f"/api/v1/repos/{self.repository}"

    @property
    def branch_path(self) -> str:
        """The path of the branch in the API."""
        return f"{self.api}/branches/{self.branch}"

    @property
    def env_schema_path(self) -> str:
        """The path of the schema's text in the API."""
        return f"{self.api}/raw/{self.env_schema}"

    @property
    def env_example_path(self) -> str:
        """The path of the example's text in the API."""
        return f"{self.api}/raw/{self.env_example}"
