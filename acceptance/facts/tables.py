"""Tables that the target names: whether they exist as it says and may be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from acceptance.errors import UnavailableError

if TYPE_CHECKING:
    from acceptance.access import Access
    from acceptance.target import Target
    from acceptance.transports.postgres import Identifiers


async def identifiers(access: Access, table: str, wanted: Mapping[str, str], section: str) -> Identifiers:
    """Return the identifiers of a table and columns that exist and may be read.

    Args:
        access: the run's.
        table: its name, with its schema before it if it needs one.
        wanted: column by the name of its key in the target file.
        section: of the target file, where they are declared.

    Raises:
        UnavailableError: one of them does not exist, or the role may not read it.
    """
    parts = table.split(".")
    rows = await access.postgres.query("readable_columns", parts=parts)
    if not rows:
        raise absent(access.target, f"{section}.table", f"table {table}")
    readable = {str(row["column"]): bool(row["readable"]) for row in rows}
    for key, column in wanted.items():
        if column not in readable:
            raise absent(access.target, f"{section}.{key}", f"column {table}.{column}")
        if not readable[column]:
            raise UnavailableError(
                f"the role {access.target.postgres.user} may not read every row of {table}.{column}",
                f"grant select on {table} to {access.target.postgres.user}",
            )
    return {"table": parts, **{key: [column] for key, column in wanted.items()}}


def absent(target: Target, key: str, what: str) -> UnavailableError:
    """Return the error of something that is not there; it says so if the target only assumes it."""
    unsure = "assumed name not found: " if target.is_assumed(key) else ""
    return UnavailableError(f"{unsure}there is no {what}", f"correct {key} in the target file")
