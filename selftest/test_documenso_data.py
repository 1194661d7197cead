"""Documenso's data: schema and migrations against the recorded catalogues, documents, objects and seals."""

from __future__ import annotations

import hashlib
import io
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import SignatureCoverageLevel, validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from rehearsal.documenso import migrations, pdf, population, schema, sealing
from rehearsal.documenso.accounts import Crm, Login
from rehearsal.documenso.population import Setting, StoredObject
from rehearsal.documenso.versions import RECORDED, VERSIONS, Version
from selftest import app_stack

MOMENT = datetime(2026, 6, 1, 12, tzinfo=UTC)
TOKEN = "api_0123456789abcdef"
PASSPHRASE = "correct horse 1"
TRIGRAMS = "20260302223702_optimize_recipient_indexes"
INDEXES = "20251112224336_add_database_indexes"
RATE_LIMIT = "20260219141233_add_rate_limit_table"

Row = tuple[Any, ...]
Connection = psycopg.Connection[Row]
Databases = Callable[..., Connection]


class Server:
    """A PostgreSQL of its own, and what connects to its databases."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._open: list[Connection] = []

    def connect(self, database: str, user: str = "crm") -> Connection:
        dsn = make_conninfo(self._dsn, dbname=database, user=user)
        self._open.append(psycopg.connect(dsn, autocommit=True))
        return self._open[-1]

    def make(self, template: str = "template0", name: str = "") -> str:
        """Make a database."""
        name = name or f"selftest_{secrets.token_hex(4)}"
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            query = sql.SQL("create database {} template {}")
            connection.execute(query.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def close(self) -> None:
        while self._open:
            self._open.pop().close()


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    """The server, with the databases `migrated` (v1.13.1, empty) and `populated` (v1.13.1, small)."""
    with app_stack.database() as stack:
        server = Server(stack.dsn)
        schema.create(server.connect(server.make(name="migrated")))
        server.close()
        yield server


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    yield running
    running.close()


@pytest.fixture
def old(server: Server) -> Connection:
    """A database of v1.13.1 without a row."""
    return server.connect(server.make("migrated"))


@pytest.fixture(scope="module")
def certificate() -> sealing.Certificate:
    return sealing.make_certificate(PASSPHRASE)


@pytest.fixture(scope="module")
def setting(certificate: sealing.Certificate) -> Setting:
    crm = Crm(TOKEN, "https://crm.portnimara.test/api/webhooks/documenso", "secret-of-the-webhook")
    login = Login("stefan@portnimara.test", "geheim-genug")
    return Setting(crm, login, certificate.p12, PASSPHRASE, MOMENT)


@pytest.fixture(scope="module")
def populated(running: Server, setting: Setting) -> tuple[str, dict[str, StoredObject]]:
    """The name of a database with the small population, and its objects by key."""
    name = running.make("migrated", "populated")
    objects = population.small(running.connect(name), setting)
    running.close()
    assert len({stored.key for stored in objects}) == len(objects)
    return name, {stored.key: stored for stored in objects}


# The schema


def _columns(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """What the catalogue says of columns, in the words of the recording."""
    rows = connection.execute(
        """select c.table_name::text, c.column_name::text,
            case c.data_type when 'USER-DEFINED' then c.udt_name
                when 'ARRAY' then coalesce(e.typname, ltrim(c.udt_name, '_')) || '[]' else c.data_type end,
            c.is_nullable = 'YES', c.column_default is not null, c.character_maximum_length,
            c.datetime_precision, case when e.typtype = 'e' then e.typname::text end
        from information_schema.columns c
        join pg_type t on t.typname = c.udt_name and t.typnamespace = c.udt_schema::regnamespace
        left join pg_type e on e.oid = case when t.typelem = 0 then t.oid else t.typelem end
        where c.table_schema = 'public' order by c.table_name, c.ordinal_position"""
    )
    tables: dict[str, list[dict[str, Any]]] = {}
    for table, name, kind, nullable, default, length, precision, enum in rows:
        column = {"name": name, "type": kind, "nullable": nullable, "has_default": default}
        others = {"max_length": length, "precision": precision, "enum": enum}
        column |= {key: value for key, value in others.items() if value is not None}
        tables.setdefault(table, []).append(column)
    return tables


def _values(connection: Connection, query: str) -> list[Any]:
    return [row[0] for row in connection.execute(query.encode())]


def _key(connection: Connection, table: str) -> list[Any]:
    rows = connection.execute(
        """select a.attname::text from pg_index i, unnest(i.indkey) with ordinality k(number, place),
        pg_attribute a where i.indrelid = quote_ident(%s)::regclass and i.indisprimary
        and a.attrelid = i.indrelid and a.attnum = k.number order by k.place""",
        (table,),
    )
    return [row[0] for row in rows]


INDEXED = "select indexname from pg_indexes where schemaname = 'public'"


@pytest.mark.parametrize(("version", "indexes"), [("v1.13.1", 98), ("v2.11.0", 131)])
def test_the_catalogue_is_the_recorded_one(old: Connection, version: Version, indexes: int) -> None:
    recorded = json.loads((RECORDED / f"schema-{version}.json").read_text(encoding="utf-8"))
    assert not migrations.deploy(old, version).failed
    columns = _columns(old)
    assert sorted(columns) == sorted(recorded["all_table_names"])
    for name, table in recorded["tables"].items():
        assert columns[name] == table["columns"], name
        assert _key(old, name) == table["primary_key"], name
    for name, values in recorded["enums"].items():
        query = (
            f"select enumlabel from pg_enum where enumtypid = '\"{name}\"'::regtype order by enumsortorder"
        )
        assert _values(old, query) == values, name
    assert len(_values(old, INDEXED)) == indexes
    extensions = _values(old, "select extname from pg_extension where extname <> 'plpgsql' order by 1")
    assert extensions == recorded["extensions"]


def _history(connection: Connection) -> list[Row]:
    return connection.execute(
        """select migration_name, checksum, finished_at is not null, rolled_back_at is not null, logs,
            applied_steps_count from "_prisma_migrations" order by started_at, migration_name"""
    ).fetchall()


def test_each_step_adds_what_the_version_ships(old: Connection) -> None:
    for version in VERSIONS:
        outcome = migrations.deploy(old, version)
        recorded = json.loads((RECORDED / f"migrations-{version}.json").read_text(encoding="utf-8"))
        assert _history(old) == [(each["name"], each["checksum"], True, False, None, 1) for each in recorded]
        assert (len(outcome.applied), outcome.failed) == (
            {"v1.13.1": 0, "v2.0.0": 1, "v2.11.0": 16}[version],
            False,
        )
    assert outcome.lines[-1] == "All migrations have been successfully applied."


def test_a_search_index_is_collatable_too(old: Connection) -> None:
    """The ones that a change of collation may break; trigram indexes among them."""
    migrations.deploy(old, "v2.11.0")
    query = """select c.relname::text from pg_index i join pg_class c on c.oid = i.indexrelid
        where c.relnamespace = 'public'::regnamespace and i.indcollation::text ~ '[1-9]'"""
    found = set(_values(old, query))
    assert {"Recipient_email_trgm_idx", "Recipient_name_trgm_idx", "User_email_key"} <= found
    assert "Recipient_expiresAt_idx" not in found


# Migrations that go wrong


@contextmanager
def _restricted(server: Server) -> Iterator[tuple[Connection, Connection]]:
    """A database of a role that owns all its tables and may not create extensions; both may connect."""
    name = server.make()
    admin = server.connect(name)
    for query in (
        "create role documenso login",
        "grant all on schema public to documenso",
        f"grant create on database {name} to documenso",
    ):
        admin.execute(query.encode())
    role = server.connect(name, "documenso")
    schema.create(role)
    admin.execute(f"revoke create on database {name} from documenso".encode())
    yield role, admin
    admin.execute("drop owned by documenso cascade")
    role.close()
    admin.execute("drop role documenso")


def test_a_role_that_may_not_create_the_extension_is_stuck_there(server: Server) -> None:
    with _restricted(server) as (role, admin):
        assert len(migrations.deploy(role, "v2.0.0").applied) == 1
        outcome = migrations.deploy(role, "v2.11.0")
        assert outcome.failed
        assert len(outcome.applied) + 1 == 11
        assert "Error: P3018" in outcome.lines
        assert 'ERROR: permission denied to create extension "pg_trgm"' in outcome.lines
        (stuck,) = [row for row in _history(role) if not row[2]]
        assert (stuck[0], stuck[3], stuck[5]) == (TRIGRAMS, False, 0)
        assert "Database error code: 42501" in stuck[4]

        again = migrations.deploy(role, "v2.11.0")
        assert (again.failed, again.applied) == (True, ())
        assert "Error: P3009" in again.lines

        admin.execute("create extension pg_trgm")
        assert not migrations.resolve_rolled_back(role, TRIGRAMS).failed
        assert len(migrations.deploy(role, "v2.11.0").applied) == 6
        rows = [row[2:] for row in _history(role) if row[0] == TRIGRAMS]
        assert [(done, back, steps) for done, back, _, steps in rows] == [(False, True, 0), (True, False, 1)]


@pytest.mark.parametrize(
    ("leftover", "stuck", "before", "said"),
    [
        (
            'create index "Envelope_teamId_idx" on "Envelope" ("teamId")',
            INDEXES,
            2,
            'ERROR: relation "Envelope_teamId_idx" already exists',
        ),
        (
            'create table "RateLimit" ("key" text)',
            RATE_LIMIT,
            9,
            'ERROR: relation "RateLimit" already exists',
        ),
    ],
)
def test_what_stands_in_the_way_stops_it(
    old: Connection, leftover: str, stuck: str, before: int, said: str
) -> None:
    old.execute(leftover.encode())
    outcome = migrations.deploy(old, "v2.11.0")
    assert (len(outcome.applied), outcome.failed) == (before, True)
    assert said in outcome.lines
    assert [row[0] for row in _history(old) if not row[2]] == [stuck]


def test_a_failed_migration_leaves_nothing(old: Connection) -> None:
    """Its script is one transaction: the index before the one that exists is not there either."""
    old.execute('create index "Envelope_userId_idx" on "Envelope" ("userId")')
    migrations.deploy(old, "v2.11.0")
    assert "Envelope_folderId_idx" not in _values(old, INDEXED)


def test_resolved_as_applied_did_not_run(old: Connection) -> None:
    old.execute('create table "RateLimit" ("key" text)')
    migrations.deploy(old, "v2.11.0")
    assert not migrations.resolve_applied(old, RATE_LIMIT, "v2.11.0").failed
    assert not migrations.deploy(old, "v2.11.0").failed
    rows = [row[2:] for row in _history(old) if row[0] == RATE_LIMIT]
    assert [(done, back, steps) for done, back, _, steps in rows] == [(False, True, 0), (True, False, 0)]
    assert rows[1][2] == ""
    assert "P3008" in migrations.resolve_applied(old, RATE_LIMIT, "v2.11.0").lines[0]
    assert "P3012" in migrations.resolve_rolled_back(old, RATE_LIMIT).lines[0]


def test_old_code_on_a_newer_database_has_nothing_to_do(old: Connection) -> None:
    migrations.deploy(old, "v2.11.0")
    outcome = migrations.deploy(old, "v1.13.1")
    assert (outcome.failed, outcome.applied) == (False, ())
    assert outcome.lines[-1] == "No pending migrations to apply."


def test_a_migration_repeated_by_hand_counts_once(server: Server) -> None:
    connection = server.connect(server.make())
    schema.create(connection, retried=True)
    assert (len(_history(connection)), len({row[0] for row in _history(connection)})) == (141, 140)
    assert not migrations.deploy(connection, "v2.11.0").failed


def test_an_empty_database_is_made_and_a_strange_one_left_alone(server: Server) -> None:
    connection = server.connect(server.make())
    assert len(migrations.deploy(connection, "v2.11.0").applied) == 157
    strange = server.connect(server.make())
    strange.execute("create table notes (id integer)")
    assert "Error: P3005" in migrations.deploy(strange, "v2.11.0").lines


def test_two_at_once_and_no_server(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    name = server.make("migrated")
    connection = server.connect(name)
    server.connect(name).execute(f"select pg_advisory_lock({migrations.LOCK})".encode())
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT", 50)
    assert "Error: P1002" in migrations.deploy(connection, "v2.11.0").lines
    nowhere = make_conninfo(host="127.0.0.1", port=1, user="crm", dbname=name)
    assert "Error: P1001" in migrations.run(nowhere, "v2.11.0").lines


# Documents


def _digests(connection: Connection, columns: dict[str, list[str]]) -> dict[str, Any]:
    """A digest of each table's rows over the given columns."""
    return {
        table: connection.execute(
            sql.SQL(
                "select count(*), md5(string_agg(t::text, '|' order by t::text)) from (select {} from {}) t"
            ).format(sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(table))
        ).fetchone()
        for table, names in columns.items()
    }


def _names(connection: Connection) -> dict[str, list[str]]:
    found = {table: [column["name"] for column in columns] for table, columns in _columns(connection).items()}
    found.pop("_prisma_migrations")
    found["User"].remove("password")
    return found


Populated = tuple[str, dict[str, StoredObject]]


def test_an_upgrade_changes_no_row(server: Server, populated: Populated) -> None:
    connection = server.connect(server.make(populated[0]))
    columns = _names(connection)
    before = _digests(connection, columns)
    assert sum(count for count, _ in before.values()) > 2000
    assert not migrations.deploy(connection, "v2.11.0").failed
    assert _digests(connection, columns) == before
    limits = _values(connection, 'select distinct "envelopeItemCount" from "SubscriptionClaim" order by 1')
    assert limits == [5, 10]


def test_the_same_seed_makes_the_same_rows_in_every_version(
    server: Server, populated: Populated, setting: Setting
) -> None:
    first = server.connect(populated[0])
    second = server.connect(server.make("migrated"))
    migrations.deploy(second, "v2.11.0")
    objects = population.small(second, setting, expiry={"unit": "month", "amount": 6})
    columns = _names(first)
    assert {stored.key for stored in objects} == set(populated[1])
    # Sealed PDFs differ in when they were sealed.
    columns["DocumentData"].remove("data")
    assert _digests(second, columns) == _digests(first, columns)
    query = """select "envelopeExpirationPeriod" from "OrganisationGlobalSettings"
        where "envelopeExpirationPeriod" is not null"""
    assert _values(second, query) == [{"unit": "month", "amount": 6}]


DOCUMENTS = """from "Envelope" e join "EnvelopeItem" i on i."envelopeId" = e.id
    join "DocumentData" d on d.id = i."documentDataId" where e.type = 'DOCUMENT' """


def test_finished_documents_have_both_objects(server: Server, populated: Populated) -> None:
    name, objects = populated
    connection = server.connect(name)
    rows = connection.execute(
        f"""select d.data, d."initialData" {DOCUMENTS} and d.type = 'S3_PATH'
        and e.status in ('COMPLETED', 'REJECTED')""".encode()
    ).fetchall()
    assert len(rows) > 100
    for signed, original in rows:
        assert signed != original
        assert b"/ByteRange" in objects[signed].content
        assert b"/ByteRange" not in objects[original].content
    pending = _values(
        connection, f"select d.data {DOCUMENTS} and d.type = 'S3_PATH' and e.status = 'PENDING'"
    )
    assert set(pending) <= set(objects)


NOTHING = {
    "pending with every signer signed": """select e.id from "Envelope" e where e.status = 'PENDING'
        and not exists (select from "Recipient" r where r."envelopeId" = e.id and r.role <> 'CC'
        and r."signingStatus" <> 'SIGNED')""",
    "completed with somebody who has not": """select r.id from "Recipient" r join "Envelope" e
        on e.id = r."envelopeId" where e.status = 'COMPLETED' and r."signingStatus" <> 'SIGNED'""",
    "user without organisation": """select id from "User" u where not exists (
        select from "OrganisationMember" m where m."userId" = u.id)""",
    "signer without signature field": """select r.id from "Recipient" r where r.role = 'SIGNER'
        and not exists (select from "Field" f where f."recipientId" = r.id and f.type = 'SIGNATURE')""",
    "failed job that seals": """select id from "BackgroundJob"
        where "jobId" = 'internal.seal-document' and status <> 'COMPLETED'""",
    "row from the future": f"""select id from "Envelope" where greatest("updatedAt", "deletedAt") > '{MOMENT}'
        union all select id from "WebhookCall" where "createdAt" > '{MOMENT}'""",
    "number above the counter": """select id from "Envelope" e
        where split_part("secondaryId", '_', 2)::integer >
        (select value from "Counter" c where c.id = lower(e.type::text))""",
    "failed delivery of late": f"""select id from "WebhookCall" where status = 'FAILED'
        and "createdAt" > '{MOMENT - timedelta(days=30)}'""",
}
SOMETHING = {
    "in each status": (4, 'select distinct status from "Envelope"'),
    "documents": (215, """select id from "Envelope" where type = 'DOCUMENT'"""),
    "in the list that v1 shows the CRM": (
        75,
        """select id from "Envelope" where type = 'DOCUMENT' and "teamId" = 2 and "folderId" is null
        and "deletedAt" is null""",
    ),
    "in folders": (20, 'select id from "Envelope" where "folderId" is not null'),
    "softly deleted": (8, 'select id from "Envelope" where "deletedAt" is not null'),
    "kept in rows": (17, f"select e.id {DOCUMENTS} and d.type = 'BYTES_64'"),
    "signed by one of two": (
        1,
        """select distinct e.id from "Envelope" e join "Recipient" r on r."envelopeId" = e.id
        where e.status = 'PENDING' and r.role = 'SIGNER' and r."signingStatus" = 'SIGNED'""",
    ),
    "not asked before another has signed": (
        1,
        """select r.id from "Recipient" r join "Envelope" e on r."envelopeId" = e.id
        where e.status = 'PENDING' and r."sendStatus" = 'NOT_SENT'""",
    ),
    "repeated deliveries": (4, """select id from "WebhookCall" where status = 'FAILED'"""),
    "deliveries of the last day": (
        3,
        f"""select id from "WebhookCall" where "createdAt" > '{MOMENT - timedelta(days=1)}'""",
    ),
}


@pytest.mark.parametrize("query", NOTHING.values(), ids=NOTHING)
def test_nothing_is_wrong_with_the_small_population(server: Server, populated: Populated, query: str) -> None:
    assert _values(server.connect(populated[0]), query) == []


@pytest.mark.parametrize(("count", "query"), SOMETHING.values(), ids=SOMETHING)
def test_the_small_population_holds(server: Server, populated: Populated, count: int, query: str) -> None:
    assert len(_values(server.connect(populated[0]), query)) == count


def test_orphans_missing_uploads_and_logos(server: Server, populated: Populated) -> None:
    name, objects = populated
    connection = server.connect(name)
    keys = set(
        _values(
            connection,
            """select unnest(array[data, "initialData"]) from "DocumentData"
        where type = 'S3_PATH'""",
        )
    )
    orphans = _values(
        connection,
        """select d.data from "DocumentData" d
        where not exists (select from "EnvelopeItem" i where i."documentDataId" = d.id)""",
    )
    missing = _values(connection, f"select d.data {DOCUMENTS} and e.status = 'DRAFT' and d.type = 'S3_PATH'")
    logos = [
        json.loads(logo)
        for logo in _values(
            connection,
            """select "brandingLogo" from "TeamGlobalSettings"
        where "brandingLogo" <> '' union all select "brandingLogo" from "OrganisationGlobalSettings"
        where "brandingLogo" <> ''""",
        )
    ]
    assert len(keys - set(objects)) == 7
    assert keys - set(objects) <= set(missing)
    assert len(set(objects) - keys) == 3
    assert len(orphans) > 100
    assert set(orphans) <= set(objects)
    assert sorted(logo["type"] for logo in logos) == ["BYTES_64", "S3_PATH"]
    assert {logo["data"] for logo in logos if logo["type"] == "S3_PATH"} <= set(objects)


def test_the_crms_token_and_webhook_and_the_password(
    server: Server, populated: Populated, setting: Setting
) -> None:
    connection = server.connect(populated[0])
    digest = hashlib.sha512(TOKEN.encode()).hexdigest()
    tokens = connection.execute(
        'select token = %s, "teamId", expires is null from "ApiToken"', (digest,)
    ).fetchall()
    assert (True, 2, True) in tokens
    assert (False, 2, False) in tokens
    assert connection.execute(
        'select "webhookUrl", secret, cardinality("eventTriggers") from "Webhook" where enabled'
    ).fetchall() == [(setting.crm.webhook_url, setting.crm.webhook_secret, 7)]
    query = 'select email from "User" where password = crypt(%s, password)'
    assert connection.execute(query, (setting.login.password,)).fetchall() == [(setting.login.email,)]
    assert TOKEN not in repr(setting)


def test_numbers_go_on_where_the_recorded_ones_do(server: Server, populated: Populated) -> None:
    """Document 216 has recipient 221 and field 218 in the recordings."""
    connection = server.connect(server.make(populated[0]))
    assert _values(connection, """select value from "Counter" where id = 'document'""") == [215]
    for table, number in (("Recipient", 221), ("Field", 218)):
        query = f"select nextval(pg_get_serial_sequence('\"{table}\"', 'id'))"
        assert _values(connection, query) == [number]


def test_a_large_population_has_its_objects(server: Server, setting: Setting) -> None:
    connection = server.connect(server.make("migrated"))
    objects = {stored.key for stored in population.large(connection, setting, documents=3000)}
    assert _values(connection, """select count(*) from "Envelope" where type = 'DOCUMENT'""") == [3000]
    needed = set(
        _values(
            connection,
            f"""select unnest(array[d.data, d."initialData"]) {DOCUMENTS}
        and d.type = 'S3_PATH' and e.status <> 'DRAFT'""",
        )
    )
    assert needed <= objects
    assert len(needed) > 5000


# PDFs and seals

BLANK = pdf.document("Vertrag", [["Seite"]])


def test_a_pdf_opens() -> None:
    reader = PdfFileReader(io.BytesIO(pdf.document("Kündigung – 契約", [["(erste) Seite"], ["zweite \\"]])))
    assert reader.root["/Pages"]["/Count"] == 2
    assert reader.trailer_view["/Info"]["/Title"] == "Kündigung – 契約"


@pytest.mark.parametrize("subfilter", ["adbe.pkcs7.detached", "ETSI.CAdES.detached"])
def test_a_seal_covers_the_whole_file(certificate: sealing.Certificate, subfilter: sealing.SubFilter) -> None:
    sealed = sealing.seal(
        pdf.document("Vertrag", [["Seite"]]),
        certificate.p12,
        PASSPHRASE,
        subfilter=subfilter,
        library="pdf-sign",
    )
    (signature,) = PdfFileReader(io.BytesIO(sealed)).embedded_signatures
    status = validate_pdf_signature(signature, ValidationContext(trust_roots=[], allow_fetching=False))
    assert (status.intact, status.valid, status.coverage) == (True, True, SignatureCoverageLevel.ENTIRE_FILE)
    assert signature.sig_object["/SubFilter"] == f"/{subfilter}"
    assert sealed.count(b"/ByteRange") == 1


@pytest.mark.parametrize(
    ("form", "passphrase", "library", "said"),
    [
        ("legacy", "wrong", "pdf-sign", "Failed to get private key bags"),
        ("modern", PASSPHRASE, "pdf-sign", "Failed to get private key bags"),
        ("legacy", "", "pdf-sign", "Failed to get private key bags"),
        ("modern", "wrong", "libpdf", "Integrity for the PKCS#12 data is broken!"),
    ],
)
def test_which_certificates_cannot_seal(
    form: sealing.Form, passphrase: str, library: sealing.Library, said: str
) -> None:
    p12 = sealing.make_certificate(PASSPHRASE, form=form).p12
    with pytest.raises(sealing.SealError, match=said):
        sealing.seal(BLANK, p12, passphrase, subfilter="ETSI.CAdES.detached", library=library)


def test_the_newer_library_reads_modern_certificates() -> None:
    p12 = sealing.make_certificate(PASSPHRASE, form="modern").p12
    assert sealing.seal(BLANK, p12, PASSPHRASE, subfilter="ETSI.CAdES.detached").startswith(BLANK)
