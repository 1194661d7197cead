-- The settings of that name of every port, once each; a setting without a port is for all of them. Table and columns
-- come from the target file and were found in the catalogue. The values stay in memory: some are addresses of people.
-- Footprint: counters in the server's statistics; a log line only if it logs every statement
-- Needs: port_settings.table (port_settings.name, port_settings.value, port_settings.port)
select distinct {name}::text as name, {value}::text as value, {port}::text as port
from {table}
where {name}::text = any(%(names)s::text[])
order by 1, 3, 2
limit 1000
