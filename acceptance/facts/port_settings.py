"""The inquiry settings in the CRM's database: of which type each is, and how many addresses it holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from acceptance.errors import NotApplicableError, UnavailableError
from acceptance.facts.base import Attempt, Fact, Known, Noun, Source, Unavailable, known
from acceptance.facts.shape import is_address
from acceptance.facts.tables import identifiers

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.facts.containers import Containers

Type = Literal["boolean", "addresses", "address"]

WANTED: Mapping[str, Type] = {
    "website_intake_email_enabled": "boolean",
    "inquiry_notification_recipients": "addresses",
    "residential_notification_recipients": "addresses",
    "inquiry_contact_email": "address",
}
"""The four settings and their types (plan, "CRM instance", per-port settings)."""

_EXPECTED: Mapping[Type, str] = {
    "boolean": "true or false",
    "addresses": "a JSON list of e-mail addresses",
    "address": "an e-mail address",
}

EVERY_PORT = "every port"


class Setting(Fact):
    """One row.

    Attributes:
        port: whose it is.
        is_right: whether it has its type.
        told: of which type it is; addresses are counted and not kept.
        is_on: what a boolean is; None for anything else.
    """

    name: str
    port: str
    is_right: bool
    told: str
    is_on: bool | None = None


class PortSettings(Fact):
    """The settings.

    Attributes:
        has_database: whether the CRM has a database container yet.
        settings: each row of the four settings.
    """

    table: str
    has_database: bool
    settings: Attempt[tuple[Setting, ...]]

    @property
    def source(self) -> Source:
        """Where they were seen."""
        names = "|".join(WANTED)
        return Source(
            where=f"table {self.table}",
            again=f"psql -c 'table {self.table}' | grep -E '{names}'",
        )

    def rows(self, name: str) -> tuple[Setting, ...]:
        """Return the rows of one setting.

        Raises:
            NotApplicableError: the CRM has no database yet.
            UnavailableError: it could not be read.
        """
        if not self.has_database:
            raise NotApplicableError("the CRM has no database container yet")
        return tuple(one for one in known(self.settings) if one.name == name)

    def summary(self, name: str) -> str:
        """Say what a setting is for each port.

        Raises:
            NotApplicableError: the CRM has no database yet.
            UnavailableError: it could not be read.
        """
        told = [f"{one.told} for {one.port}" for one in self.rows(name)]
        return ", ".join(told + [f"not stored for {port}" for port in self._without(name)]) or "not stored"

    def values(self, name: str) -> frozenset[bool | None]:
        """Return what a boolean setting is for the ports: its own value, else that of every port, else off.

        Returns:
            each value that it has anywhere; None for one that is no boolean.

        Raises:
            NotApplicableError: the CRM has no database yet.
            UnavailableError: it could not be read.
        """
        own = {one.port: one.is_on for one in self.rows(name)}
        otherwise = own.pop(EVERY_PORT, False)
        ports = {one.port for one in known(self.settings)} - {EVERY_PORT}
        return frozenset(own.get(port, otherwise) for port in ports) or frozenset({otherwise})

    def is_right(self, name: str) -> bool:
        """Tell whether a setting is stored with its type for every port that has any of the four.

        Raises:
            NotApplicableError: the CRM has no database yet.
            UnavailableError: it could not be read.
        """
        rows = self.rows(name)
        return bool(rows) and all(one.is_right for one in rows) and not self._without(name)

    def _without(self, name: str) -> tuple[str, ...]:
        ports = {one.port for one in known(self.settings)} - {EVERY_PORT}
        own = {one.port for one in self.rows(name)}
        return () if EVERY_PORT in own else tuple(sorted(ports - own))


def expected(name: str) -> str:
    """Return the type of one of the four settings for people."""
    return _EXPECTED[WANTED[name]]


def setting(name: str, value: str, port: str | None) -> Setting:
    """Reduce a row to what it is; pure.

    Args:
        name: the setting's.
        value: as text: JSON, or the bare text of a column that is no JSON.
        port: its key; None for a setting of every port.
    """
    decoded = _decoded(value)
    wanted = WANTED[name]
    return Setting(
        name=name,
        port=f"port {port}" if port is not None else EVERY_PORT,
        is_right=_fits(decoded, wanted),
        told=_told(decoded),
        is_on=decoded if isinstance(decoded, bool) else None,
    )


def _decoded(value: str) -> object:
    try:
        decoded: object = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return decoded


def _fits(decoded: object, wanted: Type) -> bool:
    if wanted == "boolean":
        return isinstance(decoded, bool)
    if wanted == "address":
        return isinstance(decoded, str) and is_address(decoded)
    return isinstance(decoded, list) and all(isinstance(one, str) and is_address(one) for one in decoded)


def _told(decoded: object) -> str:
    if isinstance(decoded, bool):
        return "true" if decoded else "false"
    if isinstance(decoded, list):
        good = sum(isinstance(one, str) and is_address(one) for one in decoded)
        others = len(decoded) - good
        return f"a list of {good} addresses" + (f" and {others} other entries" if others else "")
    if isinstance(decoded, str):
        return "an address" if is_address(decoded) else _text(decoded)
    return {int: "a number", float: "a number", dict: "a JSON object"}.get(type(decoded), "null")


def _text(decoded: str) -> str:
    if not decoded.strip():
        return "empty text"
    inner = type(_decoded(decoded))
    words = {list: "text that holds a JSON list", bool: "text that reads like a boolean"}
    return words.get(inner, "text")


async def collect(access: Access) -> PortSettings:
    """Read the settings, if there is a database to read them from.

    Raises:
        UnavailableError: the containers could not be looked at.
    """
    declared = access.target.port_settings
    containers: Containers = await access.fact("containers")  # type: ignore[assignment]
    has_database = bool(containers.of(access.target.compose.of_kind("postgres").name))
    settings: Known[tuple[Setting, ...]] | Unavailable
    try:
        settings = Known(value=await _rows(access) if has_database else ())
    except UnavailableError as error:
        settings = Unavailable.of(error)
    return PortSettings(table=declared.table, has_database=has_database, settings=settings)


async def _rows(access: Access) -> tuple[Setting, ...]:
    declared = access.target.port_settings
    columns = {"name": declared.name, "value": declared.value, "port": declared.port or declared.name}
    names = await identifiers(access, declared.table, columns, "port_settings")
    rows = await access.postgres.query("port_settings", names, names=sorted(WANTED))
    found = _read(rows, has_ports=bool(declared.port))
    only = {EVERY_PORT, f"port {declared.only}"} if declared.only else None
    return tuple(one for one in found if only is None or one.port in only)


def _read(rows: Iterable[Mapping[str, object]], *, has_ports: bool) -> Iterator[Setting]:
    for row in rows:
        port = row["port"] if has_ports else None
        yield setting(str(row["name"]), _json(row["value"]), None if port is None else str(port))


def _json(value: object) -> str:
    return "null" if value is None else str(value)


NOUN = Noun("port_settings", PortSettings, collect, sources=("postgres",), needs=("containers",))
