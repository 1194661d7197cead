-- Whether errors of any session reach the server's standard error, and in which words.
-- Footprint: counters in the server's statistics; a log line only if it logs every statement
select
    current_setting('server_version') as server_version,
    current_setting('log_destination') as log_destination,
    current_setting('logging_collector') as logging_collector,
    current_setting('log_min_messages') as log_min_messages,
    current_setting('log_min_error_statement') as log_min_error_statement,
    current_setting('log_error_verbosity') as log_error_verbosity,
    current_setting('log_line_prefix') as log_line_prefix,
    current_setting('lc_messages') as lc_messages,
    array(
        select distinct setting
        from pg_catalog.pg_db_role_setting
        cross join lateral unnest(setconfig) as setting
        where setting ~ '^(log_min_messages|log_error_verbosity|lc_messages)='
        order by setting
    ) as overrides
