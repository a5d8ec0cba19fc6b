-- The first version of the journal in the database.

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
