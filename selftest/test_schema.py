"""What the catalogue tells of a schema, on a real server: columns, last change, seeds; and its manifest."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from acceptance import schema_manifest
from acceptance import target as targets
from acceptance.cli import main
from acceptance.errors import UnavailableError
from acceptance.facts.base import Unavailable, known
from acceptance.facts.schema import CHANGES, LastChange, Schema
from acceptance.outcome import Outcome
from acceptance.schema_manifest import Manifest, identity_of, tables_of
from acceptance.target import Admins, DatabaseSchema, Target
from acceptance.transports.postgres import statement
from rehearsal.apps.crm import seed
from rehearsal.client import Rehearsal
from rehearsal.services import postgres
from rehearsal.site import Credentials, Site
from selftest import matrix

COMMIT = "5f1d0c2b" * 5
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture(scope="module")
def target(rehearsal: Rehearsal) -> Target:
    return targets.load(rehearsal.target_file)


@pytest.fixture(scope="module")
def site(rehearsal: Rehearsal, target: Target) -> Site:
    net = target.server.address.rpartition(".")[0]
    return Site(Path(rehearsal.describe()["root"]), net, os.getuid() == 0, Credentials())


def _connect(dsn: str) -> Connection:
    return psycopg.connect(dsn, autocommit=True, row_factory=dict_row)


@pytest.fixture
def database(site: Site) -> Iterator[Callable[..., str]]:
    """Makes databases in the rehearsal's instance, beside the judged one, and drops them again."""
    with _connect(postgres.superuser_dsn(site, "postgres")) as connection:
        made: list[sql.Identifier] = []

        def make(template: str = "template1") -> str:
            name = f"selftest_{secrets.token_hex(4)}"
            made.append(sql.Identifier(name))
            query = sql.SQL("create database {} template {}").format(made[-1], sql.Identifier(template))
            connection.execute(query)
            return name

        yield make
        for name in made:
            connection.execute(sql.SQL("drop database {} with (force)").format(name))


@pytest.fixture
def migrated(site: Site, database: Callable[..., str]) -> str:
    """The name of a freshly migrated database."""
    name = database()
    seed.migrate(postgres.superuser_dsn(site, name))
    return name


@pytest.fixture
def session(site: Site, migrated: str) -> Iterator[Connection]:
    with _connect(postgres.superuser_dsn(site, migrated)) as connection:
        yield connection


# The last change


def _last_change(connection: Connection, *, tracked: bool = True) -> LastChange:
    """Ask the server; `tracked=False` forgets the commit times, which the image's settings do not keep."""
    (row,) = connection.execute(statement(CHANGES)).fetchall()
    forgotten = {} if tracked else {"tracked": False, "newest_committed_at": None, "committed_at": None}
    return LastChange.model_validate({**row, **forgotten})


def _server_time(connection: Connection) -> datetime:
    (row,) = connection.execute("select clock_timestamp() as now").fetchall()
    moment = row["now"]
    assert isinstance(moment, datetime)
    return moment


@pytest.mark.parametrize(
    "change",
    [
        "create table moorings (id integer)",
        "alter table berths add column mooring text",
        "alter table berths drop column updated_at",
        "alter table berths rename column name to title",
        "alter table berths alter column width_m type numeric(9, 2)",
        "alter table berths alter column name drop not null",
        "alter table berths alter column status set default 'sold'",
        "alter table berths add constraint positive check (length_m > 0)",
        "create type kind as enum ('a')",
        "create view sold as select id from berths",
    ],
)
def test_changes_of_the_schema_are_noticed(session: Connection, change: LiteralString) -> None:
    before = _server_time(session)
    assert _last_change(session).precedes(before)[0]
    session.execute(change)
    assert not _last_change(session).precedes(before)[0]
    assert _last_change(session).precedes(_server_time(session))[0]


def test_a_new_value_of_a_type_is_a_change(session: Connection) -> None:
    session.execute("create type kind as enum ('a')")
    before = _server_time(session)
    session.execute("alter type kind add value 'b'")
    assert not _last_change(session).precedes(before)[0]


@pytest.mark.parametrize(
    "work",
    [
        "insert into ports (name, slug) values ('Port Nimara', 'port-nimara')",
        "truncate verification",
        "vacuum (freeze, analyze) berths",
        "vacuum full berths",
        "vacuum (freeze, analyze)",
        "create index berths_by_status on berths (status)",
        "reindex table berths",
        "grant select on berths to acceptance_reader",
        "create temporary table notes (id integer)",
        "comment on column berths.name is 'shown on the map'",
    ],
)
def test_work_on_the_data_is_no_change(session: Connection, work: LiteralString) -> None:
    before = _server_time(session)
    session.execute(work)
    assert _last_change(session).precedes(before)[0]


def test_a_checkpoint_separates_a_change_from_a_later_start(session: Connection) -> None:
    long_before = _server_time(session) - MINUTE
    session.execute("checkpoint")
    time.sleep(2.1)
    later = _server_time(session)
    change = _last_change(session, tracked=False)
    assert change.precedes(later)[0]
    with pytest.raises(UnavailableError, match="does not separate"):
        change.precedes(long_before)

    session.execute("alter table berths add column mooring text")
    change = _last_change(session, tracked=False)
    assert not change.precedes(long_before)[0]
    with pytest.raises(UnavailableError, match="does not separate"):
        change.precedes(later)


def test_a_change_that_runs_during_the_checkpoint_is_not_taken_for_an_earlier_one(
    site: Site, session: Connection
) -> None:
    with psycopg.connect(postgres.superuser_dsn(site, session.info.dbname)) as changing:
        changing.execute("alter table berths add column mooring text")
        session.execute("select txid_current()")
        session.execute("checkpoint")
    time.sleep(2.1)
    change = _last_change(session, tracked=False)
    with pytest.raises(UnavailableError, match="does not separate"):
        change.precedes(_server_time(session))


def _change(**changes: object) -> LastChange:
    return LastChange.model_validate(
        {
            "tracked": False,
            "newest_age": 50,
            "newest_committed_at": None,
            "committed_at": None,
            "server_started_at": NOW - 10 * MINUTE,
            "horizon_age": 5000,
            "active_known": True,
            "checkpoint_at": NOW,
            "checkpoint_next_age": 20,
            "checkpoint_active_age": 20,
            **changes,
        }
    )


def test_tracked_since_a_later_start_of_the_server() -> None:
    precedes, witness = _change(tracked=True).precedes(NOW - 5 * MINUTE)
    assert precedes
    assert "older than the server's start" in witness


def test_a_commit_time_that_may_have_been_discarded_proves_nothing() -> None:
    change = _change(tracked=True, newest_age=9000, checkpoint_active_age=9500)
    with pytest.raises(UnavailableError, match="the commit time is lost"):
        change.precedes(NOW + MINUTE)


def test_a_checkpoint_at_shutdown_has_no_running_transactions() -> None:
    assert _change(checkpoint_active_age=None).precedes(NOW + MINUTE)[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"checkpoint_active_age": None, "active_known": False},
        {"checkpoint_active_age": 50},
        {"newest_age": None},
    ],
)
def test_nothing_is_told_where_nothing_is_known(changes: dict[str, object]) -> None:
    with pytest.raises(UnavailableError):
        _change(**changes).precedes(NOW + MINUTE)


def test_a_start_in_the_very_second_of_the_checkpoint_is_not_later() -> None:
    with pytest.raises(UnavailableError):
        _change().precedes(NOW + timedelta(seconds=1.5))


# The manifest


def _produce(monkeypatch: pytest.MonkeyPatch, dsn: str, output: Path, *more: str) -> int:
    monkeypatch.setenv("SCRATCH_DSN", dsn)
    given = ["--dsn", "env:SCRATCH_DSN", "--commit", COMMIT, "--output", str(output)]
    return main(["schema", "manifest", *given, *more])


def test_the_command_writes_a_manifest_with_its_origin(
    site: Site, migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "manifest.json"
    assert _produce(monkeypatch, postgres.superuser_dsn(site, migrated), output) == 0
    manifest = schema_manifest.read(output)
    assert manifest.is_for(COMMIT)
    assert manifest.is_for(COMMIT[:7])
    assert not manifest.is_for(COMMIT[:6])
    assert f"database {migrated} on {site.address('postgres')}" in manifest.origin
    assert manifest.tables["public.ports"].columns == {
        "id": "integer, not null",
        "name": "text, not null",
        "slug": "text, not null",
        "created_at": "timestamp with time zone, not null",
    }
    assert not any(name.startswith("drizzle.") for name in manifest.tables)


def test_other_schemas_only_if_asked_for(
    site: Site, migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "manifest.json"
    _produce(monkeypatch, postgres.superuser_dsn(site, migrated), output, "--schema", "drizzle")
    assert set(schema_manifest.read(output).tables) == {"drizzle.__drizzle_migrations"}


def test_an_existing_file_is_not_overwritten(
    site: Site,
    migrated: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "manifest.json"
    output.write_text("kept")
    assert _produce(monkeypatch, postgres.superuser_dsn(site, migrated), output) == 4
    assert output.read_text() == "kept"
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dsn", "postgres://crm:hunter2hunter2@127.0.0.1/crm", "--commit", COMMIT], "reference"),
        (["--dsn", "env:UNSET_DSN", "--commit", COMMIT], "env:UNSET_DSN is not set"),
        (["--dsn", "env:CLOSED_DSN", "--commit", COMMIT], "cannot be asked"),
        (["--dsn", "env:WRONG_DSN", "--commit", COMMIT], "cannot be asked"),
        (["--dsn", "env:CLOSED_DSN", "--commit", "latest"], "hexadecimal"),
    ],
)
def test_wrong_input_is_explained_without_the_password(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CLOSED_DSN", "postgres://crm:hunter2hunter2@127.0.0.1:1/crm")
    monkeypatch.setenv("WRONG_DSN", "crm:hunter2hunter2@127.0.0.1")
    output = tmp_path / "manifest.json"
    assert main(["schema", "manifest", *arguments, "--output", str(output)]) == 4
    said = capsys.readouterr().err
    assert message in said
    assert "hunter2" not in said
    assert not output.exists()


def test_an_empty_database_makes_no_manifest(
    site: Site,
    database: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _produce(monkeypatch, postgres.superuser_dsn(site, database()), tmp_path / "m.json") == 4
    assert "migrate it first" in capsys.readouterr().err


def _taken(site: Site, name: str) -> Manifest:
    return schema_manifest.make(postgres.superuser_dsn(site, name), COMMIT)


def test_its_own_database_and_copies_of_it_are_recognised(
    site: Site, migrated: str, database: Callable[..., str]
) -> None:
    copy, sibling = database(migrated), database()
    seed.migrate(postgres.superuser_dsn(site, sibling))
    judged = _taken(site, migrated)
    assert judged.was_read_from(judged.identity, judged.tables)
    assert _taken(site, copy).was_read_from(judged.identity, judged.tables)
    assert not _taken(site, sibling).was_read_from(judged.identity, judged.tables)
    elsewhere = judged.identity.model_copy(update={"system_identifier": "1"})
    assert not judged.was_read_from(elsewhere, judged.tables)


@pytest.mark.parametrize("content", ["", "[]", '{"manifest_version": 2}', "\xff"])
def test_something_else_than_a_manifest_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(UnavailableError, match="is not a schema manifest"):
        schema_manifest.read(path)


def test_types_are_told_alike_whatever_the_search_path(session: Connection) -> None:
    session.execute("create type kind as enum ('a')")
    session.execute('create table odd ("With.dot" kind, "A b" kind[], c varchar(3), d numeric(3, 2)[])')
    for path in ("public", "pg_catalog", ""):
        session.execute(sql.SQL("set search_path = {}").format(sql.Literal(path)))
        rows = session.execute(statement("schema_columns")).fetchall()
        assert tables_of(rows)["public.odd"].columns == {
            "With.dot": "public.kind, may be null",
            "A b": "public.kind[], may be null",
            "c": "character varying(3), may be null",
            "d": "numeric(3,2)[], may be null",
        }


def test_any_role_can_read_the_catalogue(site: Site, session: Connection) -> None:
    session.execute("create role nobody_special login password 'nobody_special'")
    try:
        dsn = make_conninfo(
            postgres.superuser_dsn(site, session.info.dbname),
            user="nobody_special",
            password="nobody_special",
        )
        with _connect(dsn) as connection:
            (row,) = connection.execute(statement("schema_identity")).fetchall()
            assert identity_of(row) == _taken(site, session.info.dbname).identity
            assert tables_of(connection.execute(statement("schema_columns")).fetchall())
            assert _last_change(connection).precedes(_server_time(connection))[0]
            oid = session.execute("select 'ports'::regclass::oid::bigint as oid").fetchall()[0]["oid"]
            readable = connection.execute(statement("table_readable"), {"oid": oid, "column": None})
            assert readable.fetchall() == [{"readable": False}]
    finally:
        session.execute("drop role nobody_special")


# The whole fact


def _looked_at(target: Target, tmp_path: Path, **declared: object) -> tuple[Schema, Target]:
    expected = DatabaseSchema.model_validate({**target.database_schema.model_dump(), **declared})
    judged = target.model_copy(update={"database_schema": expected})
    fact = matrix.Observer(judged, tmp_path).look(["schema"]).facts["schema"]
    assert isinstance(fact, Schema)
    return fact, judged


def _seeded(schema: Schema, target: Target) -> Outcome:
    return matrix.outcomes(matrix.judged(_Only(schema=schema), target))["schema.seeded"]


class _Only(dict[str, Any]):
    def __missing__(self, name: str) -> Unavailable:
        return Unavailable(reason="not looked at")


@pytest.mark.parametrize(
    "declared",
    [
        {"ports": "harbours"},
        {"ports": "public.harbours"},
        {"ports": 'ports"; drop table ports; --'},
        {"admins": Admins(column="colour").model_dump()},
        {"admins": Admins(table="people").model_dump()},
    ],
)
def test_names_that_do_not_exist_are_never_asked_for(
    target: Target, site: Site, tmp_path: Path, declared: dict[str, object]
) -> None:
    logs = list((site.containers / "postgres").rglob("*.log"))
    assert logs
    before = {log: log.read_bytes() for log in logs}
    schema, judged = _looked_at(target, tmp_path, **declared)
    assert _seeded(schema, judged) is Outcome.FAIL
    assumed = judged.model_copy(update={"assumed": ("database_schema.ports", "database_schema.admins")})
    schema, judged = _looked_at(assumed, tmp_path, **declared)
    assert _seeded(schema, judged) is Outcome.UNKNOWN
    assert [log for log in logs if b"ERROR" in log.read_bytes()[len(before[log]) :]] == []


def test_an_assumed_role_that_nobody_has_is_unknown(target: Target, tmp_path: Path) -> None:
    declared = {"admins": Admins(values=("harbourmaster",)).model_dump()}
    schema, judged = _looked_at(target, tmp_path, **declared)
    assert _seeded(schema, judged) is Outcome.FAIL
    assumed = target.model_copy(update={"assumed": ("database_schema.admins",)})
    schema, judged = _looked_at(assumed, tmp_path, **declared)
    assert "assumed values not found" in getattr(schema.admins, "reason", "")


def test_one_of_several_roles_counts(session: Connection) -> None:
    session.execute(
        """insert into "user" (id, name, email, "emailVerified", role) values
        ('1', 'a', 'a@a', true, 'user, admin'), ('2', 'b', 'b@b', true, 'administrator'),
        ('3', 'c', 'c@c', true, 'admin')"""
    )
    query = statement("seed_admins", {"table": ("public", "user"), "column": ("role",)})
    assert session.execute(query, {"values": ["admin"]}).fetchall() == [{"total": 3, "matching": 2}]


def test_without_a_manifest_the_operator_learns_how_to_make_one(target: Target, tmp_path: Path) -> None:
    schema, _ = _looked_at(target, tmp_path, manifest=None)
    with pytest.raises(UnavailableError) as caught:
        schema.manifest_for(COMMIT)
    assert "acceptance schema manifest" in caught.value.remedy
    assert known(schema.tables)
