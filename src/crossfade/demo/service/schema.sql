-- The shop's tables. Every statement may run again without an effect.
CREATE TABLE IF NOT EXISTS users (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email         text NOT NULL UNIQUE,
    name          text NOT NULL,
    password_hash text NOT NULL
);

-- Sessions live here and not in a process, so they outlive every instance and every version.
CREATE TABLE IF NOT EXISTS sessions (
    token_digest bytea PRIMARY KEY,
    user_id      bigint NOT NULL REFERENCES users (id),
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL DEFAULT now() + interval '7 days'
);

CREATE TABLE IF NOT EXISTS products (
    id          bigint PRIMARY KEY,
    name        text NOT NULL,
    price_cents integer NOT NULL CHECK (price_cents > 0),
    stock       integer NOT NULL
);

CREATE TABLE IF NOT EXISTS orders (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    idempotency_key text NOT NULL CONSTRAINT orders_once UNIQUE,
    user_id         bigint REFERENCES users (id),
    reference       text NOT NULL DEFAULT '',
    channel         text NOT NULL DEFAULT 'web',
    total_cents     bigint NOT NULL,
    is_test         boolean NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS order_lines (
    order_id    uuid NOT NULL REFERENCES orders (id),
    line        integer NOT NULL,
    product_id  bigint NOT NULL REFERENCES products (id),
    quantity    integer NOT NULL CHECK (quantity > 0),
    price_cents integer NOT NULL,
    gift        boolean NOT NULL DEFAULT false,
    PRIMARY KEY (order_id, line)
);
