"""Does the database fit the deployed code: its columns, when they changed, its server, its seeds?"""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.base import known
from acceptance.facts.containers import Containers
from acceptance.facts.database_settings import DatabaseSettings
from acceptance.facts.log_patterns import ErrorKind
from acceptance.facts.logs import Logs
from acceptance.facts.schema import Schema, deployed_commit, started_at
from acceptance.target import Target


@pytest.mark.item("schema.restarted-after-change")
def test_started_after_the_last_change(schema: Schema, containers: Containers, target: Target) -> None:
    """The app was started after the schema last changed. What it prepared before may not fit any more."""
    change = known(schema.last_change)
    started = started_at(containers, target.compose.of_kind("app").name)
    precedes, witness = change.precedes(started)
    verify(
        precedes,
        expected="the schema changed before the app was started, and not since",
        seen=f"started {started}; {witness}",
        source=change.source,
    )


@pytest.mark.item("schema.restarted-after-change")
def test_no_stale_plan(logs: Logs, target: Target) -> None:
    """PostgreSQL refused no cached plan since the app's start. It does so when a table changed under one."""
    log = logs.evidence(target.compose.of_kind("postgres").name)
    verify(
        log.count(ErrorKind.CACHED_PLAN) == 0,
        expected='no "cached plan must not change result type"',
        seen=log.describe(ErrorKind.CACHED_PLAN),
        source=log.source,
    )


@pytest.mark.item("schema.restarted-after-change")
def test_stale_plan_would_be_logged(database_settings: DatabaseSettings) -> None:
    """PostgreSQL writes such errors, in words, to the log that was read. Its silence proves nothing else."""
    witness = database_settings.worded_witness()
    verify(
        bool(witness),
        expected="errors reach the container's log in words",
        seen=witness,
        source=database_settings.source,
    )


@pytest.mark.item("schema.columns")
def test_columns_exist(schema: Schema, containers: Containers, target: Target) -> None:
    """Every column that the deployed commit's migrations make is there. The code asks for each of them."""
    manifest = schema.manifest_for(deployed_commit(containers, target))
    missing = schema.missing(manifest)
    verify(
        not missing,
        expected=f"the {manifest.extent} of the manifest ({manifest.origin})",
        seen=f"missing: {', '.join(missing)}" if missing else "all of them",
        source=schema.columns_source,
    )


@pytest.mark.item("schema.columns")
def test_columns_are_alike(schema: Schema, containers: Containers, target: Target) -> None:
    """The columns have the types the migrations give them. A wrong type fails on the first odd value only."""
    manifest = schema.manifest_for(deployed_commit(containers, target))
    different = schema.different(manifest)
    verify(
        not different,
        expected=f"types and nullability of the manifest ({manifest.origin})",
        seen="; ".join(different) or "the same",
        source=schema.columns_source,
    )


@pytest.mark.item("schema.engine")
def test_major(schema: Schema, target: Target) -> None:
    """The server is of the declared major. A volume of another one does not start after the next pull."""
    verify(
        schema.major == target.postgres.major,
        expected=f"PostgreSQL {target.postgres.major}",
        seen=f"PostgreSQL {schema.identity.server_version}",
        source=schema.source,
    )


@pytest.mark.item("schema.engine")
def test_own_instance(schema: Schema, target: Target) -> None:
    """The instance holds no other application's database. Upgrades and restores would hit both at once."""
    others = schema.others(target.postgres.database)
    verify(
        not others,
        expected=f"no database but {target.postgres.database}",
        seen=f"also {', '.join(others)}" if others else "no other",
        source=schema.source,
    )


@pytest.mark.item("schema.engine")
def test_own_volume(containers: Containers, target: Target) -> None:
    """The data lies on the declared volume, which nothing else mounts. A second server would ruin it."""
    service = target.compose.of_kind("postgres")
    elsewhere, sharers = containers.unmounted([service]), containers.sharers(service)
    verify(
        not (elsewhere or sharers),
        expected=f"{', '.join(volume.name for volume in service.volumes)}, mounted by {service.name} only",
        seen="; ".join((*elsewhere, *sharers)) or "as expected",
        source=containers.source_of(service.name),
    )


@pytest.mark.item("schema.seeded")
def test_a_port_exists(schema: Schema) -> None:
    """At least one port exists. Without one no page has anything to show, and no berth can be added."""
    ports = known(schema.ports)
    verify(ports.matching > 0, expected="at least one port", seen=ports.described, source=ports.source)


@pytest.mark.item("schema.seeded")
def test_an_admin_exists(schema: Schema) -> None:
    """At least one admin user exists. Nobody else can let the first user in."""
    admins = known(schema.admins)
    verify(admins.matching > 0, expected="at least one admin", seen=admins.described, source=admins.source)
