-- leaves --
-- The tables that hold rows: the table itself, or its partitions and children, by name.
WITH RECURSIVE tree AS (
    SELECT to_regclass(%(table)s)::oid AS oid
    UNION
    SELECT i.inhrelid FROM tree AS t JOIN pg_inherits AS i ON i.inhparent = t.oid
)
SELECT c.oid, format('%%I.%%I', n.nspname, c.relname), c.relkind::text, quote_ident(root.relname), c.oid = root.oid
FROM tree AS t
JOIN pg_class AS c ON c.oid = t.oid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_class AS root ON root.oid = to_regclass(%(table)s)
WHERE c.relkind <> 'p'
ORDER BY 2

-- row_search_path --
-- Where a session of this role looks for names by default: triggers of the user's own may count on it.
SELECT coalesce((
    SELECT substr(setting, length('search_path=') + 1)
    FROM pg_db_role_setting AS s
    JOIN pg_roles AS r ON r.rolname = current_user
    JOIN pg_database AS d ON d.datname = current_database()
    CROSS JOIN unnest(s.setconfig) AS setting
    WHERE s.setrole IN (0, r.oid) AND s.setdatabase IN (0, d.oid) AND setting LIKE 'search\_path=%%'
    ORDER BY s.setrole <> 0 AND s.setdatabase <> 0 DESC, s.setrole <> 0 DESC
    LIMIT 1
), '"$user", public')

-- extent --
-- Which file the table is in, how many pages it has, and about how many rows by its statistics (-1: unknown).
SELECT pg_relation_filenode(%(oid)s::oid)::bigint,
       (pg_relation_size(%(oid)s::oid) + block - 1) / block,
       (SELECT CASE WHEN relpages > 0 AND reltuples >= 0
                    THEN reltuples / relpages * (pg_relation_size(oid) / block) ELSE -1 END::bigint
        FROM pg_class WHERE oid = %(oid)s::oid)
FROM (SELECT current_setting('block_size')::bigint AS block) AS b

-- progress --
SELECT relfilenode::bigint, pages, next_page, pass, filled, wal_bytes, busy_ms, done_at IS NOT NULL
FROM crossfade.backfill WHERE service = %(service)s AND change = %(change)s AND task = %(task)s

-- parts --
-- Page ranges that were split off, for another worker: their progress, by the page they began at.
SELECT substr(task, length(%(task)s::text) + 3)::bigint, pages, next_page, pass, filled
FROM crossfade.backfill WHERE service = %(service)s AND change = %(change)s
  AND starts_with(task, %(task)s::text || ' @') AND substr(task, length(%(task)s::text) + 3) ~ '^[0-9]+$'
ORDER BY 1

-- end_part_at --
-- The range that was split ends where the new one begins. No row: others rewrote the table meanwhile.
UPDATE crossfade.backfill SET pages = %(pages)s
WHERE service = %(service)s AND change = %(change)s AND task = %(task)s
  AND relfilenode::bigint = %(filenode)s RETURNING 1

-- fold_parts --
-- What the parts counted goes to the table's own row, and they go.
WITH gone AS (
    DELETE FROM crossfade.backfill
    WHERE service = %(service)s AND change = %(change)s
      AND starts_with(task, %(task)s::text || ' @') AND substr(task, length(%(task)s::text) + 3) ~ '^[0-9]+$'
    RETURNING filled, wal_bytes, busy_ms
), total AS (SELECT sum(filled) AS filled, sum(wal_bytes) AS wal_bytes, sum(busy_ms) AS busy_ms FROM gone)
UPDATE crossfade.backfill AS b
SET filled = b.filled + t.filled, wal_bytes = b.wal_bytes + t.wal_bytes, busy_ms = b.busy_ms + t.busy_ms
FROM total AS t
WHERE t.filled IS NOT NULL AND service = %(service)s AND change = %(change)s AND task = %(task)s

-- put_progress --
-- Where to begin, or to begin anew. What was counted stays.
INSERT INTO crossfade.backfill AS held (service, change, task, relfilenode, pages, next_page, pass)
VALUES (%(service)s, %(change)s, %(task)s, %(filenode)s::bigint::oid, %(pages)s, %(next_page)s, %(pass)s)
ON CONFLICT (service, change, task) DO UPDATE SET relfilenode = excluded.relfilenode, pages = excluded.pages,
    next_page = excluded.next_page, pass = excluded.pass, done_at = NULL

-- batch_begin --
-- All of it ends with the transaction, so it holds behind a pooler, too. synchronous_commit: a batch and its cursor are
-- one transaction, so a crash of the server loses both or none, and a batch that is lost is done again. Whoever
-- commits later what builds on this waits for the log up to there, this included.
SELECT pg_current_wal_insert_lsn()::text, pg_stat_get_xact_tuples_hot_updated(%(oid)s::oid),
       set_config('synchronous_commit', 'off', true),
       set_config('lock_timeout', %(lock_timeout)s, true),
       set_config('statement_timeout', %(statement_timeout)s, true),
       set_config('row_security', 'off', true),
       set_config('search_path', %(search_path)s, true)

-- batch_progress --
-- No row: others rewrote the table, or the row is gone. The batch has locked the table, so its file is the one
-- that was written to. Counts of heap-only updates go on from transaction to transaction: the difference tells.
UPDATE crossfade.backfill
SET next_page = %(next_page)s, pass = %(pass)s, filled = filled + %(rows)s, busy_ms = busy_ms + %(took_ms)s,
    wal_bytes = wal_bytes + pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %(log_began)s::pg_lsn)::bigint
WHERE service = %(service)s AND change = %(change)s AND task = %(task)s
  AND relfilenode::bigint = pg_relation_filenode(%(oid)s::oid)::bigint
RETURNING pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %(log_began)s::pg_lsn)::bigint,
          pg_stat_get_xact_tuples_hot_updated(%(oid)s::oid) - %(hot_began)s

-- fill_done --
UPDATE crossfade.backfill SET done_at = clock_timestamp()
WHERE service = %(service)s AND change = %(change)s AND task = %(task)s

-- gauge --
-- What a backfill rests by. pg_locks is open to every role; other roles' sessions in pg_stat_activity are not. Advisory
-- locks are left out: to wait for one is some applications' business. Archived is told of whole files only; empty where
-- none is yet, NULL where archiving is off.
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint,
       (SELECT count(DISTINCT l.pid) FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
        WHERE NOT l.granted AND l.locktype IN ('relation', 'tuple', 'transactionid') AND a.datname = current_database()),
       (SELECT coalesce(left(last_archived_wal, 24), '') FROM pg_stat_archiver
        WHERE current_setting('archive_mode') <> 'off'),
       (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size')

-- slots --
-- Replication slots that somebody reads from, and those that nobody does: how far back they keep the log.
SELECT slot_name::text, pg_wal_lsn_diff(restart_lsn, '0/0')::bigint, active
FROM pg_replication_slots WHERE restart_lsn IS NOT NULL

-- knobs --
-- The last word on each knob.
SELECT DISTINCT ON (knob) knob, value, who, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'
FROM crossfade.throttle WHERE service = %(service)s ORDER BY knob, id DESC

-- turn_knob --
INSERT INTO crossfade.throttle (service, knob, value, who) VALUES (%(service)s, %(knob)s, %(value)s, %(who)s)

-- knobs_there --
SELECT to_regclass('crossfade.throttle') IS NOT NULL

-- standbys --
-- Physical standbys that stream. Position and state are hidden from a role without pg_monitor: NULL.
SELECT coalesce(nullif(application_name, ''), 'pid ' || pid),
       pg_wal_lsn_diff(replay_lsn, '0/0')::bigint,
       (extract(epoch FROM replay_lag) * 1000)::float8,
       state
FROM pg_stat_replication AS r
WHERE (state = 'streaming' AND replay_lsn IS NOT NULL OR state IS NULL)
  AND NOT EXISTS (SELECT FROM pg_replication_slots AS s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')

-- boundary --
-- Every transaction that has ended is older than this.
SELECT pg_snapshot_xmax(pg_current_snapshot())::xid::text

-- snapshot_holders --
-- Who may still see rows as they were before `boundary`, so that their room cannot be used again (manual 25.1.2).
-- Of sessions that this role may not look into it is known only that a transaction is open: `hidden`. A vacuum's
-- snapshot does not count.
SELECT 'pid ' || a.pid || ', transaction ' || coalesce(l.virtualtransaction, a.backend_xmin::text, ''),
       a.state IS NULL AND a.backend_xmin IS NULL AND a.backend_xid IS NULL AS hidden
FROM pg_stat_activity AS a
LEFT JOIN pg_locks AS l ON l.pid = a.pid AND l.locktype = 'virtualxid' AND l.granted AND l.mode = 'ExclusiveLock'
WHERE a.pid <> pg_backend_pid()
  AND (a.datname = current_database() OR a.datname IS NULL)
  AND a.pid NOT IN (SELECT pid FROM pg_stat_progress_vacuum)
  AND (greatest(age(a.backend_xmin), age(a.backend_xid)) > age(%(boundary)s::xid)
       OR a.state IS NULL AND a.backend_xmin IS NULL AND a.backend_xid IS NULL AND l.pid IS NOT NULL)
UNION ALL
SELECT 'replication slot ' || slot_name, false FROM pg_replication_slots WHERE age(xmin) > age(%(boundary)s::xid)
UNION ALL
SELECT 'prepared transaction ' || gid, false FROM pg_prepared_xacts
WHERE database = current_database() AND age(transaction) > age(%(boundary)s::xid)

-- key_columns --
-- The columns of the primary key, quoted, in its order.
SELECT quote_ident(a.attname)
FROM pg_index AS i
CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = %(oid)s::oid AND i.indisprimary AND k.place <= i.indnkeyatts
ORDER BY k.place

-- slice_limits --
-- For one slice of a comparison. row_security off: a policy that would hide rows is an error instead.
SELECT set_config('lock_timeout', %(lock_timeout)s, true), set_config('statement_timeout', %(statement_timeout)s, true),
       set_config('row_security', 'off', true), set_config('search_path', %(search_path)s, true)

-- filling --
-- What is filled now, or was when it was stopped; parts that were split off are added up with their table.
SELECT change, regexp_replace(task, ' @[0-9]+$', ''), sum(filled)::bigint, min(began_at)
FROM crossfade.backfill AS b
WHERE service = %(service)s
  AND NOT EXISTS (SELECT FROM crossfade.backfill AS d
                  WHERE d.service = b.service AND d.change = b.change AND d.done_at IS NOT NULL
                    AND d.task = regexp_replace(b.task, ' @[0-9]+$', ''))
GROUP BY 1, 2 ORDER BY 4
