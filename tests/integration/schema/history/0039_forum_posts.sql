CREATE TABLE posts (
    id bigserial PRIMARY KEY,
    topic_id bigint NOT NULL REFERENCES topics (id),
    body text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now()
);
