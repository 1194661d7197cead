-- The test inquiry's row among the newest submissions, told by its marker, with the utm values that came with it. Table
-- and columns come from the target file and were found in the catalogue.
-- Footprint: counters in the server's statistics; a log line only if it logs every statement
-- Needs: website.submissions.table (website.submissions.payload, website.submissions.utm, website.submissions.created_at)
with newest as (
    select {payload}::text as payload, {utm}::text as utm
    from {table}
    order by {created_at} desc nulls last
    limit 200
)
select utm
from newest
where strpos(payload, %(marker)s::text) > 0
limit 1
