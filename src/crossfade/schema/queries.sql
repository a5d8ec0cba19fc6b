-- cancel --
SELECT pg_cancel_backend(%(pid)s)

-- end_session --
SELECT pg_terminate_backend(%(pid)s)

-- alive --
SELECT 1

-- installed --
-- Whether the journal's schema has the tables of the track.
SELECT to_regclass('crossfade.change') IS NOT NULL

-- services --
-- Whose changes and leases are here, and whether releases of that service were ever walked on this database.
SELECT service, bool_or(bound) FROM (
    SELECT service, true AS bound FROM crossfade.binding
    UNION ALL SELECT service, false FROM crossfade.lease
    UNION ALL SELECT service, false FROM crossfade.change
) AS known (service, bound)
GROUP BY service ORDER BY service

-- leads --
-- Whether this epoch leads. Without a lock: a long scan that held one would keep the lease from being renewed.
SELECT FROM crossfade.lease WHERE service = %(service)s AND epoch = %(epoch)s

-- leads_until_commit --
-- Whether this epoch leads, and no other can begin before this transaction has ended.
SELECT FROM crossfade.lease WHERE service = %(service)s AND epoch = %(epoch)s FOR SHARE

-- leader --
SELECT max(epoch) FROM crossfade.lease WHERE service = %(service)s

-- begin_change --
INSERT INTO crossfade.change AS held (service, change, version, plan, stage)
VALUES (%(service)s, %(change)s, %(version)s, %(plan)s::jsonb, %(stage)s)
ON CONFLICT (service, change) DO UPDATE
SET version = excluded.version, plan = excluded.plan, stage = excluded.stage, since = clock_timestamp()

-- take_over --
-- A later version that makes the same change finds it in place.
UPDATE crossfade.change SET version = %(version)s
WHERE service = %(service)s AND change = %(change)s AND version <> %(version)s

-- read_change --
SELECT stage, plan FROM crossfade.change WHERE service = %(service)s AND change = %(change)s

-- set_stage --
UPDATE crossfade.change SET stage = %(stage)s, since = clock_timestamp()
WHERE service = %(service)s AND change = %(change)s

-- put_act --
INSERT INTO crossfade.schema_act (service, change, unit, way, epoch, data)
VALUES (%(service)s, %(change)s, %(unit)s, %(way)s, %(epoch)s, %(data)s::jsonb)
RETURNING id

-- note_commit --
-- How long the commit itself took is known after it only.
UPDATE crossfade.schema_act SET data = data || %(measured)s::jsonb WHERE id = %(id)s

-- last_acts --
-- The last row of each unit.
SELECT DISTINCT ON (unit) unit, way, data FROM crossfade.schema_act
WHERE service = %(service)s AND change = %(change)s
ORDER BY unit, id DESC

-- forget_progress --
-- What was filled is gone with its columns.
DELETE FROM crossfade.backfill WHERE service = %(service)s AND change = %(change)s

-- gone --
-- Changes that were purged: what they wanted is simply there.
SELECT change FROM crossfade.change WHERE service = %(service)s AND stage = %(gone)s ORDER BY since

-- standings --
-- Changes that have begun and are neither undone nor gone. One at the base counts when it has begun: something of it
-- may be in place.
SELECT c.plan, c.stage, c.version, c.since
FROM crossfade.change AS c
LEFT JOIN LATERAL (
    SELECT way FROM crossfade.schema_act AS a
    WHERE a.service = c.service AND a.change = c.change AND a.unit = 'begin' ORDER BY id DESC LIMIT 1
) AS begun ON true
WHERE c.service = %(service)s AND c.stage <> %(gone)s AND (c.stage <> %(base)s OR begun.way = 'do')
ORDER BY c.since, c.change

-- mismatches --
-- What was recorded since the change began last, by table and kind.
SELECT m.table_name || ': ' || m.kind, count(*)
FROM crossfade.mismatch AS m
WHERE m.change = %(change)s AND m.at >= coalesce((
    SELECT max(at) FROM crossfade.schema_act
    WHERE service = %(service)s AND change = %(change)s AND unit = 'begin' AND way = 'do'
), '-infinity')
GROUP BY 1 ORDER BY 1

-- put_lane --
INSERT INTO crossfade_sync.lane (role, shape) VALUES (%(role)s, %(shape)s)
ON CONFLICT (role) DO UPDATE SET shape = excluded.shape

-- lane_paths --
-- Of each role that is there: its own search path in this database, the one that it has without that, and whether the
-- asking role may set it (manual, ALTER ROLE: CREATEROLE, and since PostgreSQL 16 ADMIN OPTION on the role as well).
SELECT r.rolname::text, own.path, coalesce(others.path, '"$user", public'),
       me.rolsuper OR me.oid = r.oid OR (me.rolcreaterole AND NOT r.rolsuper AND (
           current_setting('server_version_num')::int < 160000 OR pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION')
       )),
       current_setting('server_version_num')::int, current_user::text
FROM pg_roles AS r
JOIN pg_roles AS me ON me.rolname = current_user
JOIN pg_database AS d ON d.datname = current_database()
LEFT JOIN LATERAL (
    SELECT substr(setting, length('search_path=') + 1) AS path
    FROM pg_db_role_setting AS s CROSS JOIN unnest(s.setconfig) AS setting
    WHERE s.setrole = r.oid AND s.setdatabase = d.oid AND setting LIKE 'search\_path=%%'
) AS own ON true
LEFT JOIN LATERAL (
    SELECT substr(setting, length('search_path=') + 1) AS path
    FROM pg_db_role_setting AS s CROSS JOIN unnest(s.setconfig) AS setting
    WHERE ((s.setrole = r.oid AND s.setdatabase = 0) OR (s.setrole = 0 AND s.setdatabase IN (0, d.oid)))
      AND setting LIKE 'search\_path=%%'
    ORDER BY s.setrole = r.oid DESC, s.setdatabase <> 0 DESC LIMIT 1
) AS others ON true
WHERE r.rolname = ANY (%(roles)s)
ORDER BY r.rolname

-- may_create_schemas --
SELECT has_database_privilege(current_database(), 'CREATE')

-- pointed_roles --
-- Roles whose search path in this database begins with a change's schema.
SELECT r.rolname::text
FROM pg_db_role_setting AS s CROSS JOIN unnest(s.setconfig) AS setting
JOIN pg_roles AS r ON r.oid = s.setrole
JOIN pg_database AS d ON d.oid = s.setdatabase AND d.datname = current_database()
WHERE starts_with(setting, 'search_path=' || %(schema)s)
ORDER BY 1

-- blockers --
-- Sessions that hold a lock which conflicts with one we are about to ask for, on these tables, their partitions, or what
-- stands behind them where they are views.
-- A role without pg_read_all_stats sees neither age nor query of other roles' sessions; the virtual transaction is
-- visible to all, so one that is met again has been open since.
WITH RECURSIVE asked AS (
    SELECT to_regclass(name)::oid AS oid, name, string_to_array(modes, ',') AS modes
    FROM unnest(%(tables)s::text[], %(modes)s::text[]) AS a (name, modes)
), family AS (
    SELECT oid, name, modes FROM asked WHERE oid IS NOT NULL
    UNION
    SELECT part.oid, f.name, f.modes FROM family AS f CROSS JOIN LATERAL (
        SELECT i.inhrelid FROM pg_inherits AS i WHERE i.inhparent = f.oid
        UNION ALL
        SELECT d.refobjid FROM pg_class AS v
        JOIN pg_rewrite AS r ON r.ev_class = v.oid
        JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
         AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid
        WHERE v.oid = f.oid AND v.relkind = 'v'
    ) AS part (oid)
)
SELECT DISTINCT ON (l.virtualtransaction)
       l.pid, l.virtualtransaction, f.name, l.mode, a.application_name, a.usename::text,
       extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8, left(a.query, 80), p.gid
FROM family AS f
JOIN pg_locks AS l ON l.locktype = 'relation' AND l.relation = f.oid AND l.granted AND l.mode = ANY (f.modes)
 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
LEFT JOIN pg_locks AS x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
 AND x.virtualtransaction = l.virtualtransaction
LEFT JOIN pg_prepared_xacts AS p ON p.transaction = x.transactionid
WHERE l.pid IS DISTINCT FROM pg_backend_pid()
ORDER BY l.virtualtransaction, l.mode = 'ShareUpdateExclusiveLock'

-- deadlock_timeout_ms --
SELECT setting::integer FROM pg_settings WHERE name = 'deadlock_timeout'

-- one_at_a_time --
-- Two processes that do the same act of one change: the second waits, then finds the unit in place.
SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 0))

-- own_unit --
-- One attempt at a unit that runs outside a transaction. Asked again and again, never waited for: a session that waits
-- has a snapshot, and the concurrent build it waits for would wait for that.
SELECT pg_try_advisory_lock(hashtextextended(%(key)s, 0))

-- unit_owner --
SELECT l.pid, a.state, extract(epoch FROM clock_timestamp() - a.state_change)::float8, a.query
FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended(%(key)s, 0)

-- index_progress --
-- How far a build is, and whom it waits for: sessions that are older than it, or hold a snapshot that is.
SELECT p.phase, p.blocks_done, p.blocks_total, p.lockers_done, p.lockers_total,
       CASE WHEN p.current_locker_pid <> 0 THEN concat(
           'pid ', p.current_locker_pid, ', ' || nullif(a.application_name, ''), ', role ', coalesce(a.usename, 'of the server'),
           ', open for ' || round(extract(epoch FROM clock_timestamp() - a.xact_start)) || ' s') END
FROM pg_stat_progress_create_index AS p LEFT JOIN pg_stat_activity AS a ON a.pid = p.current_locker_pid
WHERE p.pid = %(pid)s

-- columns_there --
-- Whether the table and all of these columns are there; no columns: the table alone.
SELECT count(*) FILTER (WHERE there) = %(wanted)s FROM (
    SELECT quote_ident(attname) = ANY (%(columns)s::text[])
        OR '"' || replace(attname, '"', '""') || '"' = ANY (%(columns)s::text[]) AS there
    FROM pg_attribute WHERE attrelid = to_regclass(%(table)s) AND attnum > 0 AND NOT attisdropped
    UNION ALL SELECT false WHERE to_regclass(%(table)s) IS NOT NULL
) AS a
HAVING count(*) > 0

-- table_there --
SELECT to_regclass(%(table)s) IS NOT NULL

-- put_attic --
INSERT INTO crossfade.attic (service, change, attic, kept, rows)
VALUES (%(service)s, %(change)s, %(attic)s, %(kept)s, %(rows)s)

-- copy_to_attic --
CREATE TABLE {attic} AS SELECT {columns} FROM {table} WHERE ({only_new}) AND {holds}

-- count_attic --
SELECT {counts} FROM {attic}

-- snapshot --
SELECT pg_current_snapshot()::text

-- written_before --
-- Whether a row's version is one that the snapshot saw. xmin has 32 bits; its epoch is that of the newest id not above.
pg_visible_in_snapshot(greatest(
    xmin::text::bigint + ((pg_snapshot_xmax(pg_current_snapshot())::text::bigint >> 32) << 32)
    - CASE WHEN xmin::text::bigint > (pg_snapshot_xmax(pg_current_snapshot())::text::bigint & 4294967295)
        THEN 4294967296 ELSE 0 END,
    0
)::text::xid8, {before}::pg_snapshot)

-- missing_in_attic --
-- Rows of the table that hold something and are not in the attic as they are. As text, since some types know no
-- equality; EXCEPT ALL: what is there twice is kept twice.
SELECT count(*) FROM (
    SELECT kept::text FROM (
        SELECT {compared} FROM {table} WHERE ({only_new}) AND {holds} AND {written_before}
    ) AS kept
    EXCEPT ALL
    SELECT kept::text FROM (SELECT {compared} FROM {attic}) AS kept
) AS missing
