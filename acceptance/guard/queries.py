"""Every SQL query the suite may run: the files of acceptance/queries. No other SQL can be sent.

A file begins with comment lines: its purpose, then `Footprint: …` and, for each table of the target that it
reads, `Needs: KEY (KEY, …)`: the target's keys of the table's name and of the columns' names; none for all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parent.parent / "queries"

CRM, DOCUMENSO = "crm", "documenso"
"""The databases that queries are for; a directory of `queries` holds those of the one it is called after."""


@dataclass(frozen=True)
class Need:
    """A table that a query reads.

    Attributes:
        table: the target's key of its name.
        columns: the target's keys of the columns' names; empty for all of them.
    """

    table: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Query:
    """A declared query.

    Attributes:
        name: its file's name without `.sql`, `documenso/…` for those of Documenso's database.
        text: the whole file.
        footprint: empty if the file does not say.
    """

    name: str
    text: str
    purpose: str
    footprint: str
    needs: tuple[Need, ...]

    @property
    def of(self) -> str:
        """The database it is for."""
        return self.name.partition("/")[0] if "/" in self.name else CRM


SESSION = Query(
    name="session",
    text="",
    purpose="log in once; every query of the run uses this connection",
    footprint="a connection while the run lasts; a log line if the server logs connections",
    needs=(),
)
"""What is done besides the queries."""


@cache
def declared() -> dict[str, Query]:
    """Return every query by name."""
    files = {
        path.relative_to(DIRECTORY).with_suffix("").as_posix(): path
        for path in sorted(DIRECTORY.rglob("*.sql"))
    }
    return {name: read(name, path.read_text(encoding="utf-8")) for name, path in files.items()}


def read(name: str, text: str) -> Query:
    """Read a query's file; pure."""
    comments = re.match(r"(?:--.*\n)*", text)
    lines = [line[2:].strip() for line in (comments[0] if comments else "").splitlines()]
    return Query(
        name=name,
        text=text,
        purpose=" ".join(line for line in lines if not re.match(r"(Footprint|Needs): ", line)),
        footprint=" ".join(_after("Footprint: ", lines)),
        needs=tuple(_need(line) for line in _after("Needs: ", lines)),
    )


def _after(label: str, lines: list[str]) -> list[str]:
    return [line.removeprefix(label) for line in lines if line.startswith(label)]


def _need(line: str) -> Need:
    table, _, columns = line.partition("(")
    return Need(table.strip(), tuple(key.strip() for key in columns.rstrip(") ").split(",") if key.strip()))
