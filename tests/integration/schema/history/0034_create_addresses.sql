CREATE TABLE addresses (
    id uuid PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users (id),
    street text NOT NULL,
    city varchar(80) NOT NULL,
    country char(2) NOT NULL DEFAULT 'DE'
);
