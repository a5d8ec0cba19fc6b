CREATE TABLE topics (
    id bigserial PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users (id),
    title text NOT NULL,
    pinned boolean NOT NULL DEFAULT false
);
