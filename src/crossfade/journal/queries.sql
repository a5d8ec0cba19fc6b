-- install_lock --
-- One installer at a time; let go when its transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('crossfade journal schema', 0))

-- installed --
-- Whether the schema is there. Asked of the tables, not of to_regclass: that one answers from a cache, which an installer
-- that waited for the lock would find out of date.
SELECT EXISTS (
    SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = 'crossfade' AND c.relname = 'migration'
)

-- applied_migrations --
SELECT version FROM crossfade.migration

-- note_migration --
INSERT INTO crossfade.migration (version) VALUES (%(version)s) ON CONFLICT DO NOTHING

-- server_facts --
SELECT current_database()::text, pg_is_in_recovery()

-- system_identifier --
-- Hidden by some managed servers; then it counts as unknown.
SELECT system_identifier::text FROM pg_control_system()

-- timeline --
-- From the name of the WAL file being written, since the control file lags behind a promotion.
SELECT ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint

-- binding --
SELECT installation, environment, database, system_identifier FROM crossfade.binding WHERE service = %(service)s

-- bind --
INSERT INTO crossfade.binding (service, installation, environment, system_identifier, database)
VALUES (%(service)s, %(installation)s, %(environment)s, %(system_identifier)s, %(database)s)
ON CONFLICT (service) DO NOTHING

-- journal_extent --
-- The highest row held, and when row `seq` was written, if it is held.
SELECT (SELECT coalesce(max(seq), 0) FROM crossfade.journal WHERE service = %(service)s),
       (SELECT at FROM crossfade.journal WHERE service = %(service)s AND seq = %(seq)s)

-- put_rows --
-- Store rows unless they are stored already. The lease's row is locked while its epoch is compared, so a new leader
-- waits until this statement has ended, and a statement that waited for a new leader stores nothing.
-- A row that is held with other content is not returned. `void` is never taken back.
WITH led AS (
    SELECT epoch FROM crossfade.lease WHERE service = %(service)s AND epoch = %(epoch)s FOR SHARE
), put AS (
    INSERT INTO crossfade.journal AS held (service, seq, at, release, epoch, kind, state, data, void)
    SELECT %(service)s::text, new.seq, new.at, new.release, new.epoch, new.kind, new.state, new.data, new.void
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS new (
        seq bigint, at timestamptz, release text, epoch bigint, kind text, state jsonb, data jsonb, void boolean
    ), led
    ON CONFLICT (service, seq) DO UPDATE SET void = held.void OR excluded.void
    WHERE (held.at, held.release, held.epoch, held.kind, held.state, held.data)
        = (excluded.at, excluded.release, excluded.epoch, excluded.kind, excluded.state, excluded.data)
    RETURNING held.seq
)
SELECT (SELECT count(*) FROM led), array(SELECT seq FROM put)

-- acquire_lease --
-- Database time decides whether the last lease has ended. `floor` is the highest epoch this host has seen, so that an
-- older copy of the database cannot give an epoch out twice. `ended` is a leader known to be gone: a process of this
-- host, so a lease that names another host, pid or epoch runs to its end.
INSERT INTO crossfade.lease AS held (service, holder, host, pid, epoch, since, expires_at)
VALUES (%(service)s, %(holder)s, %(host)s, %(pid)s, %(floor)s::bigint + 1, clock_timestamp(),
        clock_timestamp() + make_interval(secs => %(ttl_s)s::double precision))
ON CONFLICT (service) DO UPDATE SET
    holder = excluded.holder, host = excluded.host, pid = excluded.pid,
    epoch = greatest(held.epoch, %(floor)s::bigint) + 1, since = clock_timestamp(),
    expires_at = clock_timestamp() + make_interval(secs => %(ttl_s)s::double precision)
WHERE held.expires_at <= clock_timestamp() OR held.holder = excluded.holder
   OR (held.host, held.pid, held.epoch) = (excluded.host, %(ended_pid)s::integer, %(ended_epoch)s::bigint)
RETURNING held.epoch

-- read_lease --
SELECT holder, host, pid, epoch, since, expires_at FROM crossfade.lease WHERE service = %(service)s

-- renew_lease --
-- A lease that ended while nobody else took it goes on under the same epoch: nobody led in between.
UPDATE crossfade.lease
SET expires_at = clock_timestamp() + make_interval(secs => %(ttl_s)s::double precision)
WHERE service = %(service)s AND holder = %(holder)s AND epoch = %(epoch)s
RETURNING epoch

-- release_lease --
UPDATE crossfade.lease SET expires_at = clock_timestamp()
WHERE service = %(service)s AND holder = %(holder)s AND epoch = %(epoch)s

-- ping --
SELECT 1
