"""The files that the CRM is deployed from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from acceptance.sections.base import AbsolutePath, Section


class Deploy(Section):
    """What must lie on the server before `docker compose up`, beside what `Compose` says of it.

    Attributes:
        compose_file: its name in the deploy directory.
        staging: where both files wait while nothing runs in the deploy directory; unset if they are put
            there at once.
    """

    compose_file: Annotated[str, Field(pattern=r"^[^/]+$")] = "docker-compose.prod.yml"
    staging: AbsolutePath | None = None
