"""The SQL of a PostgreSQL role that can run every declared query and cannot write."""

from __future__ import annotations

from acceptance.guard import queries
from acceptance.guard.parameters import look_up
from acceptance.target import Target

DEFAULT = "acceptance_reader"
"""The role's name if none is given."""

_WRITERS = ("lo_creat(integer)", "lo_create(oid)", "lo_from_bytea(oid, bytea)")
"""What every role may call to make a large object unless that is taken from PUBLIC (PostgreSQL 16)."""

_SQL = """\
-- A role for the acceptance suite in the database {database}: it runs the suite's queries and cannot write.
-- Run as a superuser, connected to that database. Then give it a password, in psql: \\password {role}
-- Run it before crm-app is started for the last time: PostgreSQL keeps a grant on single columns with the
-- column, so it looks like a change of the schema that the app has not seen.
--
-- PostgreSQL lets every role make temporary tables and large objects, and in databases that began before
-- version 15 tables in schema public. A single role cannot be kept from what PUBLIC may do, so these rights
-- are taken from PUBLIC and given to each other role that exists: nothing changes for them. A role that is
-- created later has them only if it is granted them. The CRM's own functions that run with their owner's
-- rights (SECURITY DEFINER) are not looked at.
begin;
create role {role} login nosuperuser nocreatedb nocreaterole noreplication nobypassrls connection limit 4;
alter role {role} set default_transaction_read_only = on;
alter role {role} set statement_timeout = '15s';

do $$
declare
    other name;
begin
    for other in
        select rolname from pg_catalog.pg_roles
        where rolname <> '{name}' and rolname !~ '^pg_' and not rolsuper
    loop
        execute format('grant temporary on database {database} to %I', other);
{regrants}
        if has_schema_privilege('public', 'public', 'create') then
            execute format('grant create on schema public to %I', other);
        end if;
    end loop;
end
$$;
revoke temporary on database {database} from public;
revoke create on schema public from public;
{revokes}

grant connect on database {database} to {role};
{grants}
commit;
"""


def sql(target: Target, name: str = DEFAULT) -> str:
    """Return the SQL that makes such a role.

    Args:
        target: whose database and tables are meant.
        name: the role's.
    """
    return _SQL.format(
        role=_quoted(name),
        name=name.replace("'", "''"),
        database=_quoted(target.postgres.database),
        regrants="\n".join(
            f"        execute format('grant execute on function pg_catalog.{writer} to %I', other);"
            for writer in _WRITERS
        ),
        revokes="\n".join(
            f"revoke execute on function pg_catalog.{writer} from public;" for writer in _WRITERS
        ),
        grants="\n".join(_grants(target, _quoted(name))),
    )


def _grants(target: Target, role: str) -> list[str]:
    tables: dict[str, set[str] | None] = {}
    for query in queries.declared().values():
        for need in query.needs if query.of == queries.CRM else ():
            table = look_up(target, need.table)
            if table is None:
                continue
            columns = {column for key in need.columns if (column := look_up(target, key))}
            known = tables.setdefault(table, set())
            tables[table] = known | columns if columns and known is not None else None
    schemas = sorted({_schema(table) for table in tables})
    usage = [f"grant usage on schema {_quoted(schema)} to {role};" for schema in schemas]
    return usage + [_grant(table, columns, role) for table, columns in sorted(tables.items())]


def _grant(table: str, columns: set[str] | None, role: str) -> str:
    listed = f" ({', '.join(map(_quoted, sorted(columns)))})" if columns else ""
    place = f"{_quoted(_schema(table))}.{_quoted(table.rpartition('.')[2])}"
    return f"grant select{listed} on {place} to {role};"


def _schema(table: str) -> str:
    return table.rpartition(".")[0] or "public"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
