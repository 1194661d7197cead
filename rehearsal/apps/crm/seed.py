"""Fills an empty database with the schema and the data a freshly deployed CRM holds."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import psycopg
from psycopg.types.json import Jsonb

from rehearsal.apps.berths import BERTHS
from rehearsal.apps.crm import password

_SCHEMA = Path(__file__).with_name("schema.sql")
_DEALS = (
    ("Berth A1 for Sea Breeze", "Harbour & Sons", "negotiation", 480000),
    ("Berth B2 for Northern Light", "A. Lindqvist", "offer_sent", 615000),
    ("Berth C3 for Calypso", "Calypso Charter GmbH", "signed", 890000),
)
_PORT_SETTINGS: dict[str, object] = {
    "website_intake_email_enabled": False,
    "inquiry_notification_recipients": ["sales@portnimara.test"],
    "residential_notification_recipients": ["residences@portnimara.test"],
    "inquiry_contact_email": "hello@portnimara.test",
}


class StoredFile(Protocol):
    """A file the CRM holds in object storage."""

    @property
    def key(self) -> str:
        """Its object key."""

    @property
    def size(self) -> int:
        """Its size in bytes."""

    @property
    def content_type(self) -> str:
        """Its media type."""

    @property
    def sha256(self) -> str:
        """The SHA-256 of its bytes, hexadecimal."""


def load(dsn: str, *, admin_email: str, admin_password: str, files: Sequence[StoredFile]) -> None:
    """Create the schema and fill it: 1 port, 12 berths, 3 deals, the admin, settings and files.

    Args:
        dsn: of an empty database; its user becomes the owner of the tables.
        admin_email: whom the sign-in accepts.
        admin_password: stored as better-auth stores it.
        files: rows of stored_files; the objects themselves are not touched.

    Raises:
        psycopg.Error: the database cannot be reached or is not empty; nothing is left half done.
    """
    with psycopg.connect(dsn) as connection:
        _migrate(connection)
        _add_port(connection)
        _add_admin(connection, admin_email, admin_password)
        _add_settings(connection)
        connection.cursor().executemany(
            "insert into stored_files (key, size, content_type, sha256) values (%s, %s, %s, %s)",
            [(file.key, file.size, file.content_type, file.sha256) for file in files],
        )


def migrate(dsn: str) -> None:
    """Create the schema and nothing else.

    Raises:
        psycopg.Error: the database cannot be reached or is not empty; nothing is left half done.
    """
    with psycopg.connect(dsn) as connection:
        _migrate(connection)


def _migrate(connection: psycopg.Connection) -> None:
    schema = _SCHEMA.read_bytes()
    connection.execute(schema)
    connection.execute(
        "insert into drizzle.__drizzle_migrations (hash, created_at) "
        "values (%s, extract(epoch from now()) * 1000)",
        (hashlib.sha256(schema).hexdigest(),),
    )


def _add_port(connection: psycopg.Connection) -> None:
    connection.execute("insert into ports (id, name, slug) values (1, 'Port Nimara', 'port-nimara')")
    cursor = connection.cursor()
    cursor.executemany(
        "insert into berths (port_id, name, status, length_m, width_m, draft_m, price_eur) "
        "values (1, %s, %s, %s, %s, %s, %s)",
        BERTHS,
    )
    cursor.executemany(
        "insert into deals (port_id, berth_id, title, client_name, stage, value_eur) "
        "values (1, %s, %s, %s, %s, %s)",
        [(number, *deal) for number, deal in enumerate(_DEALS, start=1)],
    )


def _add_admin(connection: psycopg.Connection, email: str, secret: str) -> None:
    user = secrets.token_hex(16)
    connection.execute(
        'insert into "user" (id, name, email, "emailVerified", role) values (%s, %s, %s, true, %s)',
        (user, "Administrator", email.lower(), "admin"),
    )
    connection.execute(
        'insert into account (id, "accountId", "providerId", "userId", password, "updatedAt") '
        "values (%s, %s, 'credential', %s, %s, now())",
        (secrets.token_hex(16), user, user, password.hashed(secret)),
    )


def _add_settings(connection: psycopg.Connection) -> None:
    cursor = connection.cursor()
    cursor.execute("insert into system_settings (key, value) values ('storage_backend', %s)", (Jsonb("s3"),))
    cursor.executemany(
        "insert into system_settings (key, value, port_id) values (%s, %s, 1)",
        [(key, Jsonb(value)) for key, value in _PORT_SETTINGS.items()],
    )
