-- A table's columns, and whether the session's role may read every row of them. Asks the catalogue only: a table that
-- does not exist, or in a schema that is closed to the role, would be an error in the server's log. `parts` is the
-- table's name, with its schema before it if it needs one.
-- Footprint: counters in the server's statistics; a log line only if it logs every statement
select
    attribute.attname::text as "column",
    pg_catalog.has_schema_privilege(class.relnamespace, 'usage')
    and pg_catalog.has_column_privilege(class.oid, attribute.attnum, 'select')
    and not pg_catalog.row_security_active(class.oid) as readable
from pg_catalog.pg_class as class
join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
join pg_catalog.pg_attribute as attribute on attribute.attrelid = class.oid
where class.relkind in ('r', 'p', 'v', 'm', 'f')
    and case pg_catalog.cardinality(%(parts)s::text[])
        when 1 then class.relname = (%(parts)s::text[])[1] and pg_catalog.pg_table_is_visible(class.oid)
        else array[namespace.nspname::text, class.relname::text] = %(parts)s::text[]
    end
    and attribute.attnum > 0
    and not attribute.attisdropped
