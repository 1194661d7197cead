"""What `prisma migrate deploy` does with Documenso's database, from v1.13.1 on.

The 17 migrations are written anew from what they do; their names and checksums are the recorded ones.
Behaviour and rows are those of the migration engine of Prisma 6.19.3 on PostgreSQL 15.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from rehearsal.documenso import ddl, schema
from rehearsal.documenso.ddl import add, add_values, index, trigram_index
from rehearsal.documenso.versions import Migration, Version, migrations

Connection = psycopg.Connection[tuple[object, ...]]

LOCK = 72707369
"""The advisory lock that Prisma takes, so that two of it do not migrate at once."""
LOCK_TIMEOUT = 10_000
"""How long it waits for the lock, in milliseconds."""

_RESOLVE = "Read more about how to resolve migration issues in a production database: https://pris.ly/d/migrate-resolve"
_BASELINE = (
    "Read more about how to baseline an existing production database: https://pris.ly/d/migrate-baseline"
)
_SETTINGS = ("OrganisationGlobalSettings", "TeamGlobalSettings")


def _item_limits(table: str, plan: str) -> list[str]:
    return [
        add(table, "envelopeItemCount integer?"),
        f'update "{table}" set "envelopeItemCount" = 5',  # noqa: S608 - both names are ours
        f"""update "{table}" set "envelopeItemCount" = 10
        where "{plan}" in ('platform', 'enterprise')""",  # noqa: S608 - both names are ours
        f'alter table "{table}" alter column "envelopeItemCount" set not null',
    ]


_SCRIPTS: dict[str, list[str]] = {
    "20251023021214_add_envelope_item_limits": [
        *_item_limits("SubscriptionClaim", "id"),
        *_item_limits("OrganisationClaim", "originalSubscriptionClaimId"),
    ],
    "20251101000330_add_new_webhook_events": add_values(
        "WebhookTriggerEvents",
        "DOCUMENT_RECIPIENT_COMPLETED",
        "DOCUMENT_REMINDER_SENT",
        "TEMPLATE_CREATED",
        "TEMPLATE_UPDATED",
        "TEMPLATE_DELETED",
        "TEMPLATE_USED",
    ),
    "20251112224336_add_database_indexes": [
        *(index("Envelope", column) for column in ("folderId", "teamId", "userId")),
        index("EnvelopeAttachment", "envelopeId"),
        index("EnvelopeItem", "envelopeId"),
        index("Field", "envelopeItemId"),
        index("OrganisationGroup", "organisationId"),
        *(index("OrganisationGroupMember", column) for column in ("groupId", "organisationMemberId")),
        *(index("Session", column) for column in ("userId", "sessionToken")),
        index("Team", "organisationId"),
        *(index("TeamGroup", column) for column in ("teamId", "organisationGroupId")),
    ],
    "20251126053402_add_insights_indexes": [
        *(index("Envelope", column) for column in ("type", "status", "createdAt")),
        *(index("Organisation", column) for column in ("name", "ownerUserId")),
        index("OrganisationMember", "organisationId"),
        *(index("Recipient", column) for column in ("email", "signedAt")),
        index("Team", "name"),
    ],
    "20251201000000_add_ai_features_enabled": [
        add("OrganisationGlobalSettings", "aiFeaturesEnabled boolean = false"),
        add("TeamGlobalSettings", "aiFeaturesEnabled boolean?"),
    ],
    "20251202122345_add_default_recipients": [add(table, "defaultRecipients jsonb?") for table in _SETTINGS],
    "20251203095514_delegate_document_ownership": [
        add("OrganisationGlobalSettings", "delegateDocumentOwnership boolean = false"),
        add("TeamGlobalSettings", "delegateDocumentOwnership boolean?"),
    ],
    "20260113022858_add_envelope_id_index_to_document_audit_log_table": [
        index("DocumentAuditLog", "envelopeId", guarded=True)
    ],
    "20260219091107_add_recipient_expirations": [
        *add_values("WebhookTriggerEvents", "RECIPIENT_EXPIRED"),
        *(add(table, "envelopeExpirationPeriod jsonb?") for table in ("DocumentMeta", *_SETTINGS)),
        add("Recipient", "expirationNotifiedAt timestamp?", "expiresAt timestamp?"),
        index("Recipient", "expiresAt"),
    ],
    "20260219141233_add_rate_limit_table": [
        ddl.Table(
            "RateLimit",
            [
                ddl.Column.parse(line)
                for line in (
                    "key text key",
                    "action text key",
                    "bucket timestamp key",
                    "count integer = 1",
                    "createdAt timestamp = now",
                )
            ],
        ).create(),
        index("RateLimit", "createdAt"),
    ],
    "20260224000000_add_email_domain_last_verified_at": [add("EmailDomain", "lastVerifiedAt timestamp?")],
    "20260302223702_optimize_recipient_indexes": [
        "create extension if not exists pg_trgm",
        *(
            index("Recipient", *columns, guarded=True)
            for columns in (
                ("email", "documentDeletedAt", "envelopeId"),
                ("email", "envelopeId"),
                ("email", "signingStatus", "envelopeId", "role"),
            )
        ),
        trigram_index("Recipient", "email"),
        trigram_index("Recipient", "name"),
    ],
    "20260311000000_add_organisation_template_type": add_values("TemplateType", "ORGANISATION"),
    "20260401000000_add_reminder_settings": [
        *(add(table, "reminderSettings jsonb?") for table in ("DocumentMeta", *_SETTINGS)),
        add("Recipient", "sentAt timestamp?", "lastReminderSentAt timestamp?", "nextReminderAt timestamp?"),
        index("Recipient", "nextReminderAt"),
    ],
    "20260408052212_add_set_null_for_audit_log_foreign_key": [
        'alter table "DocumentAuditLog" drop constraint "DocumentAuditLog_envelopeId_fkey"',
        'alter table "DocumentAuditLog" alter column "envelopeId" drop not null',
        ddl.reference("DocumentAuditLog", "envelopeId", "Envelope", "null"),
    ],
    "20260504000000_add_allow_personal_organisations_to_auth_portal": [
        add("OrganisationAuthenticationPortal", "allowPersonalOrganisations boolean = true"),
        'alter table "OrganisationAuthenticationPortal" '
        'alter column "allowPersonalOrganisations" set default false',
    ],
    "20260507043737_add_custom_css_branding": [
        add("OrganisationGlobalSettings", "brandingColors jsonb?", "brandingCss text = ''"),
        add("TeamGlobalSettings", "brandingColors jsonb?", "brandingCss text?"),
    ],
}


@dataclass(frozen=True)
class Outcome:
    """What a call of Prisma's command line left.

    Attributes:
        lines: what it printed.
        failed: whether its exit code was 1.
        applied: the names of the migrations that this call applied.
    """

    lines: tuple[str, ...]
    failed: bool = False
    applied: tuple[str, ...] = ()


def run(dsn: str, version: Version) -> Outcome:
    """Connect and deploy, as an image's start script does; no server there is an outcome, too (P1001)."""
    try:
        connection = psycopg.connect(dsn, autocommit=True)
    except psycopg.OperationalError:
        parts = conninfo_to_dict(dsn)
        place = f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}"
        return _error(
            "P1001",
            f"Can't reach database server at `{place}`",
            "",
            f"Please make sure your database server is running at `{place}`.",
        )
    with connection:
        return deploy(connection, version)


def deploy(connection: Connection, version: Version) -> Outcome:
    """Apply what a version ships and the database does not have yet.

    Rows of migrations that the version does not know are ignored: an older image on a newer database finds
    nothing to do. A migration that fails leaves the schema as it was, and a row that stops every later call
    until `resolve_applied` or `resolve_rolled_back`. In an empty database, everything up to v1.13.1 is made
    in one go.

    Args:
        connection: in autocommit mode, as the role that Documenso uses.
        version: whose migrations.

    Raises:
        ValueError: the connection is not in autocommit mode.
    """
    if not connection.autocommit:
        raise ValueError(
            "deploy() needs a connection in autocommit mode: each migration is its own transaction"
        )
    try:
        with _lock(connection):
            return _deploy(connection, version)
    except errors.LockNotAvailable:
        return _error(
            "P1002",
            f"The database server at `{_place(connection)}` was reached but timed out.",
            "",
            "Context: Timed out trying to acquire a postgres advisory lock "
            f"(SELECT pg_advisory_lock({LOCK})). Elapsed: {LOCK_TIMEOUT}ms. "
            "See https://pris.ly/d/migrate-advisory-locking for details.",
        )
    except psycopg.Error as error:
        return Outcome(("Error: Schema engine error:", _message(error)), failed=True)


def resolve_applied(connection: Connection, name: str, version: Version) -> Outcome:
    """Record a migration as applied without running it, as `prisma migrate resolve --applied` does.

    Raises:
        psycopg.Error: the server refuses a statement.
    """
    shipped = {migration.name: migration for migration in migrations(version)}
    if name not in shipped:
        return _error("P3017", f"The migration {name} could not be found.")
    rows = _rows(connection, name)
    if any(row.effective for row in rows):
        return _error("P3008", f"The migration `{name}` is already recorded as applied in the database.")
    _roll_back(connection, name)
    connection.execute(
        """insert into "_prisma_migrations"
            (id, checksum, migration_name, finished_at, logs, applied_steps_count)
        values (%s, %s, %s, now(), '', 0)""",
        (str(uuid.uuid4()), shipped[name].checksum, name),
    )
    return Outcome((f"Migration {name} marked as applied.",))


def resolve_rolled_back(connection: Connection, name: str) -> Outcome:
    """Record a failed migration as rolled back, as `prisma migrate resolve --rolled-back` does.

    Raises:
        psycopg.Error: the server refuses a statement.
    """
    rows = _rows(connection, name)
    if not rows:
        return _error(
            "P3011", f"Migration `{name}` cannot be rolled back because it was never applied to the database."
        )
    if not any(row.unfinished for row in rows):
        return _error(
            "P3012", f"Migration `{name}` cannot be rolled back because it is not in a failed state."
        )
    _roll_back(connection, name)
    return Outcome((f"Migration {name} marked as rolled back.",))


@dataclass(frozen=True)
class _Row:
    name: str
    effective: bool
    unfinished: bool
    started: str


def _deploy(connection: Connection, version: Version) -> Outcome:
    shipped = migrations(version)
    lines = [
        f'Datasource "db": PostgreSQL database "{connection.info.dbname}", '
        f'schema "public" at "{_place(connection)}"',
        "",
        f"{len(shipped)} migrations found in prisma/migrations",
        "",
    ]
    applied: list[str] = []
    if not _exists(connection, "_prisma_migrations"):
        if _tables(connection):
            return _error("P3005", f"The database schema is not empty. {_BASELINE}", before=lines)
        schema.create(connection)
        applied += [migration.name for migration in migrations(schema.FIRST)]
        lines += [f"Applying migration `{name}`" for name in applied]
    rows = _rows(connection)
    unfinished = [row for row in rows if row.unfinished]
    if unfinished:
        return _error(
            "P3009",
            "migrate found failed migrations in the target database, "
            f"new migrations will not be applied. {_RESOLVE}",
            *(f"The `{row.name}` migration started at {row.started} UTC failed" for row in unfinished),
            before=lines,
        )
    done = {row.name for row in rows if row.effective}
    for migration in shipped:
        if migration.name not in done:
            lines.append(f"Applying migration `{migration.name}`")
            problem = _apply(connection, migration)
            if problem:
                return Outcome((*lines, *problem), failed=True, applied=tuple(applied))
            applied.append(migration.name)
    return Outcome((*lines, *_summary(applied)), applied=tuple(applied))


def _apply(connection: Connection, migration: Migration) -> list[str]:
    """Run a migration; return what is printed if it failed."""
    identity = str(uuid.uuid4())
    connection.execute(
        """insert into "_prisma_migrations" (id, checksum, migration_name) values (%s, %s, %s)""",
        (identity, migration.checksum, migration.name),
    )
    try:
        connection.execute(";\n".join(_SCRIPTS[migration.name]).encode())
    except psycopg.Error as error:
        report = _report(migration, error)
        connection.execute(
            """update "_prisma_migrations" set logs = %s where id = %s""", ("\n".join(report), identity)
        )
        return ["Error: P3018", "", *report]
    connection.execute(
        """update "_prisma_migrations" set finished_at = clock_timestamp(), applied_steps_count = 1
        where id = %s""",
        (identity,),
    )
    return []


def _report(migration: Migration, error: psycopg.Error) -> list[str]:
    return [
        "A migration failed to apply. "
        f"New migrations cannot be applied before the error is recovered from. {_RESOLVE}",
        "",
        f"Migration name: {migration.name}",
        "",
        f"Database error code: {error.sqlstate}",
        "",
        "Database error:",
        _message(error),
        "",
    ]


def _summary(applied: list[str]) -> list[str]:
    if not applied:
        return ["No pending migrations to apply."]
    return [
        "",
        "The following migration(s) have been applied:",
        "",
        "migrations/",
        *(f"  └─ {name}/\n    └─ migration.sql" for name in applied),
        "",
        "All migrations have been successfully applied.",
    ]


def _rows(connection: Connection, name: str | None = None) -> list[_Row]:
    found = connection.execute(
        """select migration_name, finished_at is not null and rolled_back_at is null,
            finished_at is null and rolled_back_at is null, (started_at at time zone 'UTC')::text
        from "_prisma_migrations" where migration_name = coalesce(%s, migration_name) order by started_at""",
        (name,),
    ).fetchall()
    return [_Row(str(row[0]), bool(row[1]), bool(row[2]), str(row[3])) for row in found]


def _roll_back(connection: Connection, name: str) -> None:
    connection.execute(
        """update "_prisma_migrations" set rolled_back_at = now()
        where migration_name = %s and finished_at is null and rolled_back_at is null""",
        (name,),
    )


@contextmanager
def _lock(connection: Connection) -> Iterator[None]:
    connection.execute("select set_config('lock_timeout', %s, false)", (f"{LOCK_TIMEOUT}ms",))
    try:
        connection.execute("select pg_advisory_lock(%s)", (LOCK,))
    finally:
        connection.execute("reset lock_timeout")
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(%s)", (LOCK,))


def _exists(connection: Connection, table: str) -> bool:
    return table in _tables(connection)


def _tables(connection: Connection) -> set[str]:
    found = connection.execute("select tablename::text from pg_tables where schemaname = 'public'").fetchall()
    return {str(row[0]) for row in found}


def _place(connection: Connection) -> str:
    return f"{connection.info.host}:{connection.info.port}"


def _message(error: psycopg.Error) -> str:
    return f"ERROR: {error.diag.message_primary or str(error).strip()}"


def _error(code: str, *lines: str, before: list[str] | None = None) -> Outcome:
    return Outcome((*(before or ()), f"Error: {code}", "", *lines), failed=True)
