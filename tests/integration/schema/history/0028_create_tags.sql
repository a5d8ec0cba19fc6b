CREATE TABLE tags (
    id serial PRIMARY KEY,
    word text NOT NULL UNIQUE
);
CREATE TABLE product_tags (
    product_id bigint NOT NULL REFERENCES products (id),
    tag_id integer NOT NULL REFERENCES tags (id),
    PRIMARY KEY (product_id, tag_id)
);
