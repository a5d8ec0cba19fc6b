"""Given the example of each rule, when the real server runs it, then it does what the rule claims of it.

And the form that the rule offers instead is run, too: none of its statements reads or writes a table through under a
lock that blocks others.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

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
from crossfade.testing.server_facts import Observed, observe, run, texts

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


def ask(url: str, text: str) -> tuple[str, object]:
    """What a running version's statement gives: its SQLSTATE, or its first row."""
    with psycopg.connect(url, autocommit=True) as connection:
        run(connection, "SET lock_timeout = '300ms'")
        row: object = None
        try:
            for _, one in texts(text):
                cursor = connection.execute(sql.SQL(one))  # type: ignore[arg-type]
                row = cursor.fetchone() if cursor.description else None
        except psycopg.Error as exc:
            return exc.sqlstate or "", None
        return "", row


def played(url: str, script: str, meanwhile: Callable[[], None] = lambda: None) -> Observed:
    """Run a script as its transactions say; `meanwhile` is called before the last commit."""
    body = [text for kind, text in texts(script) if kind != "transaction_stmt"]
    if "CONCURRENTLY" in script and "BEGIN" not in script:
        with psycopg.connect(url, autocommit=True) as connection:
            try:
                run(connection, body[0])
            except psycopg.Error as exc:
                return Observed(error=exc.sqlstate or "")
        return Observed()
    with psycopg.connect(url) as connection:
        seen = observe(connection, body)
        if not seen.error:
            meanwhile()
            connection.commit()
        return seen


def confirm(claim: Claim, url: str, script: str) -> None:
    """Hold one claim against what the server does."""
    before = ask(url, claim.breaks) if claim.breaks else ("", None)
    assert before[0] == "", f"the running version's statement fails before the change: {before}"
    if claim.broken == "stays invalid":
        assert [played(url, script).error, played(url, script).error] == ["23505", ""]
        assert ask(url, claim.breaks) == ("", (1,))
        return
    answers: list[tuple[str, object]] = []
    seen = played(url, script, lambda: answers.append(ask(url, claim.breaks) if claim.breaks else ("", None)))
    assert seen.error == claim.error
    if claim.lock:
        assert seen.locks.get(claim.on) == claim.lock
    if not claim.error:
        assert (claim.on in seen.rewritten) == claim.rewrite, seen
    if claim.scan:
        assert claim.on in seen.scanned, seen
    if claim.broken == "wait":
        assert answers[0][0] == "55P03"  # lock_not_available, while the transaction is open
    elif claim.broken == "changed":
        assert ask(url, claim.breaks)[1] != before[1]
    elif claim.broken and claim.broken != "queue":
        assert ask(url, claim.breaks)[0] == claim.broken


EXAMPLES = [Example(one.id, one.example, one.setup) for one in OF_SERVERS] + MORE


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one.rule}: {one.sql[:60]!r}")
def test_the_server_does_what_a_rule_claims(base: Base, url: str, example: Example) -> None:
    rule = RULES[example.rule]
    if major(base) < max(rule.since, example.since):
        pytest.skip(f"not in PostgreSQL {major(base)}")
    assert rule.id in [one.rule.id for one in found(example.sql, example.setup).findings]
    for _, text in texts(example.setup):
        with psycopg.connect(url, autocommit=True) as connection:
            run(connection, text)
    confirm(example.claim or rule.claim, url, example.sql)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one.rule}: {one.sql[:60]!r}")
def test_the_staged_form_reads_nothing_through_under_a_lock(base: Base, url: str, example: Example) -> None:
    staged = first(example).staged
    if "(..)" in staged or RULES[example.rule].claim.broken == "stays invalid":
        pytest.skip("its staged form has a place to fill in, or needs other rows")
    if major(base) < max(RULES[example.rule].since, example.since):
        pytest.skip(f"not in PostgreSQL {major(base)}")
    with psycopg.connect(url, autocommit=True) as connection:
        for _, text in texts(example.setup):
            run(connection, text)
        for kind, text in texts(staged):
            if "CONCURRENTLY" in text or kind == "transaction_stmt":
                run(connection, text)
                continue
            with connection.transaction():
                seen = observe(connection, [text])
                assert seen.error == "", text
            assert seen.blocks_long() == set(), text


def first(example: Example) -> Finding:
    return next(one for one in found(example.sql, example.setup).findings if one.rule.id == example.rule)


@pytest.mark.parametrize("example", SILENT, ids=lambda one: f"{one.sql[:60]!r}")
def test_what_costs_a_moment_only_is_no_finding(base: Base, url: str, example: Example) -> None:
    """What the lint is silent about takes no more than a short lock: no rewrite and no scan under it."""
    if major(base) < example.since:
        pytest.skip(f"not in PostgreSQL {major(base)}")
    assert [one.rule.id for one in found(example.sql, example.setup).findings] in ([], ["lock-timeout-missing"])
    with psycopg.connect(url, autocommit=True) as connection:
        for _, text in texts(example.setup):
            run(connection, text)
        for kind, text in texts(example.sql):
            if kind != "transaction_stmt":
                with connection.transaction():
                    seen = observe(connection, [text])
                assert (seen.error, seen.blocks_long() & TABLES) == ("", set()), text


def test_a_statement_that_waits_for_its_lock_stops_all_who_come_later(url: str) -> None:
    rule: Rule = RULES["lock-timeout-missing"]
    with psycopg.connect(url) as report, psycopg.connect(url) as migration:
        report.execute("SELECT count(*) FROM orders")
        run(migration, "SET lock_timeout = '300ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            run(migration, rule.example)
        migration.rollback()
        answered = ask(url, rule.claim.breaks)
    assert answered[0] == ""
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


def test_which_type_changes_keep_the_rows_as_they_are(url: str) -> None:
    """Every type to every other: the server rewrites the table where the lint says so, and nowhere else."""
    wrong = []
    with psycopg.connect(url) as connection:
        run(connection, "SET TimeZone = 'Europe/Athens'")
        for old in TYPES:
            run(connection, f"CREATE TABLE changing (a {old})")
            for new in TYPES:
                run(connection, "SAVEPOINT before")
                seen = observe(connection, [f"ALTER TABLE changing ALTER a TYPE {new} USING a::{new}"])
                run(connection, "ROLLBACK TO before")
                kept = in_place(type_of(old), type_of(new))
                if not seen.error and kept is not None and kept == ("changing" in seen.rewritten):
                    wrong.append((old, new, kept))
            run(connection, "DROP TABLE changing")
    assert wrong == []


def type_of(text: str) -> SqlType:
    return read_type(parse_statement(f"CREATE TABLE t (a {text})").table_elts[0].column_def.type_name)


def test_functions_that_are_called_steady_are_volatile_nowhere(url: str) -> None:
    with psycopg.connect(url) as connection:
        volatile = connection.execute(
            "SELECT DISTINCT proname::text FROM pg_proc WHERE provolatile = 'v' AND proname = ANY(%s)", (list(STEADY),)
        ).fetchall()
    assert volatile == []
