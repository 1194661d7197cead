-- Every value of one setting; a setting may hold one value for each port. Table and columns come from the target file
-- and were found in the catalogue.
-- Footprint: counters in the server's statistics; a log line only if it logs every statement
-- Needs: storage.setting.table (storage.setting.value, storage.setting.name)
select {value}::text as value
from {table}
where {name}::text = %(name)s::text
order by 1
limit 100
