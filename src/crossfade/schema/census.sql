-- census --
-- Who is connected to this database: clients only, without crossfade's own connections.
-- Without pg_read_all_stats the state, the times and backend_type of other roles' sessions are NULL; pid, role and
-- application name are there for everybody (measured on 15 and 18).
SELECT pid, usename::text, application_name, coalesce(state, ''),
       extract(epoch FROM clock_timestamp() - state_change)::double precision
FROM pg_catalog.pg_stat_activity
WHERE datname = current_database()
  AND usename IS NOT NULL
  AND pid <> pg_backend_pid()
  AND coalesce(backend_type, 'client backend') = 'client backend'
  AND pid NOT IN (SELECT s.pid FROM pg_catalog.pg_stat_get_wal_senders() AS s)
  AND NOT (usename = session_user AND starts_with(application_name, 'crossfade '))
ORDER BY pid
