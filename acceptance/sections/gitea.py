"""The CRM's source code and its builds."""

from __future__ import annotations

from acceptance.sections.base import SecretReference
from acceptance.sections.public import Public


class Gitea(Public):
    """The Gitea server, asked by the operator's machine.

    Attributes:
        token: an access token that may read the repository; unset where anonymous reads are allowed.
        repository: owner and name.
        branch: the one that is deployed.
    """

    token: SecretReference | None = None
    repository: str
    branch: str = "main"
