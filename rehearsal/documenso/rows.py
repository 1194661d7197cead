"""Rows on their way into Documenso's tables, and the ids that they get; everything follows from a seed."""

from __future__ import annotations

import random
import string
import uuid
from datetime import UTC, datetime

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

Connection = psycopg.Connection[tuple[object, ...]]

_PLAIN = frozenset({str, int, bool, type(None)})


def _alphabet(characters: str) -> bytes:
    """Return what each byte of random ones becomes."""
    return bytes(ord(characters[byte % len(characters)]) for byte in range(256))


_LETTERS = _alphabet(string.ascii_lowercase)
_BASE36 = _alphabet(string.digits + string.ascii_lowercase)
_URL_SAFE = _alphabet(string.ascii_letters + string.digits + "_-")
# Each after those that it refers to.
_ORDER = (
    "AvatarImage",
    "User",
    "UserSecurityAuditLog",
    "Session",
    "SubscriptionClaim",
    "OrganisationClaim",
    "OrganisationGlobalSettings",
    "OrganisationAuthenticationPortal",
    "Organisation",
    "OrganisationMember",
    "OrganisationGroup",
    "OrganisationGroupMember",
    "TeamGlobalSettings",
    "Team",
    "TeamGroup",
    "TeamProfile",
    "ApiToken",
    "Webhook",
    "Folder",
    "SiteSettings",
    "Counter",
    "DocumentData",
    "DocumentMeta",
    "Envelope",
    "EnvelopeItem",
    "EnvelopeAttachment",
    "Recipient",
    "Field",
    "Signature",
    "DocumentShareLink",
    "TemplateDirectLink",
    "DocumentAuditLog",
    "BackgroundJob",
    "BackgroundJobTask",
    "WebhookCall",
)


class Ids:
    """Ids of Documenso's kinds, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - repeatable on purpose; nothing is protected by it

    def cuid(self) -> str:
        """Return a row's id: `c` and 24 of 0-9a-z."""
        return "c" + self._of(_BASE36, 24)

    def prefixed(self, prefix: str) -> str:
        """Return an id of the newer kind: a prefix and 16 small letters."""
        return f"{prefix}_{self._of(_LETTERS, 16)}"

    def place(self) -> str:
        """Return the first part of an object key: 12 of 0-9a-z."""
        return self._of(_BASE36, 12)

    def token(self) -> str:
        """Return what opens a recipient's signing page: 21 characters."""
        return self._of(_URL_SAFE, 21)

    def uuid(self) -> str:
        """Return a UUID."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def _of(self, alphabet: bytes, length: int) -> str:
        return self.random.randbytes(length).translate(alphabet).decode()


class Rows:
    """Rows that wait to be copied; those of one table all have the same columns."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._columns: dict[str, tuple[str, ...]] = {}
        self._waiting: dict[str, list[tuple[object, ...]]] = {}

    def add(self, table: str, **values: object) -> None:
        """Add a row; dictionaries and lists of them go into JSON columns, times become UTC without zone."""
        columns = self._columns.setdefault(table, tuple(values))
        row = tuple(_adapted(values[column]) for column in columns)
        self._waiting.setdefault(table, []).append(row)

    def write(self) -> None:
        """Copy what waits, in the order of the references.

        Raises:
            psycopg.Error: the server refuses a row.
        """
        with self._connection.cursor() as cursor:
            for table in _ORDER:
                rows = self._waiting.pop(table, ())
                if rows:
                    with cursor.copy(self._statement(table)) as copy:
                        for row in rows:
                            copy.write_row(row)
        if self._waiting:
            raise ValueError(f"rows of tables without a place in the order: {', '.join(self._waiting)}")

    def _statement(self, table: str) -> sql.Composed:
        columns = sql.SQL(", ").join(map(sql.Identifier, self._columns[table]))
        return sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(table), columns)


def has_column(connection: Connection, table: str, column: str) -> bool:
    """Tell whether the schema, in whatever version it is, has a column."""
    found = connection.execute(
        "select from information_schema.columns "
        "where table_schema = 'public' and table_name = %s and column_name = %s",
        (table, column),
    )
    return found.fetchone() is not None


def set_sequences(connection: Connection) -> None:
    """Have each sequence go on after the highest number that its table holds."""
    found = connection.execute(
        "select c.relname::text, a.attname::text, pg_get_serial_sequence(quote_ident(c.relname), a.attname) "
        "from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
        "where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' "
        "and pg_get_serial_sequence(quote_ident(c.relname), a.attname) is not null"
    ).fetchall()
    for table, column, sequence in found:
        query = sql.SQL("select setval({}, max({})) from {} having max({}) is not null").format(
            sql.Literal(sequence),
            sql.Identifier(str(column)),
            sql.Identifier(str(table)),
            sql.Identifier(str(column)),
        )
        connection.execute(query)


def utc(moment: datetime) -> datetime:
    """Return a time as Documenso's columns hold it: UTC, to the millisecond, without a zone."""
    plain = moment.astimezone(UTC).replace(tzinfo=None)
    return plain.replace(microsecond=plain.microsecond // 1000 * 1000)


def _adapted(value: object) -> object:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
        return Jsonb(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return utc(value)
    return value
