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
