CREATE TABLE reviews (
    id bigserial PRIMARY KEY,
    product_id bigint NOT NULL REFERENCES products (id),
    user_id bigint NOT NULL,
    stars smallint NOT NULL CHECK (stars BETWEEN 0 AND 5),
    body text
);
