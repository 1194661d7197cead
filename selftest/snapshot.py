"""Everything a rehearsal holds, as digests by name: databases, bucket, queue, and its whole file tree."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import psycopg
import redis
from psycopg import sql

from rehearsal.client import Rehearsal
from rehearsal.services import postgres, s3
from rehearsal.site import Site
from selftest.rehearsed import site_of

_ELSEWHERE = ("volumes/pgdata", "volumes/redisdata")
"""Files of servers whose content is asked of the servers themselves."""

_PRIVATE = ("run", "var/log", "var/lib/sudo", "dev/shm")
"""Directories of the machine that a rehearsal of root's has for itself."""

_CATALOGUE = {
    "roles": "select * from pg_authid",
    "members": "select * from pg_auth_members",
    "role settings": "select * from pg_db_role_setting",
    "databases": "select datname, datdba, datacl from pg_database",
    "schemas": "select * from pg_namespace",
    "relations": "select oid, relname, relnamespace, relowner, relacl, relkind, relpersistence from pg_class",
    "columns": "select * from pg_attribute",
    "functions": "select * from pg_proc",
    "types": "select * from pg_type",
    "constraints": "select * from pg_constraint",
    "default rights": "select * from pg_default_acl",
    "sequences": "select * from pg_sequences",
    "large objects": "select oid, lomowner, lomacl from pg_largeobject_metadata",
    "large objects' content": "select * from pg_largeobject",
}


@dataclass(frozen=True)
class Entry:
    """One thing: a digest of what it is, and for a file also of its content.

    Attributes:
        form: its mode and owner.
        modified: in nanoseconds.
        size: of a file's content in bytes; -1 for what is no file.
    """

    digest: str
    form: str = ""
    modified: int = 0
    size: int = -1
    path: Path | None = None

    def was_appended_to(self, before: Entry) -> bool:
        """Tell whether the content only grew and nothing else about the file changed."""
        if self.path is None or before.size < 0 or self.form != before.form:
            return False
        return _digest(self.path.read_bytes()[: before.size]) == before.digest


Snapshot = dict[str, Entry]


def take(rehearsal: Rehearsal) -> Snapshot:
    """Look at everything."""
    site = site_of(rehearsal)
    found: Snapshot = dict(_databases(site))
    found |= _bucket(site)
    found |= _queue(site)
    found |= _tree(site.root, "")
    if site.as_root:
        root = Path(f"/proc/{rehearsal.describe()['pid']}/root")
        for name in _PRIVATE:
            found |= _tree(root / name, f"/{name}/")
    return found


def differences(before: Snapshot, after: Snapshot, growing: tuple[str, ...] = ()) -> list[str]:
    """Return the names of what differs.

    Args:
        before: the first look.
        after: the second.
        growing: patterns of the names of files that may have been appended to, or made.
    """
    return sorted(
        name
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name) and not _grew(name, before, after, growing)
    )


def _grew(name: str, before: Snapshot, after: Snapshot, growing: tuple[str, ...]) -> bool:
    if name not in after or not any(fnmatch(name, pattern) for pattern in growing):
        return False
    return name not in before or after[name].was_appended_to(before[name])


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _databases(site: Site) -> Iterator[tuple[str, Entry]]:
    with psycopg.connect(postgres.superuser_dsn(site, "postgres")) as connection:
        names = [row[0] for row in connection.execute("select datname from pg_database where datallowconn")]
    for database in names:
        with psycopg.connect(postgres.superuser_dsn(site, database)) as connection:
            queries = {name: sql.SQL(text) for name, text in _CATALOGUE.items()} | _tables(connection)
            for name, query in queries.items():
                yield f"database {database}: {name}", Entry(_rows(connection, query))


def _tables(connection: psycopg.Connection[tuple[str, ...]]) -> dict[str, sql.Composable]:
    found = connection.execute(
        "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE' "
        "and table_schema not in ('pg_catalog', 'information_schema')"
    ).fetchall()
    return {".".join(row): sql.SQL("select * from {}").format(sql.Identifier(*row)) for row in found}


def _rows(connection: psycopg.Connection[tuple[str, ...]], query: sql.Composable) -> str:
    digests = sql.SQL("select md5(each::text) from ({}) as each order by 1").format(query)
    return _digest("".join(row[0] for row in connection.execute(digests)).encode())


def _bucket(site: Site) -> Snapshot:
    store = s3.client(site)
    names = [bucket["Name"] for bucket in store.list_buckets()["Buckets"]]
    return {
        f"bucket {name}: {each['Key']}": Entry(f"{each['Size']} {each['ETag']}")
        for name in names
        for each in store.list_objects_v2(Bucket=name).get("Contents", ())
    }


def _queue(site: Site) -> Snapshot:
    """Return every key but those that expire, which workers renew."""
    with redis.Redis(site.address("redis"), password=site.credentials.redis_password) as client:
        kept = [key for key in client.scan_iter(count=1000) if client.pttl(key) == -1]
        return {f"redis {key.decode()}": Entry(_digest(client.dump(key) or b"")) for key in kept}


def _tree(root: Path, prefix: str) -> Snapshot:
    found: Snapshot = {}
    for directory, names, files in os.walk(root):
        here = Path(directory)
        names[:] = [name for name in names if str((here / name).relative_to(root)) not in _ELSEWHERE]
        for path in (here, *(here / name for name in files)):
            found[f"{prefix}{path.relative_to(root)}"] = _entry(path)
    return found


def _entry(path: Path) -> Entry:
    status = path.lstat()
    form = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
    if stat.S_ISREG(status.st_mode):
        content = path.read_bytes()
        return Entry(_digest(content), form, status.st_mtime_ns, len(content), path)
    if stat.S_ISLNK(status.st_mode):
        return Entry(str(path.readlink()), form)
    return Entry("", form, status.st_mtime_ns)
