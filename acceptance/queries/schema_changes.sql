-- When the schema was last changed, as far as the catalogue tells: the age, in transactions, of its newest row
-- about columns, defaults, constraints and types, with its commit time where the server tracks those; and
-- which transactions the last checkpoint saw. Vacuum, analyze, grants on tables and indexes leave no trace there.
-- Footprint: counters in the server's statistics; a log line only if it logs every statement
with spaces as (
    select oid
    from pg_catalog.pg_namespace
    where nspname !~ '^pg_' and nspname <> 'information_schema'
),

tables as (
    select oid
    from pg_catalog.pg_class
    where relkind in ('r', 'p', 'v', 'm', 'f', 'c') and relnamespace in (select oid from spaces)
),

written as (
    select xmin from pg_catalog.pg_attribute where attnum > 0 and attrelid in (select oid from tables)
    union all
    select xmin from pg_catalog.pg_attrdef where adrelid in (select oid from tables)
    union all
    select xmin from pg_catalog.pg_constraint where connamespace in (select oid from spaces)
    union all
    select xmin from pg_catalog.pg_type where typnamespace in (select oid from spaces)
    union all
    select enum.xmin
    from pg_catalog.pg_enum as enum
    join pg_catalog.pg_type as type on type.oid = enum.enumtypid
    where type.typnamespace in (select oid from spaces)
),

changes as (
    select
        pg_catalog.age(xmin) as age,
        case
            when current_setting('track_commit_timestamp') = 'on'
            then pg_catalog.pg_xact_commit_timestamp(xmin)
        end as committed_at
    from written
),

control as (
    select
        checkpoint_time,
        pg_catalog.age(split_part(next_xid, ':', 2)::xid) as next_age,
        case
            when oldest_active_xid::text <> '0' then pg_catalog.age(oldest_active_xid)
        end as active_age
    from pg_catalog.pg_control_checkpoint()
)

select
    current_setting('track_commit_timestamp') = 'on' as tracked,
    (select min(age) from changes) as newest_age,
    (select committed_at from changes order by age limit 1) as newest_committed_at,
    (select max(committed_at) from changes) as committed_at,
    pg_catalog.pg_postmaster_start_time() as server_started_at,
    (select max(pg_catalog.age(datfrozenxid)) from pg_catalog.pg_database) as horizon_age,
    current_setting('wal_level') <> 'minimal' as active_known,
    control.checkpoint_time as checkpoint_at,
    control.next_age as checkpoint_next_age,
    control.active_age as checkpoint_active_age
from control
