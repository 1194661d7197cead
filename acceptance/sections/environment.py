"""Where the variables of an instance are read."""

from __future__ import annotations

from pydantic import model_validator

from acceptance.sections.base import AbsolutePath, Section


class EnvironmentSource(Section):
    """Where an instance's variables are read: exactly one of three.

    Attributes:
        container: the name of its container on the server.
        env_file: its .env file on the server.
        local_file: a copy of that file on the operator's machine, for an instance that runs elsewhere.
    """

    container: str | None = None
    env_file: AbsolutePath | None = None
    local_file: str | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> EnvironmentSource:
        given = [name for name in type(self).model_fields if getattr(self, name)]
        if len(given) != 1:
            seen = " and ".join(given) or "none"
            raise ValueError(f"exactly one of container, env_file and local_file is needed, not {seen}")
        return self
