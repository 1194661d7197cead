-- How many ports there are; the table's name comes from the target file and was found in the catalogue.
-- Footprint: counters in the server's statistics; a log line only if it logs every statement
-- Needs: database_schema.ports
select count(*) as total, count(*) as matching from {table}
