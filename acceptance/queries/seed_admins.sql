-- How many users there are, and how many of them have one of the admin roles; a user may have several,
-- separated by commas. Names come from the target file and were found in the catalogue.
-- Footprint: counters in the server's statistics; a log line only if it logs every statement
-- Needs: database_schema.admins.table (database_schema.admins.column)
select
    count(*) as total,
    count(*) filter (
        where string_to_array(replace({column}::text, ' ', ''), ',') && %(values)s::text[]
    ) as matching
from {table}
