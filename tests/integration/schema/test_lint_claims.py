"""Given the example of each rule, when the real server runs it, then it does what the rule claims of it.

And the form that the rule offers instead is run, too: none of its statements reads or writes a table through under a
lock that blocks others.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

sys.path.insert(0, str(Path(__file__).parent))
from lint_examples import MORE, SILENT, Example

from crossfade.embedded.cluster import Cluster
from crossfade.schema.lint.findings import Finding, Report, lint
from crossfade.schema.lint.rule import Claim, Rule
from crossfade.schema.lint.rules import OF_FILES, OF_SERVERS, RULES
from crossfade.schema.lint.types import SqlType, in_place, read_type
from crossfade.schema.lint.volatility import STEADY
from crossfade.schema.parser import Source, parse_statement
from crossfade.testing.server_facts import observe, run, texts

BASE = (Path(__file__).parent / "lint_base.sql").read_text()
ROWS = """
INSERT INTO customers SELECT n, 'c' || n FROM generate_series(1, 300) n;
INSERT INTO orders (customer_id, status, number) SELECT n, 'open', n FROM generate_series(1, 300) n;
INSERT INTO entries SELECT n, n, 'x' FROM generate_series(1, 300) n;
INSERT INTO codes SELECT n, 'k' || n FROM generate_series(1, 300) n;
INSERT INTO places SELECT 's', n FROM generate_series(1, 300) n;
INSERT INTO events_1 SELECT n, now() FROM generate_series(1, 99) n;
INSERT INTO events_2 SELECT n, now() FROM generate_series(100, 199) n;
REFRESH MATERIALIZED VIEW totals;
GRANT USAGE ON SCHEMA {schema} TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader;
"""


TABLES = {"customers", "orders", "entries", "codes", "places", "events", "events_1", "events_2", "totals"}


@dataclass
class Base:
    """A database of its own, in which each test has a schema with the tables that the examples speak of."""

    cluster: Cluster
    database: str

    def url(self, schema: str) -> str:
        server = self.cluster.admin_url().rsplit("/", 1)[0]
        return f"{server}/{self.database}?options=-csearch_path%3D{schema}"


@pytest.fixture(scope="session")
def base(cluster: Cluster) -> Base:
    one = Base(cluster, "lint" + secrets.token_hex(4))
    with psycopg.connect(cluster.admin_url(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(one.database)))
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = 'reader'").fetchone():
            connection.execute("CREATE ROLE reader")
    return one


@pytest.fixture
def url(base: Base) -> Iterator[str]:
    """A schema of its own."""
    with made(base) as one:
        yield one


@pytest.fixture(scope="session")
def shared(base: Base) -> Iterator[str]:
    """A schema for those who commit nothing."""
    with made(base) as one:
        yield one


@contextmanager
def made(base: Base) -> Iterator[str]:
    schema = "s" + secrets.token_hex(4)
    one = base.url(schema)
    with psycopg.connect(one, autocommit=True) as connection:
        run(connection, f"BEGIN; CREATE SCHEMA {schema}; {BASE} {ROWS.format(schema=schema)} COMMIT")
        yield one
        run(connection, f"DROP SCHEMA {schema} CASCADE; DROP SCHEMA IF EXISTS old CASCADE")


def major(base: Base) -> int:
    return int((base.cluster.data / "PG_VERSION").read_text())


def found(sql_text: str, setup: str = "") -> Report:
    """What the lint says of a migration, with the base and the setup as its history."""
    sources = [Source("1.sql", BASE), *([Source("2.sql", setup)] if setup else []), Source("3.sql", sql_text)]
    report = lint(sources)
    report.findings = [one for one in report.findings if one.file == "3.sql"]
    return report


def ask(connection: psycopg.Connection[Any], text: str) -> tuple[str, object]:
    """What a running version's statement gives: its SQLSTATE, or its first row. Leaves no trace."""
    row: object = None
    try:
        with connection.transaction(force_rollback=True):
            for _, one in texts(text):
                cursor = connection.execute(one.encode())
                row = cursor.fetchone() if cursor.description else None
    except psycopg.Error as exc:
        return exc.sqlstate or "", None
    return "", row


def alone(url: str, text: str) -> str:
    """The SQLSTATE of a statement that runs outside of any transaction."""
    with psycopg.connect(url, autocommit=True) as connection:
        try:
            run(connection, text)
        except psycopg.Error as exc:
            return exc.sqlstate or ""
    return ""


def stays_invalid(claim: Claim, url: str, script: str) -> None:
    """The second try succeeds over the invalid index of the first."""
    assert [alone(url, script), alone(url, script)] == ["23505", ""]
    with psycopg.connect(url) as connection:
        assert ask(connection, claim.breaks) == ("", (1,))


def confirm(claim: Claim, url: str, setup: Sequence[str], script: str) -> None:
    """Hold one claim against what the server does, in a transaction that is taken back."""
    body = [text for kind, text in texts(script) if kind != "transaction_stmt"]
    if claim.error and "CONCURRENTLY" in script and "BEGIN" not in script:
        assert alone(url, body[0]) == claim.error
        return
    with psycopg.connect(url) as connection, psycopg.connect(url) as running:
        for text in setup:
            run(connection, text)
        before = ask(connection, claim.breaks) if claim.breaks else ("", None)
        assert before[0] == "", f"the running version's statement fails before the change: {before}"
        seen = observe(connection, body)
        assert seen.error == claim.error
        if claim.error:
            return
        assert not claim.lock or seen.locks.get(claim.on) == claim.lock
        assert (claim.on in seen.rewritten) == claim.rewrite, seen
        assert not claim.scan or claim.on in seen.scanned, seen
        if claim.broken == "wait":
            run(running, "SET lock_timeout = '200ms'")
            assert ask(running, claim.breaks)[0] == "55P03"  # lock_not_available
        elif claim.broken == "changed":
            assert ask(connection, claim.breaks)[1] != before[1]
        elif claim.broken not in ("", "queue"):
            assert ask(connection, claim.breaks)[0] == claim.broken
        connection.rollback()


EXAMPLES = [Example(one.id, one.example, one.setup) for one in OF_SERVERS] + MORE


def place(request: pytest.FixtureRequest, setup: str, many: bool = False) -> str:
    """Where an example may run: in the shared schema, unless something of it is committed."""
    return str(request.getfixturevalue("url" if many or "CONCURRENTLY" in setup else "shared"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one.rule}: {one.sql[:60]!r}")
def test_the_server_does_what_a_rule_claims(request: pytest.FixtureRequest, base: Base, example: Example) -> None:
    rule = RULES[example.rule]
    if major(base) < max(rule.since, example.since):
        pytest.skip(f"not in PostgreSQL {major(base)}")
    assert rule.id in [one.rule.id for one in found(example.sql, example.setup).findings]
    claim = example.claim or rule.claim
    own = claim.broken == "stays invalid"
    url = place(request, example.setup, own)
    setup = [text for _, text in texts(example.setup)]
    if own or "CONCURRENTLY" in example.setup:
        while setup:
            assert alone(url, setup.pop(0)) == ""
    if own:
        stays_invalid(claim, url, example.sql)
    else:
        confirm(claim, url, setup, example.sql)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one.rule}: {one.sql[:60]!r}")
def test_the_staged_form_reads_nothing_through_under_a_lock(
    request: pytest.FixtureRequest, base: Base, example: Example
) -> None:
    form = first(example).staged
    if "(..)" in form or RULES[example.rule].claim.broken == "stays invalid":
        pytest.skip("its staged form has a place to fill in, or needs other rows")
    staged = texts(form)
    if major(base) < max(RULES[example.rule].since, example.since):
        pytest.skip(f"not in PostgreSQL {major(base)}")
    if staged:
        apart(place(request, example.setup, len(staged) > 1 or "CONCURRENTLY" in staged[0][1]), example.setup, staged)


def apart(url: str, setup: str, statements: Sequence[tuple[str, str]]) -> None:
    """Run statements, each in a transaction of its own; none may read or write a table through under a lock."""
    several = len(statements) > 1
    with psycopg.connect(url, autocommit=True) as connection:
        if several or "CONCURRENTLY" in setup:
            for _, text in texts(setup):
                run(connection, text)
        for kind, text in statements:
            if "CONCURRENTLY" in text or kind == "transaction_stmt":
                run(connection, text)
                continue
            with connection.transaction(force_rollback=not several):
                if not several and "CONCURRENTLY" not in setup:
                    for _, before in texts(setup):
                        run(connection, before)
                seen = observe(connection, [text])
                assert (seen.error, seen.blocks_long() & TABLES) == ("", set()), text


def first(example: Example) -> Finding:
    return next(one for one in found(example.sql, example.setup).findings if one.rule.id == example.rule)


@pytest.mark.parametrize("example", SILENT, ids=lambda one: f"{one.sql[:60]!r}")
def test_what_costs_a_moment_only_is_no_finding(request: pytest.FixtureRequest, base: Base, example: Example) -> None:
    """What the lint is silent about takes no more than a short lock: no rewrite and no scan under it."""
    if major(base) < example.since:
        pytest.skip(f"not in PostgreSQL {major(base)}")
    assert [one.rule.id for one in found(example.sql, example.setup).findings] in ([], ["lock-timeout-missing"])
    statements = texts(example.sql)
    many = len(statements) > 1 or bool(example.setup)
    apart(place(request, example.setup, many), "", [*texts(example.setup), *statements])


def test_a_statement_that_waits_for_its_lock_is_ended_by_the_limit(shared: str) -> None:
    rule: Rule = RULES["lock-timeout-missing"]
    with psycopg.connect(shared) as report, psycopg.connect(shared) as migration:
        report.execute("SELECT count(*) FROM orders")
        run(migration, "SET lock_timeout = '300ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            run(migration, rule.example)
        migration.rollback()
        assert ask(report, rule.claim.breaks)[0] == ""
    assert {one.id for one in OF_FILES} == {"syntax-error", "allow-unused", "allow-unclear"}


TYPES = [
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "numeric(10,2)",
    "numeric(12,2)",
    "numeric(12,3)",
    "real",
    "float8",
    "text",
    "varchar",
    "varchar(10)",
    "varchar(20)",
    "char(10)",
    "bit(3)",
    "varbit(3)",
    "varbit(9)",
    "varbit",
    "date",
    "time",
    "time(3)",
    "timestamp",
    "timestamp(3)",
    "timestamptz",
    "timestamptz(3)",
    "interval",
    "interval(3)",
    "inet",
    "cidr",
    "json",
    "jsonb",
    "uuid",
    "bytea",
    "xml",
    "boolean",
]


EACH_TO_EACH = """
DO $$ DECLARE old text; new text; file oid;
BEGIN
    SET LOCAL TimeZone = 'Europe/Athens';
    CREATE TABLE outcome (old text, new text, kept boolean);
    FOREACH old IN ARRAY '{%(types)s}'::text[] LOOP
        EXECUTE format('CREATE TABLE changing (a %%s)', old);
        file := pg_relation_filenode('changing');
        FOREACH new IN ARRAY '{%(types)s}'::text[] LOOP
            BEGIN
                EXECUTE format('ALTER TABLE changing ALTER a TYPE %%1$s USING a::%%1$s', new);
                RAISE EXCEPTION USING ERRCODE = 'CF001', MESSAGE = (file = pg_relation_filenode('changing'))::text;
            EXCEPTION WHEN SQLSTATE 'CF001' THEN INSERT INTO outcome VALUES (old, new, SQLERRM::boolean);
                WHEN OTHERS THEN NULL;  -- no cast between the two
            END;
        END LOOP;
        DROP TABLE changing;
    END LOOP;
END $$
"""


def test_which_type_changes_keep_the_rows_as_they_are(shared: str) -> None:
    """Every type to every other: the server rewrites the table where the lint says so, and nowhere else."""
    listed = ",".join(f'"{one}"' for one in TYPES)
    with psycopg.connect(shared) as connection:
        run(connection, EACH_TO_EACH % {"types": listed})
        outcome = connection.execute("SELECT old, new, kept FROM outcome").fetchall()
        connection.rollback()
    assert len(outcome) > 400
    assert [(old, new) for old, new, kept in outcome if in_place(type_of(old), type_of(new)) not in (kept, None)] == []


def type_of(text: str) -> SqlType:
    return read_type(parse_statement(f"CREATE TABLE t (a {text})").table_elts[0].column_def.type_name)


def test_functions_that_are_called_steady_are_volatile_nowhere(shared: str) -> None:
    with psycopg.connect(shared) as connection:
        volatile = connection.execute(
            "SELECT DISTINCT proname::text FROM pg_proc WHERE provolatile = 'v' AND proname = ANY(%s)", (list(STEADY),)
        ).fetchall()
    assert volatile == []
