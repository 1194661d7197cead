"""PostgreSQL's logging settings: would an error have reached the container's log, and in which words?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from acceptance.errors import UnavailableError
from acceptance.facts.base import Fact, Noun, Source

if TYPE_CHECKING:
    from acceptance.access import Access

QUERY = "logging_settings"
_HIDES_ERRORS = frozenset({"log", "fatal", "panic"})
"""Values of log_min_messages that leave ERROR out; for the server's log, `log` ranks above `error`."""


class DatabaseSettings(Fact):
    """Settings as the suite's session sees them.

    Attributes:
        overrides: `name=value` of those that ALTER ROLE or ALTER DATABASE set for some sessions.
    """

    server_version: str
    log_destination: str
    logging_collector: str
    log_min_messages: str
    log_min_error_statement: str
    log_error_verbosity: str
    log_line_prefix: str
    lc_messages: str
    overrides: tuple[str, ...]

    @property
    def source(self) -> Source:
        """Where they were read."""
        return Source(
            where="pg_settings of the CRM's database",
            again=f"psql -f acceptance/queries/{QUERY}.sql",
        )

    @property
    def shows_code(self) -> bool:
        """True if the log has the SQLSTATE at a place the patterns know."""
        prefix_ends_with_code = re.search(r"%-?\d*e\s*$", self.log_line_prefix) is not None
        return prefix_ends_with_code or self.log_error_verbosity == "verbose"

    @property
    def prefix_is_set_apart(self) -> bool:
        """True if the patterns can tell where log_line_prefix ends and the error's label begins.

        `%q` expands to nothing.
        """
        prefix = self.log_line_prefix.replace("%q", "")
        return prefix == "" or prefix[-1] in " :|,])"

    @property
    def speaks_english(self) -> bool:
        """True if messages are the untranslated ones."""
        return self.lc_messages == "" or re.match(r"(C|POSIX|en)([_.@]|$)", self.lc_messages) is not None

    @property
    def obstacles(self) -> tuple[str, ...]:
        """What would keep an error out of the container's log, or out of the patterns' sight."""
        found = []
        if "stderr" not in re.split(r"\s*,\s*", self.log_destination):
            found.append(f"log_destination = {self.log_destination}")
        if self.logging_collector == "on":
            found.append("logging_collector = on: the log goes to files")
        if self.log_min_messages in _HIDES_ERRORS:
            found.append(f"log_min_messages = {self.log_min_messages}")
        if not self.prefix_is_set_apart:
            found.append(f"log_line_prefix = {self.log_line_prefix!r} ends without a space")
        if not self.speaks_english and not self.shows_code:
            found.append(f"lc_messages = {self.lc_messages}, and log_line_prefix does not end with %e")
        found += [f"set for some sessions: {entry}" for entry in self.overrides if _obstructs(entry)]
        return tuple(found)

    def witness(self) -> str:
        """Say by which settings the log would have shown an error.

        Raises:
            UnavailableError: it would not, so that its silence proves nothing.
        """
        if self.obstacles:
            raise UnavailableError(
                f"PostgreSQL's log cannot testify: {'; '.join(self.obstacles)}",
                "set log_destination stderr, logging_collector off, log_min_messages warning, "
                "log_line_prefix with a space at its end",
            )
        words = "in words and code" if self.speaks_english and self.shows_code else "in words"
        return (
            f"log_destination {self.log_destination}, logging_collector {self.logging_collector}, "
            f"log_min_messages {self.log_min_messages}, lc_messages {self.lc_messages}: "
            f"errors are logged {words if self.speaks_english else 'by code'}"
        )

    def worded_witness(self) -> str:
        """Say by which settings the log would have shown an error that only its words tell apart.

        Raises:
            UnavailableError: it would not.
        """
        witness = self.witness()
        if not self.speaks_english:
            raise UnavailableError(
                f"PostgreSQL's log cannot testify: lc_messages = {self.lc_messages}, and the code of this "
                "error is that of many others",
                "set lc_messages to C or en_US.UTF-8",
            )
        return witness


def _obstructs(override: str) -> bool:
    name, _, value = override.partition("=")
    if name == "log_min_messages":
        return value in _HIDES_ERRORS
    return name == "lc_messages" and re.match(r"(C|POSIX|en)([_.@]|$)", value) is None


def read(row: dict[str, object]) -> DatabaseSettings:
    """Turn the query's row into the fact; pure."""
    overrides = row["overrides"]
    entries = tuple(str(entry) for entry in overrides) if isinstance(overrides, list) else ()
    texts = {name: str(value) for name, value in row.items() if name != "overrides"}
    return DatabaseSettings.model_validate({**texts, "overrides": entries})


async def collect(access: Access) -> DatabaseSettings:
    """Read the settings.

    Raises:
        UnavailableError: the database cannot be asked.
    """
    (row,) = await access.postgres.query(QUERY)
    return read(row)


NOUN = Noun("database_settings", DatabaseSettings, collect, sources=("postgres",), needs=("containers",))
