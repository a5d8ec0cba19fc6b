CREATE TYPE mood AS ENUM ('calm', 'cross');
CREATE DOMAIN code AS text;
CREATE TYPE place AS (street text, number integer);
CREATE TABLE customers (id bigint PRIMARY KEY, email text UNIQUE);
CREATE TABLE orders (
    id bigserial PRIMARY KEY,
    customer_id bigint,
    status text,
    note varchar(20),
    number integer,
    price numeric(10, 2) DEFAULT 0,
    placed_at timestamptz NOT NULL DEFAULT now(),
    mood mood,
    total numeric GENERATED ALWAYS AS (price * 2) STORED
);
CREATE INDEX orders_by_customer ON orders (customer_id);
CREATE TABLE entries (id integer NOT NULL, number integer, line text);
CREATE TABLE codes (id bigint, code code);
CREATE TABLE places OF place;
CREATE TABLE events (id bigint NOT NULL, day date) PARTITION BY RANGE (id);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100);
CREATE TABLE events_2 (id bigint NOT NULL, day date);
CREATE VIEW open_orders AS SELECT id FROM orders WHERE id > 0;
CREATE MATERIALIZED VIEW totals AS SELECT id, total FROM orders;
CREATE UNIQUE INDEX totals_id ON totals (id);
CREATE FUNCTION steady(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION moving() RETURNS text LANGUAGE sql VOLATILE AS 'SELECT ''x'' || random()';
CREATE DOMAIN percent AS integer CHECK (VALUE BETWEEN 0 AND 100);
CREATE SEQUENCE tickets;
