-- Stored files: all, or so many of them. Every kind (content type) is cut into four ages; each kind and age gives its
-- files in an order that depends on nothing but the seed and their keys, one after the other. Table and columns come
-- from the target file and were found in the catalogue.
-- Footprint: counters in the server's statistics; a log line only if it logs every statement
-- Needs: storage.files.table (storage.files.key, storage.files.size, storage.files.content_type, storage.files.created_at)
with aged as (
    select
        {key}::text as key,
        {size}::bigint as size,
        {content_type}::text as content_type,
        ntile(4) over (partition by {content_type} order by {created_at}, {key}) as age,
        sha256(convert_to(%(seed)s::text || {key}::text, 'UTF8')) as draw
    from {table}
    where {key} is not null
),
ranked as (
    select *, row_number() over (partition by content_type, age order by draw) as rank
    from aged
)
select key, size, content_type, count(*) over () as total
from ranked
order by rank, draw
limit %(limit)s::bigint
