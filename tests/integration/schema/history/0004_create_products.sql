CREATE TABLE products (
    id bigserial PRIMARY KEY,
    category_id integer NOT NULL REFERENCES categories (id),
    title text NOT NULL,
    price integer NOT NULL CHECK (price >= 0)
);
