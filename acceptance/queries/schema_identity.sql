-- Which instance and database this is, and which databases the instance holds besides templates.
-- The system identifier is made by initdb; pg_control_system() is open to every role.
-- Footprint: counters in the server's statistics; a log line only if it logs every statement
select
    current_setting('server_version') as server_version,
    current_setting('server_version_num')::integer as server_version_num,
    (select system_identifier::text from pg_catalog.pg_control_system()) as system_identifier,
    datname::text as database,
    oid::bigint as database_oid,
    array(
        select datname::text from pg_catalog.pg_database where not datistemplate order by datname
    ) as databases
from pg_catalog.pg_database
where datname = current_database()
