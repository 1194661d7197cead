"""A PostgreSQL database."""

from __future__ import annotations

from acceptance.sections.base import Port, SecretReference, Section


class Database(Section):
    """A database and the role that reads it.

    Attributes:
        major: the PostgreSQL major the plan declares.
        user: a role that cannot write, where there is one.
    """

    major: int
    port: Port = 5432
    database: str
    user: str
    password: SecretReference
