"""The SQL behind `tables.txt`: tables, indexes and references under the names that Prisma gives them."""

from __future__ import annotations

from dataclasses import dataclass, field

_TYPES = {"timestamp": "timestamp(3)", "decimal": "numeric(65,30)"}
_PLAIN = frozenset({"bigint", "boolean", "bytea", "integer", "jsonb", "serial", "text", "varchar(255)"})
_RULES = {"cascade": "cascade", "null": "set null", "restrict": "restrict"}


@dataclass(frozen=True)
class Column:
    """A column, as a line of `tables.txt` describes it.

    Attributes:
        kind: its type as written there.
        default: SQL, or nothing.
        refers: the table that it points to and what happens here when a row goes there, or nothing.
        flags: of `key`, `unique` and `index`.
    """

    name: str
    kind: str
    nullable: bool
    default: str
    refers: tuple[str, str] | None
    flags: frozenset[str]

    @classmethod
    def parse(cls, line: str) -> Column:
        """Read a line: `COLUMN TYPE[?] [key] [= DEFAULT] [-> TABLE RULE] [unique] [index]`."""
        text, arrow, reference = line.partition(" -> ")
        target, rule, *behind = reference.split() if arrow else ("", "")
        text, _, default = text.partition(" = ")
        name, kind, *flags = text.split()
        return cls(
            name=name,
            kind=kind.removesuffix("?"),
            nullable=kind.endswith("?"),
            default="current_timestamp" if default == "now" else default,
            refers=(target, rule) if arrow else None,
            flags=frozenset((*flags, *behind)),
        )

    def definition(self) -> str:
        """Return what stands in CREATE TABLE, or after ADD COLUMN."""
        base, array = self.kind.removesuffix("[]"), "[]" if self.kind.endswith("[]") else ""
        kind = base if base in _PLAIN else _TYPES.get(base, f'"{base}"')
        needed = "" if self.nullable else " not null"
        default = f" default {self.default}" if self.default else ""
        return f'"{self.name}" {kind}{array}{needed}{default}'


@dataclass
class Table:
    """A table: its columns in order, and what is unique over several of them."""

    name: str
    columns: list[Column] = field(default_factory=list)
    unique: list[tuple[str, ...]] = field(default_factory=list)

    def create(self) -> str:
        """Return the statement that makes it, without indexes and references."""
        key = ", ".join(f'"{column.name}"' for column in self.columns if "key" in column.flags)
        parts = [column.definition() for column in self.columns]
        parts.append(f'constraint "{self.name}_pkey" primary key ({key})')
        return f'create table "{self.name}" ({", ".join(parts)})'

    def indexes(self) -> list[str]:
        """Return the statements that make its indexes, the primary key's apart."""
        flagged = [(column.name, flag) for column in self.columns for flag in sorted(column.flags)]
        return [
            *(unique_index(self.name, *columns) for columns in self.unique),
            *(unique_index(self.name, name) for name, flag in flagged if flag == "unique"),
            *(index(self.name, name) for name, flag in flagged if flag == "index"),
        ]

    def references(self) -> list[str]:
        """Return the statements that make its foreign keys."""
        return [
            reference(self.name, column.name, *column.refers)
            for column in self.columns
            if column.refers is not None
        ]


def parse(text: str) -> tuple[dict[str, list[str]], list[Table]]:
    """Return the enumerations with their values, and the tables, of a description like `tables.txt`."""
    enums: dict[str, list[str]] = {}
    tables: list[Table] = []
    for line in text.splitlines():
        words = line.split()
        match words:
            case [] | ["#", *_]:
                pass
            case ["enum", name, *values]:
                enums[name] = values
            case ["table", name]:
                tables.append(Table(name))
            case ["unique", *names]:
                tables[-1].unique.append(tuple(names))
            case _:
                tables[-1].columns.append(Column.parse(line))
    return enums, tables


def enum(name: str, values: list[str]) -> str:
    """Return the statement that makes an enumeration."""
    return f'create type "{name}" as enum ({", ".join(f"{value!r}" for value in values)})'


def index(table: str, *columns: str, guarded: bool = False) -> str:
    """Return the statement that makes an index; guarded, one of that name may stand already."""
    return (
        f'create index {_guard(guarded)}"{"_".join((table, *columns))}_idx" on "{table}" ({_names(columns)})'
    )


def trigram_index(table: str, column: str) -> str:
    """Return the statement that makes an index for searching within a text; one may stand already."""
    name = f"{table}_{column}_trgm_idx"
    return f'create index if not exists "{name}" on "{table}" using gin ("{column}" gin_trgm_ops)'


def unique_index(table: str, *columns: str) -> str:
    """Return the statement that makes a unique index."""
    return f'create unique index "{"_".join((table, *columns))}_key" on "{table}" ({_names(columns)})'


def reference(table: str, column: str, target: str, rule: str) -> str:
    """Return the statement that makes a foreign key to the id of another table."""
    return (
        f'alter table "{table}" add constraint "{table}_{column}_fkey" foreign key ("{column}") '
        f'references "{target}" ("id") on delete {_RULES[rule]} on update cascade'
    )


def add(table: str, *lines: str) -> str:
    """Return the statement that adds columns, each given like a line of `tables.txt`."""
    definitions = ", ".join(f"add column {Column.parse(line).definition()}" for line in lines)
    return f'alter table "{table}" {definitions}'


def add_values(name: str, *values: str) -> list[str]:
    """Return the statements that append values to an enumeration."""
    return [f"alter type \"{name}\" add value '{value}'" for value in values]


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _guard(guarded: bool) -> str:
    return "if not exists " if guarded else ""
