-- Every column of every table and view but the system's and those of extensions. A type of the database's own
-- is named with its schema, whatever the session's search_path.
-- Footprint: counters in the server's statistics; a log line only if it logs every statement
select
    namespace.nspname::text as schema,
    class.relname::text as "table",
    class.oid::bigint as oid,
    attribute.attname::text as "column",
    case
        when type_namespace.nspname <> 'pg_catalog' and pg_catalog.pg_type_is_visible(type.oid)
        then pg_catalog.quote_ident(type_namespace.nspname) || '.'
        else ''
    end || pg_catalog.format_type(attribute.atttypid, attribute.atttypmod) as type,
    attribute.attnotnull as not_null
from pg_catalog.pg_class as class
join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
join pg_catalog.pg_attribute as attribute on attribute.attrelid = class.oid
join pg_catalog.pg_type as type on type.oid = attribute.atttypid
join pg_catalog.pg_namespace as type_namespace on type_namespace.oid = type.typnamespace
where class.relkind in ('r', 'p', 'v', 'm', 'f')
    and attribute.attnum > 0
    and not attribute.attisdropped
    and namespace.nspname !~ '^pg_'
    and namespace.nspname <> 'information_schema'
    and not exists (
        select
        from pg_catalog.pg_depend
        where classid = 'pg_catalog.pg_class'::regclass and objid = class.oid and deptype = 'e'
    )
order by namespace.nspname, class.relname, attribute.attnum
