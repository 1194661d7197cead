-- Whether the session's role may count a table's rows and sees all of them; `column` may be null.
-- Footprint: counters in the server's statistics; a log line only if it logs every statement
select
    pg_catalog.has_schema_privilege(relnamespace, 'usage')
    and pg_catalog.has_any_column_privilege(oid, 'select')
    and coalesce(pg_catalog.has_column_privilege(oid, %(column)s::text, 'select'), true)
    and not pg_catalog.row_security_active(oid) as readable
from pg_catalog.pg_class
where oid = %(oid)s::oid
