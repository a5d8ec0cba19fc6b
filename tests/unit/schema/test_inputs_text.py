"""What stands beside the SQL in what tools print: skipped where it changes nothing, refused with its line elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from crossfade.model.errors import CrossfadeError
from crossfade.schema.catalog import Column, Table
from crossfade.schema.inputs.migration import Source, all_sources
from crossfade.schema.inputs.place import read_place
from crossfade.schema.parser import Script, read_sources
from crossfade.schema.planning import PlanOptions, plan_change

sys.path.insert(0, str(Path(__file__).parent))
from schema_values import catalog


def read(text: str) -> Script:
    return read_sources(all_sources(read_place(["-"], stdin=text.encode)))


def told(text: str) -> list[tuple[str, str]]:
    return [(one.where, one.text) for one in read(text).statements]


def refused(text: str) -> str:
    with pytest.raises(CrossfadeError) as caught:
        read(text)
    return f"{int(caught.value.exit)} {caught.value.render()}"


def test_commands_of_psql_that_change_nothing_are_passed_over() -> None:
    text = (
        "\\set ON_ERROR_STOP on\n\\set QUIET 1\n\\encoding UTF8\n\\timing on\n\\echo 'it''s done\nDROP TABLE a;"
        " \\echo here\nSELECT E'\\\\x', '\\', $a$ \\i b $a$; -- \\i c\n/* \\i /* \\i */ \\i */\n\\restrict ab\n"
        "DROP TABLE b;\n"
    )
    assert [where for where, _ in told(text)] == ["<stdin>:6", "<stdin>:7", "<stdin>:10"]


@pytest.mark.parametrize(
    ("command", "reason", "way"),
    [
        ("\\i other.sql", "it reads another file", "point at that file, too, in its place among the others"),
        ("\\ir other.sql", "it reads another file", "point at that file, too, in its place among the others"),
        ("\\connect shop", "it goes to another database", "write what each database gets into a file of its own"),
        ("\\set schema app", "variables of psql are not filled in", "write the values where they belong"),
        ("\\gexec", "what it does with the statement is known to psql alone", "end the statement with ;"),
        ("\\if :x", "which statements run is known to psql alone", "write a file for each case"),
        ("\\! rm a", "it runs a program", "run it by hand, before or after"),
        ("\\encoding latin1", "every text is read as UTF-8", "save the file as UTF-8 and take this out"),
        ("\\copy a from b", "it sends rows that are not in this file", "load them by hand, between two releases"),
        ("\\lo_import a", "what it does to the statements is not known", "take it out of the file"),
    ],
)
def test_commands_of_psql_that_would_change_what_runs_are_refused(command: str, reason: str, way: str) -> None:
    assert refused(f"DROP TABLE a;\n  {command}\n") == (
        f"3 error[input-psql]: <stdin>:2: {command} is for psql, not for PostgreSQL\n  reason: {reason}\nhint: {way}"
    )


def test_rows_for_psql_are_refused_where_they_begin() -> None:
    assert refused("SELECT 1;\n\nCOPY a (b)\n  FROM stdin;\nit's\n\\.\n") == (
        "3 error[input-psql]: <stdin>:3: COPY .. FROM STDIN is for psql, not for PostgreSQL\n"
        "  reason: the rows below it are for psql\n"
        "hint: write them as INSERT .. VALUES, or load them by hand"
    )


@pytest.mark.parametrize(
    ("up", "down"),
    [
        ("-- migrate:up transaction:false", "-- migrate:down"),
        ("-- +goose Up", "-- +goose Down"),
        ("-- +migrate Up", "-- +migrate Down"),
        ("-- rambler up", "-- rambler down"),
        ("-- Up Migration", "-- Down Migration"),
    ],
)
def test_of_two_sections_the_way_forward_is_read(up: str, down: str) -> None:
    text = f"{up}\nDROP TABLE a;\n\n{down}\nCREATE TABLE a ();\n\\i x\n{up}\nDROP TABLE b;\nDROP TABEL c;"
    assert refused(text).startswith("3 error[schema-syntax]: <stdin>:9: PostgreSQL cannot read this\n")
    assert told(text.rsplit("\n", 1)[0]) == [("<stdin>:2", "DROP TABLE a"), ("<stdin>:8", "DROP TABLE b")]


def test_a_section_inside_of_a_text_is_a_text() -> None:
    assert len(told("DO $$\n-- migrate:down\nBEGIN END $$;\nDROP TABLE a")) == 2


def test_settings_of_the_session_are_passed_over() -> None:
    text = (
        "BEGIN; SET lock_timeout = '2s'; SET LOCAL statement_timeout TO 0; SET standard_conforming_strings = on;\n"
        "SET default_tablespace = ''; SELECT pg_catalog.set_config('search_path', '', false);"
        " RESET role; SAVEPOINT a;\nSET CONSTRAINTS ALL IMMEDIATE; SHOW all; RELEASE a; DROP TABLE a; COMMIT;"
    )
    assert told(text) == [("<stdin>:3", "DROP TABLE a")]


@pytest.mark.parametrize(
    ("statement", "what", "reason", "way"),
    [
        (
            "SET ROLE owner",
            "SET role",
            "what is made belongs to the role that crossfade walks with",
            "take it out, and let that role be a member of the one that owns the tables",
        ),
        (
            "SET session_replication_role = replica",
            "SET session_replication_role",
            "triggers and foreign keys do not work with it, and crossfade's triggers must",
            "take it out",
        ),
        (
            "SET TIME ZONE 'UTC'",
            "SET timezone",
            "times without a zone would be read in the server's zone",
            "write the statements so that they mean the same without it",
        ),
        (
            "ROLLBACK TO a",
            "ROLLBACK TO",
            "each step has a transaction of its own, and what stands before it would be in force",
            "take it out, and the statements that it takes back",
        ),
    ],
)
def test_what_decides_what_the_rest_means_is_refused(statement: str, what: str, reason: str, way: str) -> None:
    assert refused(f"\n{statement}; DROP TABLE a") == (
        f"1 error[schema-not-staged]: <stdin>:2: {what} has no safe form yet\n  reason: {reason}\nhint: {way}"
    )


def plan(text: str, *more: Table) -> object:
    return plan_change("a", [Source("a.sql", text)], catalog(*more), PlanOptions(True, star_queries="none"))


def test_a_search_path_that_is_the_database_s_own_is_passed_over_and_another_is_refused() -> None:
    change = "ALTER TABLE orders ADD COLUMN remark text;"
    assert plan(f'SET SEARCH_PATH TO public, "$user","public"; {change}') == plan(change)
    with pytest.raises(CrossfadeError) as caught:
        plan(f"\nSET search_path = shop, public; {change}", Table("shop", "a", (Column("id", "bigint", True),)))
    assert caught.value.exit == 1
    assert caught.value.render() == (
        "error[schema-not-staged]: a.sql:2: SET search_path has no safe form yet\n"
        "  reason: names without a schema are looked up in public, and this says shop, public\n"
        "hint: write the schema in front of each name"
    )


ROWS = {
    "alembic": "UPDATE alembic_version SET version_num='b' WHERE alembic_version.version_num = 'a'",
    "django": "INSERT INTO django_migrations (app, name, applied) VALUES ('shop', '0002', now())",
    "diesel": "INSERT INTO __diesel_schema_migrations (version) VALUES ('20240101')",
    "rails": """INSERT INTO "schema_migrations" ("version") VALUES ('2024') RETURNING "version\"""",
    "rails, its own": "INSERT INTO ar_internal_metadata (key, value, created_at) VALUES ('a', 'b', now())",
    "flyway": (
        'INSERT INTO "public"."flyway_schema_history" ("installed_rank", "version", "description", "type", "script",'
        ' "checksum", "installed_by", "execution_time", "success")'
        " VALUES (2, '2', 'add note', 'SQL', 'V2__add_note.sql', -1253, 'shop', 5, true)"
    ),
    "liquibase": (
        "INSERT INTO public.databasechangelog (ID, AUTHOR, FILENAME, DATEEXECUTED, ORDEREXECUTED, MD5SUM, DESCRIPTION,"
        " COMMENTS, EXECTYPE, CONTEXTS, LABELS, LIQUIBASE, DEPLOYMENT_ID) VALUES ('1', 'me', 'log.xml', NOW(), 1,"
        " '9:ab', 'sql', '', 'EXECUTED', NULL, NULL, '4.29.2', '0489')"
    ),
    "ef core": """INSERT INTO "__EFMigrationsHistory" ("MigrationId", "ProductVersion") VALUES ('1', '8')""",
}


@pytest.mark.parametrize("tool", ROWS)
def test_the_row_of_a_tool_s_own_table_is_known_by_name_and_shape(tool: str) -> None:
    script = read(f"DROP TABLE a;\n{ROWS[tool]};")
    assert [one.where for one in script.version_rows] == ["<stdin>:2"]
    assert len(script.statements) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO migrations (bird, year) VALUES ('stork', 2026)",
        "INSERT INTO schema_migrations (version, who) VALUES ('1', 'me')",
        "INSERT INTO flights VALUES (1)",
        "INSERT INTO alembic_version VALUES ('a', 'b')",
    ],
)
def test_a_table_of_the_service_that_has_the_name_alone_is_the_service_s(statement: str) -> None:
    assert not read(statement).version_rows


def test_what_a_tool_locks_is_passed_over() -> None:
    text = (
        "-- Lock Database\nUPDATE public.databasechangeloglock SET LOCKED = TRUE, LOCKEDBY = 'a', LOCKGRANTED = NOW()"
        " WHERE ID = 1 AND LOCKED = FALSE;\nLOCK TABLE databasechangeloglock;\nDROP TABLE a;\n"
        "UPDATE databasechangeloglock SET LOCKED = FALSE, LOCKEDBY = NULL, LOCKGRANTED = NULL WHERE ID = 1;"
    )
    script = read(text)
    assert ([one.where for one in script.statements], script.version_rows) == (["<stdin>:4"], ())


LOG = """\
== 20240501100000 AddNote: migrating ==========================================
D, [2024-05-01T10:00:00.1 #1] DEBUG -- :    (0.3ms)  SELECT pg_try_advisory_lock(123)
D, [2024-05-01T10:00:00.1 #1] DEBUG -- :   ActiveRecord::SchemaMigration Load (0.4ms)  SELECT * FROM schema_migrations
I, [2024-05-01T10:00:00.1 #1]  INFO -- : Migrating to AddNote (20240501100000)
  \x1b[1m\x1b[35mTRANSACTION (0.1ms)\x1b[0m  \x1b[1m\x1b[35mBEGIN\x1b[0m
-- add_column(:orders, :note, :string)
   (1.3ms)  ALTER TABLE "orders" ADD "note" character varying
   -> 0.0014s
   (2.0ms)  UPDATE orders

SET note = ''
WHERE note IS NULL;
  \u21b3 db/migrate/20240501100000_add_note.rb:3:in `change'
  ActiveRecord::Migration Create (0.2ms)  INSERT INTO "schema_migrations" ("version") VALUES ($1)  [["version", "2024"]]
  TRANSACTION (0.5ms)  COMMIT
"""


def test_the_log_of_rails_holds_its_sql() -> None:
    script = read(LOG)
    assert [(one.where, one.text) for one in script.statements] == [
        ("<stdin>:7", "ALTER TABLE orders ADD COLUMN note varchar"),
        ("<stdin>:9", "UPDATE orders SET note = '' WHERE note IS NULL"),
    ]
    assert [(one.where, one.text) for one in script.version_rows] == [
        ("<stdin>:14", "INSERT INTO schema_migrations (version) VALUES ('2024')")
    ]
