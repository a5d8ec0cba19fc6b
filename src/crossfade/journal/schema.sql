-- The journal in the database: the whole schema as it stands.
--
-- A new installation runs this file and notes every migration as applied; an older one runs the migrations it
-- lacks. tests/migration/test_journal_schema.py holds the two to the same result. Change both together.

CREATE SCHEMA crossfade;
COMMENT ON SCHEMA crossfade IS 'Journal and lease of crossfade. Written by its walker only.';

-- Which installation a service's journal belongs to. A copy of this database disagrees with it and is refused.
CREATE TABLE crossfade.binding (
    service text PRIMARY KEY,
    installation text NOT NULL,
    environment text NOT NULL,
    system_identifier text,
    database text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);

-- One row for each thing the walker planned, meant to do, did or found out. A void row never happened: its append
-- failed, and nothing was acted on.
CREATE TABLE crossfade.journal (
    service text NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    at timestamptz NOT NULL,
    release text NOT NULL,
    epoch bigint NOT NULL,
    kind text NOT NULL,
    state jsonb NOT NULL,
    data jsonb NOT NULL,
    void boolean NOT NULL DEFAULT false,
    PRIMARY KEY (service, seq)
);

-- Who leads. The epoch grows with every new leader and is never given twice.
CREATE TABLE crossfade.lease (
    service text PRIMARY KEY,
    holder text NOT NULL,
    host text NOT NULL,
    pid integer NOT NULL,
    epoch bigint NOT NULL,
    since timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

-- Which migrations of this schema were applied.
CREATE TABLE crossfade.migration (
    version text PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);

-- One row a change. `plan` is the change as it was shown; `stage` is written in the transaction that reaches it.
CREATE TABLE crossfade.change (
    service text NOT NULL,
    change text NOT NULL,
    version text NOT NULL,
    plan jsonb NOT NULL,
    stage text NOT NULL,
    since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (service, change)
);

-- What was done and undone, each row in the transaction of what it tells of. A unit is in place when its last row
-- says `do`.
CREATE TABLE crossfade.schema_act (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service text NOT NULL,
    change text NOT NULL,
    unit text NOT NULL,
    way text NOT NULL CHECK (way IN ('do', 'undo')),
    epoch bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    data jsonb NOT NULL
);
CREATE INDEX schema_act_unit ON crossfade.schema_act (service, change, unit, id);

-- How far each table is filled; written with every batch. `relfilenode` voids the cursor when others rewrote the table.
CREATE TABLE crossfade.backfill (
    service text NOT NULL,
    change text NOT NULL,
    task text NOT NULL,
    relfilenode oid NOT NULL,
    pages bigint NOT NULL,
    next_page bigint NOT NULL,
    pass integer NOT NULL,
    filled bigint NOT NULL DEFAULT 0,
    wal_bytes bigint NOT NULL DEFAULT 0,
    busy_ms bigint NOT NULL DEFAULT 0,
    began_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    done_at timestamptz,
    PRIMARY KEY (service, change, task)
);

-- Rows that two versions wrote at once (`conflict`), and values of one shape without a counterpart in the other.
CREATE TABLE crossfade.mismatch (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    change text NOT NULL,
    table_name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('conflict', 'no counterpart')),
    key jsonb NOT NULL,
    data jsonb NOT NULL,
    role text NOT NULL DEFAULT SESSION_USER,
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX mismatch_change ON crossfade.mismatch (change);

-- From here on IF NOT EXISTS: a database whose schema crossfade was dropped has these still, in use by its triggers.

-- The functions of the triggers that keep two shapes in step. The application's roles run them as themselves, so they
-- need the schema; only `note` writes, and only when a trigger calls it.
CREATE SCHEMA IF NOT EXISTS crossfade_sync;
COMMENT ON SCHEMA crossfade_sync IS 'Functions of triggers that keep two shapes of a table in step.';
GRANT USAGE ON SCHEMA crossfade_sync TO PUBLIC;

CREATE OR REPLACE FUNCTION crossfade_sync.note(change text, table_name text, kind text, key jsonb, data jsonb)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF pg_trigger_depth() > 0 THEN
        INSERT INTO crossfade.mismatch (change, table_name, kind, key, data)
        VALUES (note.change, note.table_name, note.kind, note.key, note.data);
    END IF;
END
$$;
-- Said, since an administrator may have taken this default away; writes of the lanes would fail without it.
GRANT EXECUTE ON FUNCTION crossfade_sync.note(text, text, text, jsonb, jsonb) TO PUBLIC;

-- Which shape a lane's role writes; asked by a trigger only where a write itself does not tell.
CREATE TABLE IF NOT EXISTS crossfade_sync.lane (
    role name PRIMARY KEY,
    shape text NOT NULL CHECK (shape IN ('old', 'new'))
);
GRANT SELECT ON crossfade_sync.lane TO PUBLIC;

-- Give `target` the grants of `source`, and no others: for a view that stands before a table. Its owner gets all.
CREATE FUNCTION crossfade.copy_grants(source regclass, target regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT format('REVOKE ALL ON %s FROM %s', target, g.grantee::regrole)
        FROM pg_class AS c CROSS JOIN aclexplode(c.relacl) AS g
        WHERE c.oid = target AND g.grantee NOT IN (0, c.relowner)
    LOOP
        EXECUTE statement;
    END LOOP;
    EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', target);
    FOR statement IN
        SELECT format('GRANT ALL ON %s TO %s', target, c.relowner::regrole) FROM pg_class AS c WHERE c.oid = source
        UNION ALL
        SELECT format('GRANT %s ON %s TO %s%s', g.privilege_type, target,
                      CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END,
                      CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
        FROM pg_class AS c CROSS JOIN aclexplode(c.relacl) AS g
        WHERE c.oid = source AND g.grantee <> c.relowner
        UNION ALL
        SELECT format('GRANT %s (%I) ON %s TO %s%s', g.privilege_type, a.attname, target,
                      CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END,
                      CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
        FROM pg_attribute AS a CROSS JOIN aclexplode(a.attacl) AS g
        WHERE a.attrelid = source AND NOT a.attisdropped
          AND EXISTS (SELECT FROM pg_attribute AS v WHERE v.attrelid = target AND v.attname = a.attname)
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;

-- What was dropped, kept until its date.
CREATE SCHEMA IF NOT EXISTS crossfade_attic;
COMMENT ON SCHEMA crossfade_attic IS 'Columns and tables that a change dropped, kept until their date.';

CREATE TABLE crossfade.attic (
    service text NOT NULL,
    change text NOT NULL,
    attic text NOT NULL,
    kept text NOT NULL,
    rows bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (service, change, attic)
);

-- What people set while a backfill runs, over what is configured. The last row of a knob holds; none is changed.
-- A knob without a value is back at what is configured.
CREATE TABLE crossfade.throttle (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service text NOT NULL,
    knob text NOT NULL,
    value double precision CHECK (value >= 0),
    who text NOT NULL DEFAULT SESSION_USER,
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX throttle_knob ON crossfade.throttle (service, knob, id);
