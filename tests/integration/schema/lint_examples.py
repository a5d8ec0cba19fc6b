"""Statements that the lint speaks of, beyond the one example of each rule, and those that it must be silent about.

Together they are the table of DDL: each is run on the real server, which confirms what is said or not said.
"""

from __future__ import annotations

from dataclasses import dataclass

from crossfade.schema.lint.rule import ACCESS_EXCLUSIVE, SHARE, Claim

REWRITE = Claim(lock=ACCESS_EXCLUSIVE, rewrite=True)


@dataclass(frozen=True)
class Example:
    """A migration, the rule it meets (none for those of which nothing is said), and the migrations before it."""

    rule: str
    sql: str
    setup: str = ""
    claim: Claim | None = None
    since: int = 0


def _silent(sql: str, setup: str = "", since: int = 0) -> Example:
    return Example("", sql, setup, since=since)


MORE = [
    Example("add-column-rewrites", "ALTER TABLE orders ADD COLUMN serial_number bigserial;"),
    Example("add-column-rewrites", "ALTER TABLE orders ADD COLUMN k bigint GENERATED ALWAYS AS IDENTITY;"),
    Example("add-column-rewrites", "ALTER TABLE orders ADD COLUMN k numeric GENERATED ALWAYS AS (price + 1) STORED;"),
    Example(
        "add-column-rewrites", "ALTER TABLE orders ADD COLUMN seen timestamptz NOT NULL DEFAULT clock_timestamp();"
    ),
    Example("add-column-rewrites", "ALTER TABLE orders ADD COLUMN ticket bigint DEFAULT nextval('tickets');"),
    Example("add-column-rewrites", "ALTER TABLE orders ADD COLUMN k text DEFAULT moving();"),
    Example("add-column-rewrites", "ALTER TABLE orders ADD COLUMN share percent;"),
    Example("add-column-rewrites", "ALTER TABLE orders ADD COLUMN k integer DEFAULT (random() * 10)::integer;"),
    Example("add-column-unique", "ALTER TABLE orders ADD COLUMN k text CONSTRAINT orders_k UNIQUE;"),
    Example(
        "add-column-unique",
        "ALTER TABLE entries ADD COLUMN k bigserial PRIMARY KEY;",
        claim=Claim(lock=ACCESS_EXCLUSIVE, on="entries", scan=True, rewrite=True),
    ),
    Example("change-type-rewrites", "ALTER TABLE orders ALTER COLUMN number TYPE bigint;"),
    Example("change-type-rewrites", "ALTER TABLE orders ALTER COLUMN note TYPE varchar(10);"),
    Example("change-type-rewrites", "ALTER TABLE orders ALTER COLUMN note TYPE text USING lower(note);"),
    Example("change-type-rewrites", "ALTER TABLE orders ALTER COLUMN status TYPE varchar(50);"),
    Example("change-type-rewrites", "ALTER TABLE orders ALTER COLUMN status TYPE jsonb USING to_jsonb(status);"),
    Example("add-check-scan", "ALTER TABLE orders ADD CHECK (number > 0);"),
    Example("add-foreign-key-scan", "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers;"),
    Example(
        "add-foreign-key-scan",
        "ALTER TABLE orders ADD CONSTRAINT k FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE"
        " DEFERRABLE INITIALLY DEFERRED;",
    ),
    Example(  # NULL in each row is read, too
        "add-foreign-key-scan",
        "ALTER TABLE orders ADD FOREIGN KEY (k) REFERENCES customers;",
        "ALTER TABLE orders ADD COLUMN k bigint;",
        claim=Claim(scan=True),
    ),
    Example("add-unique-build", "ALTER TABLE orders ADD UNIQUE (customer_id, number);"),
    Example("create-index-blocks-writes", "CREATE UNIQUE INDEX orders_once ON orders (customer_id);"),
    Example("create-index-blocks-writes", "CREATE INDEX k ON orders USING gin (to_tsvector('simple', status));"),
    Example(
        "create-index-partitioned",
        "CREATE INDEX k ON events (day);",
        claim=Claim(lock=SHARE, on="events_1", scan=True),
    ),
    Example("reindex-blocks", "REINDEX TABLE orders;"),
    Example("rewrites-table", "CLUSTER orders USING orders_by_customer;"),
    Example("drop-object", "DROP FUNCTION moving();", claim=Claim(breaks="SELECT moving()", broken="42883")),
    Example("drop-object", "DROP SEQUENCE tickets;", claim=Claim(breaks="SELECT nextval('tickets')", broken="42P01")),
    Example(
        "drop-object", "DROP MATERIALIZED VIEW totals;", claim=Claim(breaks="SELECT * FROM totals", broken="42P01")
    ),
    Example(
        "drop-object",
        "DROP TYPE mood CASCADE;",
        claim=Claim(breaks="SELECT 'calm'::mood", broken="42704"),
    ),
    Example(
        "rename-object",
        "ALTER FUNCTION moving() RENAME TO going;",
        claim=Claim(breaks="SELECT moving()", broken="42883"),
    ),
    Example(
        "rename-object", "ALTER TYPE mood RENAME TO feeling;", claim=Claim(breaks="SELECT 'calm'::mood", broken="42704")
    ),
    Example(
        "rename-table",
        "ALTER TABLE entries SET SCHEMA old;",
        "CREATE SCHEMA old;",
        claim=Claim(breaks="SELECT count(*) FROM entries", broken="42P01"),
    ),
    Example("set-not-null-scan", "ALTER TABLE orders ALTER number SET NOT NULL, ALTER customer_id SET NOT NULL;"),
    Example(
        "set-not-null-scan",
        "ALTER TABLE orders ALTER number SET NOT NULL;",
        "ALTER TABLE orders ADD CONSTRAINT k CHECK (number IS NOT NULL) NOT VALID;",
    ),
    Example(
        "validate-in-same-transaction",
        "ALTER TABLE orders ADD CONSTRAINT k FOREIGN KEY (customer_id) REFERENCES customers NOT VALID;\n"
        "ALTER TABLE orders VALIDATE CONSTRAINT k;",
        claim=Claim(scan=True),
    ),
    Example(
        "long-under-lock", "ALTER TABLE orders ADD COLUMN k text;\nUPDATE orders SET k = status WHERE status <> '';"
    ),
    Example(
        "update-whole-table", "WITH moved AS (UPDATE orders SET status = 'x' RETURNING id) SELECT count(*) FROM moved;"
    ),
]

SILENT = [
    _silent("ALTER TABLE orders ADD COLUMN k text;"),
    _silent("ALTER TABLE orders ADD COLUMN k text DEFAULT 'x';"),
    _silent("ALTER TABLE orders ADD COLUMN k timestamptz NOT NULL DEFAULT now();"),
    _silent("ALTER TABLE orders ADD COLUMN k timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP;"),
    _silent("ALTER TABLE orders ADD COLUMN k text DEFAULT steady('x');"),
    _silent("ALTER TABLE orders ADD COLUMN k jsonb NOT NULL DEFAULT '{}'::jsonb;"),
    _silent("ALTER TABLE orders ADD COLUMN k code;"),
    _silent("ALTER TABLE orders ADD COLUMN k bigint REFERENCES customers;"),
    _silent("ALTER TABLE orders ADD COLUMN k numeric GENERATED ALWAYS AS (price + 1) VIRTUAL;", since=18),
    _silent("ALTER TABLE orders ALTER COLUMN note TYPE varchar(40);"),
    _silent("ALTER TABLE orders ALTER COLUMN note TYPE text;"),
    _silent("ALTER TABLE orders ALTER COLUMN note TYPE text USING note::text;"),
    _silent("ALTER TABLE orders ALTER COLUMN status TYPE varchar;"),
    _silent("ALTER TABLE orders ALTER COLUMN status SET DEFAULT 'open';"),
    _silent("ALTER TABLE orders ALTER COLUMN status DROP DEFAULT;"),
    _silent("ALTER TABLE orders ADD CONSTRAINT k CHECK (number > 0) NOT VALID;"),
    _silent(
        "ALTER TABLE orders VALIDATE CONSTRAINT k;",
        "ALTER TABLE orders ADD CONSTRAINT k CHECK (number > 0) NOT VALID;",
    ),
    _silent("ALTER TABLE orders ADD CONSTRAINT k FOREIGN KEY (customer_id) REFERENCES customers NOT VALID;"),
    _silent(
        "ALTER TABLE orders ALTER COLUMN number SET NOT NULL;",
        "ALTER TABLE orders ADD CONSTRAINT k CHECK (number IS NOT NULL) NOT VALID;"
        "ALTER TABLE orders VALIDATE CONSTRAINT k;",
    ),
    _silent("ALTER TABLE orders ALTER COLUMN placed_at SET NOT NULL;"),
    _silent("ALTER TABLE orders ADD CONSTRAINT k NOT NULL number NOT VALID;", since=18),
    _silent(
        "ALTER TABLE orders ADD CONSTRAINT k UNIQUE USING INDEX orders_k;",
        "CREATE UNIQUE INDEX CONCURRENTLY orders_k ON orders (number);",
    ),
    _silent(
        "ALTER TABLE entries ADD CONSTRAINT k PRIMARY KEY USING INDEX entries_k;",
        "CREATE UNIQUE INDEX CONCURRENTLY entries_k ON entries (id);",
    ),
    _silent(
        "CREATE TABLE k (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp()); "
        "CREATE INDEX ON k (at); ALTER TABLE k ADD CHECK (id > 0); ALTER TABLE k ADD COLUMN z text NOT NULL;"
        "ALTER TABLE k RENAME COLUMN z TO y; ALTER TABLE k ALTER y TYPE integer USING y::integer;"
        "ALTER TABLE k ADD UNIQUE (y); ALTER TABLE k DROP COLUMN y; ALTER TABLE k RENAME TO l; DROP TABLE l;"
    ),
    _silent("CREATE TABLE k (id bigint, customer_id bigint REFERENCES customers);"),
    _silent("CREATE TABLE k (id bigint); ALTER TABLE k ADD FOREIGN KEY (id) REFERENCES customers;"),
    _silent("DROP VIEW open_orders; CREATE VIEW open_orders AS SELECT id, status FROM orders WHERE status = 'open';"),
    _silent("ALTER TYPE mood ADD VALUE 'glad';"),
    _silent("CREATE TYPE k AS ENUM ('a'); ALTER TYPE k RENAME VALUE 'a' TO 'b'; DROP TYPE k;"),
    _silent("UPDATE orders SET status = 'x' WHERE id = 3;"),
    _silent("INSERT INTO customers VALUES (-1, 'x');"),
    _silent("DELETE FROM entries WHERE id = 3;"),
    _silent("ALTER TABLE orders ADD COLUMN k text; ALTER TABLE orders DROP COLUMN k;"),
    _silent("COMMENT ON TABLE orders IS 'x';"),
    _silent("ALTER TABLE orders SET (fillfactor = 90);"),
    _silent(
        "CREATE FUNCTION k() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER k BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION k();"
    ),
    _silent("CREATE POLICY k ON entries FOR SELECT USING (true); ALTER TABLE entries ENABLE ROW LEVEL SECURITY;"),
    _silent("CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM (300) TO (400);"),
    _silent("CREATE INDEX k ON ONLY events (day);"),
]
