"""What every section of a target file is made of: its base, secret references, checked texts, endpoints."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def _reference(value: object) -> object:
    if isinstance(value, str) and not re.match(r"(env|file|cmd):\S", value):
        raise ValueError(
            "a secret must be a reference (env:NAME, file:PATH or cmd:COMMAND), never the value itself"
        )
    return value


def _absolute(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("must be an absolute path")
    return value.rstrip("/") or "/"


def _rooted(value: str) -> str:
    if not re.fullmatch(r"/[^\s#]*", value):
        raise ValueError("must be a path that begins with /")
    return value


def _expression(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"must be a regular expression ({error})") from error
    return value


SecretReference = Annotated[str, BeforeValidator(_reference)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
RootedPath = Annotated[str, AfterValidator(_rooted)]
Expression = Annotated[str, AfterValidator(_expression)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """A section: frozen, and whatever it does not know is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Endpoint(Section):
    """Where a logical address really is today, like curl's --connect-to."""

    address: str
    port: Port
