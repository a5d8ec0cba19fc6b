"""Every refusal of the planner, whole: what happened, why, and how a person would do it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crossfade.model.errors import CrossfadeError, Exit
from crossfade.schema.catalog import Index, Referrer, Table, Trigger
from crossfade.schema.recipes.run_data import SAY_IT

sys.path.insert(0, str(Path(__file__).parent))
from schema_values import HELD, ID, ORDERS, column, plan

KEPT = Table(
    "public",
    "kept",
    (ID,),
    indexes=(Index("kept_key", "CREATE UNIQUE INDEX ..", ("id",), True, constraint=True, replica_identity=True),),
    referenced_by=(Referrer("public.parts", "parts_kept", ("id",)),),
)

# What it is about -> (the change, options, what is said).
REFUSALS: dict[str, tuple[str, dict[str, Any], str]] = {
    "syntax": (
        "SELECT 1;\nALTER TABLE orders ADD;",
        {},
        "error[schema-syntax]: 7.sql:2: PostgreSQL cannot read this\n"
        '  postgresql: syntax error at or near ";"\n'
        "hint: put it right and plan again: crossfade plan VERSION",
    ),
    "no such table": (
        "ALTER TABLE ordrs ADD COLUMN x int",
        {},
        "error[schema-not-found]: 7.sql:1: there is no table ordrs\n"
        "  known: public.orders, public.held, public.log, public.parted, public.alembic_version, public.v\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "no such column": (
        "ALTER TABLE orders DROP COLUMN refrence",
        {},
        "error[schema-not-found]: 7.sql:1: public.orders has no column refrence\n"
        "  known: amount, id, note, reference, state\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "nothing": (
        "BEGIN; COMMIT",
        {},
        "error[schema-empty]: 7.sql changes nothing\n"
        "  read: 7.sql\n"
        "hint: take the file away, or write the change into it; a version without one changes no schema",
    ),
    "nothing left": (
        "ALTER TABLE orders ADD COLUMN x int; ALTER TABLE orders DROP COLUMN x",
        {},
        "error[schema-empty]: 7.sql changes nothing\n"
        "  read: 7.sql\n"
        "hint: take the file away, or write the change into it; a version without one changes no schema",
    ),
    "stars unknown": (
        "ALTER TABLE orders ADD COLUMN x int",
        {"stars": ""},
        "error[star-queries-unknown]: 7.sql changes what SELECT * gives, and it is not known "
        "whether the versions ask for that\n"
        '  tables: "public"."orders"\n'
        "  reason: a prepared SELECT * or RETURNING * fails once in a session when its table changes\n"
        'hint: say it in crossfade.toml, under [schema]: star_queries = "none", or "some"',
    ),
    "stars some, one role for both lanes": (
        "ALTER TABLE orders ADD COLUMN x int; ALTER TABLE log DROP COLUMN line",
        {"stars": "some", "lanes": False},
        "error[star-queries-some]: 7.sql changes what SELECT * gives, the versions ask for that, and no view can keep"
        " it as it was\n"
        "  tables: public.log, public.orders\n"
        "  reason: versions find their shape by the role that they connect as, and the lanes share one\n"
        "hint: write {role} in database.app_url, and app_roles = [...]; or name the columns in the versions' queries,"
        ' then under [schema]: star_queries = "none"',
    ),
    "stars some, through a pooler": (
        "ALTER TABLE orders ADD COLUMN x int",
        {"stars": "some", "pooler": True},
        "error[star-queries-some]: 7.sql changes what SELECT * gives, the versions ask for that, and no view can keep"
        " it as it was\n"
        "  tables: public.orders\n"
        "  reason: a pooler gives a version sessions that were opened for the one before, which find the other shape\n"
        'hint: name the columns in the versions\' queries, then under [schema]: star_queries = "none"',
    ),
    "stars some, a table that is known by its name": (
        "ALTER TABLE held ADD COLUMN x int",
        {
            "stars": "some",
            "tables": [replace(HELD, row_security=True, bound=("function f(held)", "rule r"))],
        },
        "error[star-queries-some]: 7.sql changes what SELECT * gives, the versions ask for that, and no view can keep"
        " it as it was\n"
        "  tables: public.held\n"
        "  reason: a view cannot stand before it: function f(held), rule r, row security, a publication, whose"
        " subscribers know it by its name\n"
        'hint: name the columns in the versions\' queries, then under [schema]: star_queries = "none"',
    ),
    "stars some, a new foreign key": (
        "ALTER TABLE orders ADD COLUMN held bigint REFERENCES held; ALTER TABLE held ADD COLUMN x int",
        {"stars": "some"},
        "error[star-queries-some]: 7.sql changes what SELECT * gives, the versions ask for that, and no view can keep"
        " it as it was\n"
        "  tables: public.held\n"
        "  reason: a view cannot stand before it: the new foreign key orders_held_fkey, a publication, whose"
        " subscribers know it by its name\n"
        'hint: name the columns in the versions\' queries, then under [schema]: star_queries = "none"',
    ),
    "stars some, a view of the user beside": (
        "ALTER TABLE orders ADD COLUMN x int; CREATE VIEW listed AS SELECT id FROM orders",
        {"stars": "some"},
        "error[star-queries-some]: 7.sql changes what SELECT * gives, the versions ask for that, and no view can keep"
        " it as it was\n"
        "  tables: public.orders\n"
        "  reason: a view cannot stand before it: view public.listed of this change\n"
        'hint: name the columns in the versions\' queries, then under [schema]: star_queries = "none"',
    ),
    "stars some, a type that changes in place": (
        "ALTER TABLE log ALTER COLUMN line TYPE varchar;\n-- crossfade: retype log.line",
        {"stars": "some"},
        "error[star-queries-some]: 7.sql changes what SELECT * gives, the versions ask for that, and no view can keep"
        " it as it was\n"
        "  tables: public.log\n"
        "  reason: a view cannot stand before it: the type of line, which changes in place\n"
        'hint: name the columns in the versions\' queries, then under [schema]: star_queries = "none"',
    ),
    "drop table": (
        "DROP TABLE orders",
        {},
        "error[schema-not-staged]: 7.sql:1: dropping table public.orders has no safe form yet\n"
        "  reason: this hangs on it: foreign key held_parent of public.held\n"
        "hint: take these away in a release before; foreign keys alone go with it: DROP TABLE .. CASCADE",
    ),
    "drop table and a key that goes too": (
        "ALTER TABLE held DROP COLUMN parent; DROP TABLE orders CASCADE",
        {},
        "error[schema-not-staged]: 7.sql:1: dropping table public.orders has no safe form yet\n"
        "  reason: this hangs on it: foreign key held_parent of public.held, which this change drops itself\n"
        "hint: take these away in a release before; foreign keys alone go with it: DROP TABLE .. CASCADE",
    ),
    "drop table under a view": (
        "DROP TABLE held CASCADE",
        {},
        "error[schema-not-staged]: 7.sql:1: dropping table public.held has no safe form yet\n"
        "  reason: this hangs on it: view public.v\n"
        "hint: take these away in a release before; foreign keys alone go with it: DROP TABLE .. CASCADE",
    ),
    "drop no table": (
        "DROP TABLE IF EXISTS nobody; DROP TABLE nobody",
        {},
        "error[schema-not-found]: 7.sql:1: there is no table nobody\n"
        "  known: public.orders, public.held, public.log, public.parted, public.alembic_version, public.v\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "delete": (
        "DELETE FROM log",
        {},
        "error[schema-not-staged]: 7.sql:1: DELETE has no safe form yet\n"
        "  reason: what it removes cannot be brought back, and the old version still reads it\n"
        f"hint: {SAY_IT}",
    ),
    "insert": (
        "INSERT INTO log (line) VALUES ('x')",
        {},
        "error[schema-not-staged]: 7.sql:1: INSERT has no safe form yet\n"
        "  reason: the old version reads the new rows, and which of them to take away again is not said\n"
        f"hint: {SAY_IT}",
    ),
    "no way back of rows": (
        "-- crossfade: data detach\nDELETE FROM log",
        {},
        "error[schema-undecided]: 7.sql:2: how what this does to public.log is taken back is not known\n"
        "  reason: what the rows held before is not in the file\n"
        "hint: say it before the statement: -- crossfade: undo SQL; where nothing has to be taken back:"
        " -- crossfade: undo nothing",
    ),
    "rows of nothing": (
        "-- crossfade: data detach\n-- crossfade: undo nothing\nDELETE FROM lag",
        {},
        "error[schema-not-found]: 7.sql:3: there is no table lag\n"
        "  known: public.orders, public.held, public.log, public.parted, public.alembic_version, public.v\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "data that is none": (
        "-- crossfade: data expand\nALTER TABLE log ADD COLUMN x int",
        {},
        "error[schema-annotation]: 7.sql:1: this annotation is not understood\n"
        "  annotation: data expand\n"
        "  reason:     what follows it changes no rows\n"
        "hint: write it on a line before INSERT, UPDATE or DELETE",
    ),
    "data at no stage": (
        "-- crossfade: data sometime\nDELETE FROM log",
        {},
        "error[schema-annotation]: 7.sql:1: this annotation is not understood\n"
        "  annotation: data sometime\n"
        "  reason:     it does not say when\n"
        "hint: data expand, or data detach",
    ),
    "undo without data": (
        "-- crossfade: undo nothing\nDELETE FROM log",
        {},
        "error[schema-annotation]: 7.sql:1: this annotation is not understood\n"
        "  annotation: undo nothing\n"
        "  reason:     it is not said when the statement runs\n"
        "hint: add: -- crossfade: data expand",
    ),
    "data twice": (
        "-- crossfade: data expand\n-- crossfade: data detach\nDELETE FROM log",
        {},
        "error[schema-annotation]: 7.sql:2: this annotation is not understood\n"
        "  annotation: data detach\n"
        "  reason:     it is said twice of one statement\n"
        "hint: say it once",
    ),
    "undo by something else": (
        "-- crossfade: data expand\n-- crossfade: undo TRUNCATE log\nDELETE FROM log",
        {},
        "error[schema-annotation]: 7.sql:2: this annotation is not understood\n"
        "  annotation: undo TRUNCATE log\n"
        "  reason:     it is not an INSERT, UPDATE or DELETE\n"
        "hint: write INSERT, UPDATE or DELETE, or: undo nothing",
    ),
    "undo that is no SQL": (
        "-- crossfade: data expand\n-- crossfade: undo DELETE log\nDELETE FROM log",
        {},
        "error[schema-annotation]: 7.sql:2: this annotation is not understood\n"
        "  annotation: undo DELETE log\n"
        '  reason:     syntax error at or near "log"\n'
        "hint: write INSERT, UPDATE or DELETE, or: undo nothing",
    ),
    "truncate": (
        "TRUNCATE log",
        {},
        "error[schema-not-staged]: 7.sql:1: TRUNCATE has no safe form yet\n"
        "  reason: what it removes cannot be brought back\n"
        "hint: make it by hand in a release of its own, between two versions that both work before "
        "and after it",
    ),
    "rule": (
        "CREATE RULE r AS ON INSERT TO orders DO NOTHING",
        {},
        "error[schema-not-staged]: 7.sql:1: CREATE RULE has no safe form yet\n"
        "  reason: crossfade knows no staged form of it, and no undo\n"
        "hint: make it by hand in a release of its own, between two versions that both work before "
        "and after it",
    ),
    "type public.mood is there": (
        "CREATE TYPE mood AS ENUM ('x')",
        {},
        "error[schema-not-staged]: 7.sql:1: creating type public.mood has no safe form yet\n"
        "  reason: there is one already, and the old version may count on it as it is\n"
        "hint: take another name, and drop the old one in a later release",
    ),
    "domain public.positive is there": (
        "CREATE DOMAIN positive AS int",
        {},
        "error[schema-not-staged]: 7.sql:1: creating domain public.positive has no safe form yet\n"
        "  reason: there is one already, and the old version may count on it as it is\n"
        "hint: take another name, and drop the old one in a later release",
    ),
    "sequence public.numbers is there": (
        "CREATE SEQUENCE numbers",
        {},
        "error[schema-not-staged]: 7.sql:1: creating sequence public.numbers has no safe form yet\n"
        "  reason: there is one already, and the old version may count on it as it is\n"
        "hint: take another name, and drop the old one in a later release",
    ),
    "schema public is there": (
        "CREATE SCHEMA public",
        {},
        "error[schema-not-staged]: 7.sql:1: creating schema public has no safe form yet\n"
        "  reason: there is one already, and the old version may count on it as it is\n"
        "hint: take another name, and drop the old one in a later release",
    ),
    "extension plpgsql is there": (
        "CREATE EXTENSION plpgsql",
        {},
        "error[schema-not-staged]: 7.sql:1: creating extension plpgsql has no safe form yet\n"
        "  reason: there is one already, and the old version may count on it as it is\n"
        "hint: take another name, and drop the old one in a later release",
    ),
    "view public.v is there": (
        "CREATE VIEW v AS SELECT 1 AS id",
        {},
        "error[schema-not-staged]: 7.sql:1: creating view public.v has no safe form yet\n"
        "  reason: there is one already, and the old version may count on it as it is\n"
        "hint: take another name, and drop the old one in a later release",
    ),
    "materialized view public.v is there": (
        "CREATE MATERIALIZED VIEW v AS SELECT 1 AS id",
        {},
        "error[schema-not-staged]: 7.sql:1: creating materialized view public.v has no safe form yet\n"
        "  reason: there is one already, and the old version may count on it as it is\n"
        "hint: take another name, and drop the old one in a later release",
    ),
    "function made anew after it goes": (
        "DROP FUNCTION slug(text); CREATE FUNCTION slug(text) RETURNS text LANGUAGE sql AS ''",
        {},
        "error[schema-not-staged]: 7.sql:1: creating function public.slug(text) has no safe form yet\n"
        "  reason: there is one already, and the old version may count on it as it is\n"
        "hint: take another name, and drop the old one in a later release",
    ),
    "renaming a value": (
        "ALTER TYPE mood RENAME VALUE 'fine' TO 'good'",
        {},
        "error[schema-not-staged]: 7.sql:1: renaming the value fine of public.mood has no safe form yet\n"
        "  reason: the old version still reads and writes it\n"
        "hint: ALTER TYPE public.mood ADD VALUE 'good', let the new version write that, and UPDATE the"
        " rows when no live version uses the old one; or CREATE TYPE another with the values that there shall be, and"
        " for each column: ALTER TABLE t ALTER c TYPE another USING CASE c WHEN 'fine' THEN 'good' ELSE c::text"
        " END::another; with -- crossfade: down t.c = CASE c WHEN 'good' THEN 'fine' ELSE c::text END::public.mood",
    ),
    "no such type": (
        "ALTER TYPE mod ADD VALUE 'x'",
        {},
        "error[schema-not-found]: 7.sql:1: there is no type mod\n"
        "  known: public.mood, public.positive\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "no type to drop": (
        "DROP TYPE no",
        {},
        "error[schema-not-found]: 7.sql:1: there is no type no\n"
        "  known: public.mood, public.positive\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "altered after its end": (
        "DROP TABLE log CASCADE;\nALTER TABLE log ADD COLUMN c text",
        {},
        "error[schema-not-found]: 7.sql:2: there is no table log\n"
        "  known: public.orders, public.held, public.log, public.parted, public.alembic_version, public.v\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "dropped twice": (
        "DROP TYPE positive; DROP TYPE positive",
        {},
        "error[schema-not-found]: 7.sql:1: there is no type public.positive\n"
        "  known: public.mood, public.positive\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "no sequence to drop": (
        "DROP SEQUENCE no",
        {},
        "error[schema-not-found]: 7.sql:1: there is no sequence no\n"
        "  known: public.numbers\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "no view to drop": (
        "DROP VIEW no",
        {},
        "error[schema-not-found]: 7.sql:1: there is no view no\n"
        "  known: public.v\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "no materialized view to drop": (
        "DROP MATERIALIZED VIEW no",
        {},
        "error[schema-not-found]: 7.sql:1: there is no materialized view no\n"
        "  known: public.v\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "no function to drop": (
        "DROP FUNCTION no(integer)",
        {},
        "error[schema-not-found]: 7.sql:1: there is no function no(integer)\n"
        "  known: public.slug(text), public.stamp()\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "no such trigger": (
        "DROP TRIGGER stamps ON held",
        {},
        "error[schema-not-found]: 7.sql:1: there is no trigger stamps on held\n"
        "  known: stamp\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "a view of nothing": (
        "CREATE VIEW w AS SELECT id FROM nothing",
        {},
        "error[schema-not-found]: 7.sql:1: there is no table nothing\n"
        "  known: public.orders, public.held, public.log, public.parted, public.alembic_version, public.v\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "cascade": (
        "DROP TYPE mood CASCADE",
        {},
        "error[schema-not-staged]: 7.sql:1: dropping a type with CASCADE has no safe form yet\n"
        "  reason: what goes with it is not said, and the old version may use it\n"
        "hint: name each thing that goes, and leave CASCADE out",
    ),
    "type in use": (
        "DROP TYPE mood",
        {},
        "error[schema-not-staged]: 7.sql:1: dropping type public.mood has no safe form yet\n"
        "  reason: this hangs on it: column m of table public.moods\n"
        "hint: take these away first, in a release of its own, when no live version uses them",
    ),
    "a sequence that exists": (
        "ALTER SEQUENCE numbers RESTART",
        {},
        "error[schema-not-staged]: 7.sql:1: changing the sequence public.numbers, which exists, has no safe form yet\n"
        "  reason: both versions take its values, and where it stood is not known for the way back\n"
        "hint: run it by hand, when no live version minds; ALTER SEQUENCE holds up only who takes a value",
    ),
    "another result of a function": (
        "CREATE OR REPLACE FUNCTION slug(x text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        {},
        "error[schema-not-staged]: 7.sql:1: creating function public.slug(text), which exists, has no safe form yet\n"
        "  reason: it gives another result or has other arguments, or is not said to be replaced, and"
        " both versions would call it by one name\n"
        "hint: take another name, call it in the new version, and drop the old one in a later release",
    ),
    "a trigger of that name": (
        "CREATE TRIGGER stamp AFTER INSERT ON held FOR EACH ROW EXECUTE FUNCTION stamp()",
        {},
        "error[schema-not-staged]: 7.sql:1: the trigger stamp on public.held has no safe form yet\n"
        "  reason: there is one of that name, or one may be replaced, and the way back would not know the earlier one\n"
        "hint: CREATE TRIGGER under another name, and DROP TRIGGER for the earlier one",
    ),
    "a trigger that would run last": (
        'CREATE TRIGGER "~z" BEFORE INSERT ON held FOR EACH ROW EXECUTE FUNCTION stamp()',
        {},
        "error[schema-not-staged]: 7.sql:1: the trigger ~z on public.held has no safe form yet\n"
        "  reason: it would run after those that keep two shapes in step, and undo what they did\n"
        "hint: CREATE TRIGGER under another name, and DROP TRIGGER for the earlier one",
    ),
    "other columns of a view": (
        "CREATE OR REPLACE VIEW v AS SELECT id, note, state FROM orders",
        {},
        "error[schema-not-staged]: 7.sql:1: other columns for the view public.v has no safe form yet\n"
        "  reason: the old version reads it by the same name, and a prepared SELECT * of it would fail;"
        " columns that were added could not be taken back\n"
        "hint: create a view under another name with the columns in full, and drop this one in a later release",
    ),
    "a view of both shapes": (
        "CREATE VIEW w AS SELECT * FROM orders; ALTER TABLE orders RENAME reference TO code",
        {},
        "error[schema-not-staged]: 7.sql:1: * of public.orders in view public.w has no safe form yet\n"
        "  reason: while both versions live the table has the columns of both shapes, and the view"
        " would hold on to the old ones\n"
        "hint: name the columns in the view, as they are called after the change",
    ),
    "type change": (
        "ALTER TABLE orders ALTER COLUMN id TYPE numeric",
        {"lanes": False},
        "error[schema-not-staged]: 7.sql:1: changing public.orders.id from bigint to numeric has no safe form yet\n"
        "  reason: it rewrites the table under a lock that blocks everybody, and while both versions live one name"
        " would mean two types; versions find their shape by the role that they connect as, and the lanes share one\n"
        "hint: take a new name, and the old one again in a later release: ALTER TABLE orders ADD COLUMN id_new"
        " numeric NOT NULL, DROP COLUMN id; with -- crossfade: up orders.id_new = id::numeric"
        " and -- crossfade: down orders.id = id_new::bigint",
    ),
    "type change with another value": (
        "ALTER TABLE orders ALTER COLUMN note TYPE int USING length(note)",
        {"lanes": False},
        "error[schema-not-staged]: 7.sql:1: changing public.orders.note from text to int has no safe form yet\n"
        "  reason: it rewrites the table under a lock that blocks everybody, and while both versions live one name"
        " would mean two types; versions find their shape by the role that they connect as, and the lanes share one\n"
        "hint: take a new name, and the old one again in a later release: ALTER TABLE orders ADD COLUMN note_new"
        " int, DROP COLUMN note; with -- crossfade: up orders.note_new = length(note)"
        " and -- crossfade: down orders.note = EXPRESSION",
    ),
    "type change of what is held": (
        "ALTER TABLE orders ALTER COLUMN note TYPE varchar; -- crossfade: retype orders.note",
        {},
        "error[schema-not-staged]: 7.sql:1: changing the type of public.orders.note has no safe form yet\n"
        "  reason: PostgreSQL refuses it, or reads the table under a lock that blocks everybody, because of"
        " check orders_check, index orders_reference, which has an expression\n"
        "hint: take these away in a release before, and make them anew in the one after: CREATE INDEX CONCURRENTLY;"
        " ADD CONSTRAINT .. NOT VALID, then VALIDATE CONSTRAINT",
    ),
    "type change that a prepared statement may see": (
        "ALTER TABLE log ALTER COLUMN line TYPE varchar",
        {"lanes": False},
        "error[schema-undecided]: 7.sql:1: whether a live version has prepared a statement that reads public.log.line"
        " is not known\n"
        "  reason: such a statement fails once in its session when the type changes, whichever columns it names\n"
        "hint: if none is prepared, or the driver prepares again by itself, say it: -- crossfade: retype log.line;"
        " else take a new name, and the old one again in a later release: ALTER TABLE log ADD COLUMN line_new"
        " varchar, DROP COLUMN line; with -- crossfade: up log.line_new = line::varchar"
        " and -- crossfade: down log.line = line_new::text",
    ),
    "type change behind a pooler": (
        "ALTER TABLE orders ALTER COLUMN amount TYPE text",
        {"pooler": True},
        "error[schema-not-staged]: 7.sql:1: changing public.orders.amount from numeric to text has no safe form yet\n"
        "  reason: it rewrites the table under a lock that blocks everybody, and while both versions live one name"
        " would mean two types; a pooler gives a version sessions that were opened for the one before, which find the"
        " other shape\n"
        "hint: take a new name, and the old one again in a later release: ALTER TABLE orders ADD COLUMN amount_new"
        " text, DROP COLUMN amount; with -- crossfade: up orders.amount_new = amount::text"
        " and -- crossfade: down orders.amount = amount_new::numeric",
    ),
    "type change of a key": (
        "ALTER TABLE orders ALTER COLUMN id TYPE numeric",
        {},
        "error[schema-not-staged]: 7.sql:1: changing the type of public.orders.id has no safe form yet\n"
        "  reason: this hangs on it and does not come along: primary key orders_pkey\n"
        "hint: keep the type, and convert it in the version's code; or take these away in a release before",
    ),
    "type change with a constraint": (
        "ALTER TABLE log ALTER tag TYPE varchar(3) USING left(tag, 3); ALTER TABLE log ADD CHECK (tag <> 'a');"
        "COMMENT ON COLUMN log.tag IS 'short'",
        {},
        "error[schema-not-staged]: 7.sql:1: changing the type of public.log.tag, with what the same change makes of it,"
        " has no safe form yet\n"
        "  reason: while both versions live the name means two types, and this would hold on to one of them: constraint"
        " log_tag_check, its comment\n"
        "hint: change the type in this release, and the rest in the next one",
    ),
    "type change with a value that has none": (
        "ALTER TABLE log ALTER line TYPE int USING line::int",
        {},
        "error[schema-undecided]: 7.sql:1: what public.log.line holds as int for each text of the old version is not"
        " known\n"
        "  reason: the old version's write of a value that has none would fail\n"
        "hint: say it for every value: -- crossfade: up log.line = CASE WHEN \"line\" ~ '^(0|-?[1-9][0-9]{0,8})$' THEN"
        " line::int ELSE EXPRESSION END",
    ),
    "type change by a cast that nobody knows": (
        "ALTER TABLE log ALTER line TYPE date",
        {},
        "error[schema-undecided]: 7.sql:1: what public.log.line holds as date for each text of the old version is not"
        " known\n"
        "  reason: whether each text has a date is not known\n"
        "hint: say it for every value: -- crossfade: up log.line = EXPRESSION",
    ),
    "type change that depends on the zone": (
        "ALTER TABLE times ALTER c TYPE timestamptz",
        {"tables": [Table("public", "times", (column("c", "timestamp without time zone"),))]},
        "error[schema-undecided]: 7.sql:1: what public.times.c holds as timestamptz for each timestamp without time"
        " zone of the old version is not known\n"
        "  reason: it depends on the zone of the session that asks\n"
        "hint: say it for every value: -- crossfade: up times.c = c AT TIME ZONE 'UTC'",
    ),
    "type change with one way alone": (
        "ALTER TABLE log ALTER line TYPE int USING length(line)",
        {},
        "error[schema-undecided]: 7.sql:1: what the old version reads in public.log.line, as text, where the new one"
        " writes int, is not known\n"
        "  reason: what gives a value back is not known\n"
        "hint: say it, over line as int: -- crossfade: down log.line = EXPRESSION",
    ),
    "type change that records what NOT NULL keeps out": (
        "ALTER TABLE sums ALTER amount TYPE bigint; -- crossfade: partial sums.amount record",
        {"tables": [Table("public", "sums", (column("amount", "integer", not_null=True),))]},
        "error[schema-undecided]: 7.sql:1: what the old version reads in public.sums.amount, as integer, where the new"
        " one writes bigint, is not known\n"
        "  reason: amount takes no NULL, and a value without counterpart is recorded\n"
        "hint: say it, over amount as bigint: -- crossfade: down sums.amount = EXPRESSION",
    ),
    "type change and default together, another one each time": (
        "ALTER TABLE log ALTER line TYPE varchar, ALTER line SET DEFAULT gen_random_uuid()",
        {},
        "error[schema-undecided]: 7.sql:1: who inserted a row without line cannot be told\n"
        "  reason: line has a default that is another value each time\n"
        "hint: change the type first, and the default or NOT NULL in a release of its own",
    ),
    "type of a new column with USING": (
        "ALTER TABLE log ADD COLUMN x int; ALTER TABLE log ALTER COLUMN x TYPE text USING 'a'",
        {},
        "error[schema-not-staged]: 7.sql:1: another type for the new column x, with USING or COLLATE, has no safe"
        " form yet\n"
        "  reason: the column is new, so there is nothing to convert\n"
        "hint: write the type it ends with in ADD COLUMN",
    ),
    "retype of nothing": (
        "ALTER TABLE log ADD COLUMN x int;\n-- crossfade: retype log.line",
        {},
        "error[schema-annotation]: 7.sql:2: this annotation is not understood\n"
        "  annotation: retype log.line\n"
        "  reason:     line gets no other type in this change\n"
        "hint: columns of public.log with a new type: none",
    ),
    "drop not null": (
        "ALTER TABLE orders ALTER COLUMN reference DROP NOT NULL",
        {},
        "error[schema-undecided]: 7.sql:1: what the old version reads where the new one writes NULL into"
        " public.orders.reference is not known\n"
        "  reason: both versions read the same column, and the old one has met no NULL there\n"
        "hint: if it is proven to read NULL: -- crossfade: reads-null orders.reference; else say what stands for NULL"
        " until the purge: -- crossfade: down orders.reference = EXPRESSION",
    ),
    "NULL in a key": (
        "ALTER TABLE orders ALTER COLUMN id DROP NOT NULL",
        {},
        "error[schema-not-staged]: 7.sql:1: NULL in public.orders.id has no safe form yet\n"
        "  reason: it belongs to the primary key\n"
        "hint: leave it out",
    ),
    "default of what is generated": (
        "ALTER TABLE log ALTER COLUMN number SET DEFAULT 1",
        {},
        "error[schema-not-staged]: 7.sql:1: a default for public.log.number, which PostgreSQL generates,"
        " has no safe form yet\n"
        "  reason: PostgreSQL takes no default there\n"
        "hint: leave it out",
    ),
    "default of a column that is renamed": (
        "ALTER TABLE orders ALTER COLUMN note SET DEFAULT 'x'; ALTER TABLE orders RENAME note TO memo",
        {},
        "error[schema-not-staged]: 7.sql:1: changing the default or NOT NULL of public.orders.memo and renaming it"
        " has no safe form yet\n"
        "  reason: the default tells who wrote a row while the two names are kept in step\n"
        "hint: rename it in this release, and change the rest in the next one",
    ),
    "NOT NULL and every row": (
        "UPDATE orders SET note = ''; ALTER TABLE orders ALTER COLUMN note SET NOT NULL",
        {},
        "error[schema-not-staged]: 7.sql:1: giving public.orders.note another value in every row has no safe form yet\n"
        "  reason: it changes rows that a version may be using, and has no undo\n"
        "hint: fill what is empty alone: UPDATE .. SET note = x WHERE note IS NULL",
    ),
    "NOT NULL and a value that can be NULL": (
        "ALTER TABLE orders ALTER COLUMN note SET NOT NULL;\n"
        "-- crossfade: up orders.note = CASE WHEN id > 1 THEN 'x' END",
        {},
        "error[schema-expression]: 7.sql:1: this expression cannot keep two shapes in step\n"
        "  expression: CASE WHEN id > 1 THEN 'x' END\n"
        "  reason:     it can be NULL, and it is to stand for NULL in note\n"
        "hint: give it an ELSE, and every branch a value",
    ),
    "a default for no column": (
        "ALTER TABLE orders ALTER COLUMN nobody DROP DEFAULT",
        {},
        "error[schema-not-found]: 7.sql:1: public.orders has no column nobody\n"
        "  known: amount, id, note, reference, state\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "exclusion constraint": (
        "ALTER TABLE orders ADD EXCLUDE (id WITH =)",
        {},
        "error[schema-not-staged]: 7.sql:1: a constraint of this kind on a table that exists has no safe form yet\n"
        "  reason: only CHECK, FOREIGN KEY, UNIQUE and PRIMARY KEY, written out and enforced, can be added while others"
        " read and write: EXCLUDE has no index that is built beside the writes, and USING INDEX hides its columns\n"
        "hint: write UNIQUE or PRIMARY KEY with its columns; make an exclusion constraint by hand, while nobody writes",
    ),
    "inline primary key": (
        "ALTER TABLE log ADD COLUMN x int PRIMARY KEY",
        {},
        "error[schema-not-staged]: 7.sql:1: a primary key on the new column x has no safe form yet\n"
        "  reason: it takes a lock that blocks everybody while the table is read or rewritten, or "
        "binds the old version\n"
        "hint: add the plain column now; in a later release, by hand: ADD CONSTRAINT .. NOT VALID, "
        "then VALIDATE CONSTRAINT; or a unique index",
    ),
    "second primary key": (
        "ALTER TABLE orders ADD PRIMARY KEY (reference)",
        {},
        "error[schema-not-staged]: 7.sql:1: a second primary key on public.orders has no safe form yet\n"
        "  reason: there is one already\n"
        "hint: drop the other one in a release before",
    ),
    "constraint name taken": (
        "ALTER TABLE orders ADD CONSTRAINT orders_check CHECK (id > 0)",
        {},
        "error[schema-not-staged]: 7.sql:1: a constraint called orders_check on public.orders has no safe form yet\n"
        "  reason: there is one of that name already\n"
        "hint: give it a name of its own",
    ),
    "unique over no column": (
        "ALTER TABLE orders ADD UNIQUE (nobody)",
        {},
        "error[schema-not-found]: 7.sql:1: public.orders has no column nobody\n"
        "  known: amount, id, note, reference, state\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "check over another table": (
        "ALTER TABLE orders ADD CHECK (held.id > 0)",
        {},
        "error[schema-expression]: 7.sql:1: this expression cannot keep two shapes in step\n"
        "  expression: held.id > 0\n"
        "  reason:     held.id is no column it may read; it may read: amount, id, note, reference, state\n"
        "hint: name columns of the same table, as the version it reads for knows them",
    ),
    "foreign key of what exists to nothing": (
        "ALTER TABLE orders ADD FOREIGN KEY (id) REFERENCES nobody",
        {},
        "error[schema-not-found]: 7.sql:1: there is no table nobody\n"
        "  known: public.orders, public.held, public.log, public.parted, public.alembic_version, public.v\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "foreign key of a partitioned table": (
        "ALTER TABLE parted ADD FOREIGN KEY (id) REFERENCES held",
        {},
        "error[schema-not-staged]: 7.sql:1: changing public.parted, a partitioned table, has no "
        "safe form yet\n"
        "  reason: its rows are not filled and kept in step one table at a time\n"
        "hint: make the change by hand, in a release whose two versions both work before and after it",
    ),
    "validating nothing": (
        "ALTER TABLE orders VALIDATE CONSTRAINT nobody",
        {},
        "error[schema-not-found]: 7.sql:1: public.orders has no constraint nobody\n"
        "  known: orders_check, orders_pkey\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "renaming after a constraint": (
        "ALTER TABLE orders ADD CHECK (note <> ''); ALTER TABLE orders RENAME note TO memo",
        {},
        "error[schema-not-staged]: 7.sql:1: renaming public.orders.note after a constraint over it"
        " has no safe form yet\n"
        "  reason: the constraint is written over the name before\n"
        "hint: write the RENAME first, and the constraint over the new name",
    ),
    "binding now what is not there": (
        "ALTER TABLE orders ADD CONSTRAINT c CHECK (id > 0), ADD CONSTRAINT u UNIQUE (note);\n"
        "-- crossfade: binds u now",
        {},
        "error[schema-annotation]: 7.sql:2: this annotation is not understood\n"
        "  annotation: binds u now\n"
        "  reason:     u is none of them\n"
        "hint: checks and foreign keys that this change adds: c",
    ),
    "binding later": (
        "-- crossfade: binds c soon",
        {},
        "error[schema-annotation]: 7.sql:1: this annotation is not understood\n"
        "  annotation: binds c soon\n"
        "  reason:     'c soon' names no constraint that binds now\n"
        "hint: write it as: binds CONSTRAINT now",
    ),
    "comment on no column": (
        "COMMENT ON COLUMN orders IS 'x'",
        {},
        "error[schema-not-staged]: 7.sql:1: COMMENT ON has no safe form yet\n"
        "  reason: its column stands without its table\n"
        "hint: make it by hand in a release of its own, between two versions that both work before and after it",
    ),
    "comment before a name changes": (
        "COMMENT ON INDEX orders_reference IS 'x'; ALTER INDEX orders_reference RENAME TO other",
        {},
        "error[schema-not-staged]: 7.sql:1: the comment on INDEX orders_reference, before something is renamed or"
        " dropped, has no safe form yet\n"
        "  reason: it is written at purge, when things have the names that the change ends with\n"
        "hint: write the comment after every RENAME and DROP",
    ),
    "comment on a column that is not there": (
        "COMMENT ON COLUMN orders.nobody IS 'x'",
        {},
        "error[schema-not-found]: 7.sql:1: public.orders has no column nobody\n"
        "  known: amount, id, note, reference, state\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "rights on a column": (
        "GRANT SELECT (id) ON orders TO shop",
        {},
        "error[schema-not-staged]: 7.sql:1: GRANT SELECT has no safe form yet\n"
        "  reason: only rights on whole tables, for roles that are named, are known with their undo\n"
        "hint: make it by hand in a release of its own, between two versions that both work before and after it",
    ),
    "dropping a primary key": (
        "ALTER TABLE orders DROP CONSTRAINT orders_pkey",
        {},
        "error[schema-not-staged]: 7.sql:1: dropping the primary key orders_pkey of public.orders"
        " has no safe form yet\n"
        "  reason: rows are found by it, in the attic and by subscribers, too\n"
        "hint: add another one in this release, and drop this one by hand when no live version uses it",
    ),
    "dropping a key that is pointed at": (
        "ALTER TABLE held DROP CONSTRAINT orders_pkey",
        {},
        "error[schema-not-staged]: 7.sql:1: dropping the primary key orders_pkey of public.held has no safe form yet\n"
        "  reason: this hangs on it: foreign key parts_held of public.parts\n"
        "hint: add another one in this release, and drop this one by hand when no live version uses it",
    ),
    "dropping no constraint": (
        "ALTER TABLE orders RENAME CONSTRAINT orders_check TO c; ALTER TABLE orders DROP CONSTRAINT orders_check",
        {},
        "error[schema-not-found]: 7.sql:1: public.orders has no constraint orders_check\n"
        "  known: orders_check, orders_pkey\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "renaming a constraint with its column": (
        "ALTER TABLE orders RENAME reference TO code; ALTER TABLE orders RENAME CONSTRAINT orders_check TO c",
        {},
        "error[schema-not-staged]: 7.sql:1: renaming the constraint orders_check of public.orders and its column"
        " has no safe form yet\n"
        "  reason: it is made anew with the column, under its own name\n"
        "hint: rename the constraint in the next release",
    ),
    "dropping a constraint's index": (
        "DROP INDEX kept_key",
        {"tables": [KEPT]},
        "error[schema-not-staged]: 7.sql:1: dropping the index kept_key has no safe form yet\n"
        "  reason: this hangs on it: a constraint, which is dropped by its own name, the replica identity, or CLUSTER,"
        " foreign key parts_kept of public.parts\n"
        "hint: take these away first: DROP CONSTRAINT, or ALTER TABLE .. REPLICA IDENTITY",
    ),
    "no such index": (
        "ALTER INDEX nobody RENAME TO i",
        {},
        "error[schema-not-found]: 7.sql:1: there is no index nobody\n"
        "  known: held_mark, orders_pkey, orders_reference\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "cluster": (
        "ALTER TABLE orders CLUSTER ON orders_pkey",
        {},
        "error[schema-not-staged]: 7.sql:1: ALTER TABLE with ClusterOn has no safe form yet\n"
        "  reason: crossfade knows no staged form of it\n"
        "hint: make it by hand in a release of its own, between two versions that both work before "
        "and after it",
    ),
    "rename table": (
        "ALTER TABLE orders RENAME TO purchases",
        {},
        "error[schema-not-staged]: 7.sql:1: renaming this has no safe form yet\n"
        "  reason: one of the two versions would not find it\n"
        "hint: keep the name; or add the new one beside it, and drop the old one in a later release",
    ),
    "partitioned": (
        "ALTER TABLE parted ADD COLUMN x int",
        {},
        "error[schema-not-staged]: 7.sql:1: changing public.parted, a partitioned table, has no "
        "safe form yet\n"
        "  reason: its rows are not filled and kept in step one table at a time\n"
        "hint: make the change by hand, in a release whose two versions both work before and after it",
    ),
    "storage": (
        "ALTER TABLE orders ADD COLUMN x text COMPRESSION lz4",
        {},
        "error[schema-not-staged]: 7.sql:1: a storage setting on the new column x has no safe form yet\n"
        "  reason: it takes a lock that blocks everybody while the table is read or rewritten, or "
        "binds the old version\n"
        "hint: add the plain column now; in a later release, by hand: ALTER COLUMN .. SET STORAGE",
    ),
    "an identity with options": (
        "ALTER TABLE orders ADD COLUMN x int GENERATED ALWAYS AS IDENTITY (START 5)",
        {},
        "error[schema-not-staged]: 7.sql:1: an identity with options on the new column x has no safe form yet\n"
        "  reason: its sequence goes on where the fill of the rows from before ends\n"
        "hint: leave the options out, and ALTER SEQUENCE in a later release",
    ),
    "a stored column": (
        "ALTER TABLE orders ADD COLUMN x int GENERATED ALWAYS AS (length(note)) STORED",
        {},
        "error[schema-not-staged]: 7.sql:1: the generated column x on a table that exists has no safe form yet\n"
        "  reason: it is computed for every row under a lock that blocks everybody; a column filled beside the writes"
        " would be another kind of column\n"
        "hint: compute it in the queries or in a view; or add a plain column and fill it:"
        " -- crossfade: up orders.x = EXPRESSION; from PostgreSQL 18 on, VIRTUAL without NOT NULL costs nothing",
    ),
    "another name for a numbered column": (
        "ALTER TABLE orders ADD COLUMN x serial; ALTER TABLE orders RENAME x TO y",
        {},
        "error[schema-not-staged]: 7.sql:1: another name for the new column x, whose comment or sequence has the first"
        " one, has no safe form yet\n"
        "  reason: what follows ADD COLUMN is written with the name that it gave\n"
        "hint: write the name it ends with in ADD COLUMN",
    ),
    "an annotation on what PostgreSQL numbers": (
        "ALTER TABLE orders ADD COLUMN x int GENERATED ALWAYS AS IDENTITY;\n-- crossfade: up orders.x = 1",
        {},
        "error[schema-annotation]: 7.sql:2: this annotation is not understood\n"
        "  annotation: up orders.x = 1\n"
        "  reason:     PostgreSQL gives x its values\n"
        "hint: take the annotation away",
    ),
    "domain": (
        "ALTER TABLE orders ADD COLUMN x positive",
        {},
        "error[schema-not-staged]: 7.sql:1: the domain public.positive, which has a constraint, "
        "for the new column x has no safe form yet\n"
        "  reason: it takes a lock that blocks everybody while the table is read or rewritten, or "
        "binds the old version\n"
        "hint: add the plain column now; in a later release, by hand: the domain's base type, and "
        "the constraint by itself",
    ),
    "not null without a value": (
        "ALTER TABLE orders ADD COLUMN x int NOT NULL",
        {},
        "error[schema-undecided]: 7.sql:1: what x holds in rows of the old version is not known\n"
        "  reason: x is NOT NULL, and the old version's INSERTs do not give it\n"
        "hint: give it a DEFAULT, or say: -- crossfade: up orders.x = EXPRESSION",
    ),
    "name taken": (
        "ALTER TABLE orders DROP COLUMN note, ADD COLUMN note int",
        {},
        "error[schema-not-staged]: 7.sql:1: the name note for something new in public.orders has "
        "no safe form yet\n"
        "  reason: note is a column already, and one name would mean two things while both versions live\n"
        "hint: take a name that no version uses yet",
    ),
    "update of rows": (
        "UPDATE orders SET note = 'x' WHERE note IS NULL",
        {},
        "error[schema-not-staged]: 7.sql:1: this UPDATE has no safe form yet\n"
        "  reason: it changes rows that a version may be using, and has no undo; one that fills "
        "one new column has\n"
        "hint: write it as UPDATE table SET new_column = expression WHERE new_column IS NULL, one column each;"
        f" or {SAY_IT}",
    ),
    "update of some": (
        "ALTER TABLE orders ADD COLUMN x text; UPDATE orders SET x = note WHERE note <> ''",
        {},
        "error[schema-not-staged]: 7.sql:1: filling x in some rows has no safe form yet\n"
        "  reason: what the old version writes meanwhile is filled by the same rule, and this rule "
        "has a WHERE\n"
        "hint: say it for every row: SET x = CASE WHEN .. THEN .. END WHERE x IS NULL",
    ),
    "renaming what is held": (
        "ALTER TABLE held RENAME COLUMN viewed TO seen; ALTER TABLE held RENAME COLUMN parent TO up",
        {},
        "error[schema-not-staged]: 7.sql:1: renaming public.held.viewed has no safe form yet\n"
        "  reason: this hangs on it and does not come along: view public.v\n"
        "hint: keep the name in the database, and map the new one in the version's code",
    ),
    "renaming a key": (
        "ALTER TABLE held RENAME COLUMN id TO key",
        {},
        "error[schema-not-staged]: 7.sql:1: renaming public.held.id has no safe form yet\n"
        "  reason: this hangs on it and does not come along: primary key orders_pkey, foreign key "
        "parts_held of public.parts\n"
        "hint: keep the name in the database, and map the new one in the version's code",
    ),
    "renaming a random default": (
        "ALTER TABLE held RENAME COLUMN token TO secret",
        {},
        "error[schema-undecided]: 7.sql:1: who inserted a row without secret cannot be told\n"
        "  reason: token may be NULL and has a default that is another value each time\n"
        "hint: make it NOT NULL first, or give the value in the INSERTs and drop the default",
    ),
    "dropping what is held": (
        "ALTER TABLE held DROP COLUMN viewed",
        {},
        "error[schema-not-staged]: 7.sql:1: dropping public.held.viewed has no safe form yet\n"
        "  reason: this hangs on it: view public.v\n"
        "hint: take these away first, in a release of its own, when no live version uses them",
    ),
    "dropping a unique default": (
        "ALTER TABLE held DROP COLUMN mark",
        {},
        "error[schema-not-staged]: 7.sql:1: dropping public.held.mark, which is unique by "
        "held_mark and has a default, has no safe form yet\n"
        "  reason: the rows of the new version would all get that default, and the second one would fail\n"
        "hint: drop the default first; or say `down` with another value for each row",
    ),
    "dropping what the old version needs": (
        "ALTER TABLE orders DROP COLUMN reference",
        {},
        "error[schema-undecided]: 7.sql:1: what the old version reads in public.orders.reference "
        "of a new row is not known\n"
        "  reason: reference is NOT NULL without a default, and the new version's INSERTs do not give it\n"
        "hint: say what it reads: -- crossfade: down orders.reference = EXPRESSION; or, if it is "
        "proven to read NULL: -- crossfade: reads-null orders.reference",
    ),
    "no way down": (
        "ALTER TABLE orders ADD COLUMN code text, DROP COLUMN note;\n-- crossfade: up orders.code = upper(note)",
        {},
        "error[schema-undecided]: 7.sql:1: what the new version writes would not reach note\n"
        "  reason: its values flow one way only, so one version would read what is out of date\n"
        "hint: say it: -- crossfade: down orders.note = EXPRESSION",
    ),
    "no way up": (
        "ALTER TABLE orders ADD COLUMN c text, ADD COLUMN d text, DROP COLUMN note;\n"
        "-- crossfade: up orders.c = note\n"
        "-- crossfade: down orders.note = c || d",
        {},
        "error[schema-undecided]: 7.sql:1: what the old version writes would not reach d\n"
        "  reason: its values flow one way only, so one version would read what is out of date\n"
        "hint: say it: -- crossfade: up orders.d = EXPRESSION",
    ),
    "a hole in the way down": (
        "ALTER TABLE orders ADD COLUMN c text NOT NULL, DROP COLUMN state;\n"
        "-- crossfade: up orders.c = state\n"
        "-- crossfade: down orders.state = CASE c WHEN 'open' THEN 'new' WHEN 'shut' THEN 'done' END",
        {},
        "error[schema-expression]: 7.sql:1: this expression cannot keep two shapes in step\n"
        "  expression: CASE c WHEN 'open' THEN 'new' WHEN 'shut' THEN 'done' END\n"
        "  reason:     it can be NULL, and state takes none: such a write of the other version would fail\n"
        "hint: give it an ELSE, and every branch a value",
    ),
    "a shared column": (
        "ALTER TABLE orders ADD COLUMN c text, DROP COLUMN note;\n"
        "-- crossfade: up orders.c = note || reference\n"
        "-- crossfade: down orders.note = c",
        {},
        "error[schema-expression]: 7.sql:1: this expression cannot keep two shapes in step\n"
        "  expression: note || reference\n"
        "  reason:     it reads reference, which both versions write: a write to that would not "
        "say which shape it means\n"
        "hint: write it over note alone",
    ),
    "a clock": (
        "ALTER TABLE orders ADD COLUMN c text, DROP COLUMN note;\n"
        "-- crossfade: up orders.c = note || now()::text\n"
        "-- crossfade: down orders.note = c",
        {},
        "error[schema-expression]: 7.sql:1: this expression cannot keep two shapes in step\n"
        "  expression: note || pg_catalog.now()::text\n"
        "  reason:     it depends on the time of day, so the two shapes would never be equal\n"
        "hint: leave the clock out",
    ),
    "who wrote, without roles": (
        "ALTER TABLE orders ADD COLUMN c text DEFAULT 'z', DROP COLUMN note;\n"
        "-- crossfade: up orders.c = upper(note)\n"
        "-- crossfade: down orders.note = lower(c)",
        {"lanes": False},
        "error[schema-undecided]: 7.sql:1: who inserted a row without note, c cannot be told\n"
        "  reason: each of them may be left out of an INSERT, and the defaults do not say the same\n"
        "hint: let each version connect as a role of its own ({role} in database.app_url), or make "
        "the column NOT NULL without a default",
    ),
    "who wrote a derived one": (
        "ALTER TABLE orders ADD COLUMN c text;\n-- crossfade: up orders.c = upper(note)",
        {"lanes": False},
        "error[schema-undecided]: 7.sql:1: who inserted a row without c cannot be told\n"
        "  reason: an INSERT of the new version may leave c out, too\n"
        "hint: let each version connect as a role of its own ({role} in database.app_url), or make "
        "the column NOT NULL without a default",
    ),
    "who wrote a dropped one": (
        "ALTER TABLE orders DROP COLUMN note;\n-- crossfade: down orders.note = upper(reference)",
        {"lanes": False},
        "error[schema-undecided]: 7.sql:1: who inserted a row without note cannot be told\n"
        "  reason: an INSERT of the old version may leave note out, too\n"
        "hint: let each version connect as a role of its own ({role} in database.app_url), or make "
        "the column NOT NULL without a default",
    ),
    "a random default of a mapped one": (
        "ALTER TABLE orders ADD COLUMN c text DEFAULT random()::text, DROP COLUMN note;\n"
        "-- crossfade: up orders.c = upper(note)\n"
        "-- crossfade: down orders.note = lower(c)",
        {},
        "error[schema-undecided]: 7.sql:1: who inserted a row without c cannot be told\n"
        "  reason: the default of c is another value each time\n"
        "hint: drop the default, and give c in the INSERTs",
    ),
    "a random default of a derived one": (
        "ALTER TABLE orders ADD COLUMN c text DEFAULT random()::text;\n-- crossfade: up orders.c = upper(note)",
        {},
        "error[schema-undecided]: 7.sql:1: who inserted a row without c cannot be told\n"
        "  reason: the default of c is another value each time\n"
        "hint: drop the default, or `up`",
    ),
    "a random default of a dropped one": (
        "ALTER TABLE held DROP COLUMN token;\n-- crossfade: down held.token = mark::uuid",
        {},
        "error[schema-undecided]: 7.sql:1: who inserted a row without token cannot be told\n"
        "  reason: the default of token is another value each time\n"
        "hint: leave `down` out",
    ),
    "computing what is generated": (
        "ALTER TABLE log DROP COLUMN number;\n-- crossfade: down log.number = length(line)",
        {},
        "error[schema-not-staged]: 7.sql:1: computing public.log.number, which PostgreSQL generates, has no safe"
        " form yet\n"
        "  reason: a trigger cannot give it another value\n"
        "hint: leave `down` out: the old version reads what PostgreSQL generates",
    ),
    "subquery": (
        "ALTER TABLE orders ADD COLUMN c text NOT NULL;\n-- crossfade: up orders.c = (SELECT note FROM log LIMIT 1)",
        {},
        "error[schema-expression]: 7.sql:2: this expression cannot keep two shapes in step\n"
        "  expression: (SELECT note FROM log LIMIT 1)\n"
        "  reason:     it has a subquery, so it depends on other rows\n"
        "hint: write it over the columns of the row alone",
    ),
    "aggregate": (
        "ALTER TABLE orders ADD COLUMN c int NOT NULL;\n-- crossfade: up orders.c = count(*)",
        {},
        "error[schema-expression]: 7.sql:2: this expression cannot keep two shapes in step\n"
        "  expression: count(*)\n"
        "  reason:     it has an aggregate, so it depends on other rows\n"
        "hint: write it over the columns of the row alone",
    ),
    "set": (
        "ALTER TABLE orders ADD COLUMN c int NOT NULL;\n-- crossfade: up orders.c = generate_series(1, length(note))",
        {},
        "error[schema-expression]: 7.sql:2: this expression cannot keep two shapes in step\n"
        "  expression: generate_series(1, length(note))\n"
        "  reason:     generate_series gives no single value for one row\n"
        "hint: write it over the columns of the row alone",
    ),
    "volatile": (
        "ALTER TABLE orders ADD COLUMN c text NOT NULL;\n-- crossfade: up orders.c = note || random()",
        {},
        "error[schema-expression]: 7.sql:2: this expression cannot keep two shapes in step\n"
        "  expression: note || random()\n"
        "  reason:     it has a volatile function, which gives another value each time\n"
        "hint: use functions that give the same value for the same arguments",
    ),
    "no schema": (
        "ALTER TABLE orders ADD COLUMN c text NOT NULL;\n-- crossfade: up orders.c = shout(note)",
        {},
        "error[schema-expression]: 7.sql:2: this expression cannot keep two shapes in step\n"
        "  expression: shout(note)\n"
        "  reason:     there is no function shout along the search path\n"
        "hint: write the function with its schema",
    ),
    "no function": (
        "ALTER TABLE orders ADD COLUMN c text NOT NULL;\n-- crossfade: up orders.c = app.slug(note)",
        {},
        "error[schema-expression]: 7.sql:2: this expression cannot keep two shapes in step\n"
        "  expression: app.slug(note)\n"
        "  reason:     there is no function app.slug\n"
        "hint: name a function that exists",
    ),
    "foreign column": (
        "ALTER TABLE orders ADD COLUMN c text NOT NULL;\n-- crossfade: up orders.c = log.line",
        {},
        "error[schema-expression]: 7.sql:2: this expression cannot keep two shapes in step\n"
        "  expression: log.line\n"
        "  reason:     log.line is no column it may read; it may read: amount, id, note, reference, state\n"
        "hint: name columns of the same table, as the version it reads for knows them",
    ),
    "two expressions": (
        "ALTER TABLE orders ADD COLUMN c text NOT NULL;\n-- crossfade: up orders.c = note, note",
        {},
        "error[schema-expression]: 7.sql:2: this expression cannot keep two shapes in step\n"
        "  expression: note, note\n"
        "  reason:     this is not one expression\n"
        "hint: write one SQL expression",
    ),
    "annotation unknown": (
        "-- crossfade: upp orders.c = note",
        {},
        "error[schema-annotation]: 7.sql:1: this annotation is not understood\n"
        "  annotation: upp orders.c = note\n"
        "  reason:     there is no annotation 'upp'\n"
        "hint: did you mean up?",
    ),
    "annotation unknown, nothing near": (
        "-- crossfade: please",
        {},
        "error[schema-annotation]: 7.sql:1: this annotation is not understood\n"
        "  annotation: please\n"
        "  reason:     there is no annotation 'please'\n"
        "hint: the annotations are: up, down, partial, reads-null, retype, binds, data, undo",
    ),
    "annotation without column": (
        "-- crossfade: up c = note",
        {},
        "error[schema-annotation]: 7.sql:1: this annotation is not understood\n"
        "  annotation: up c = note\n"
        "  reason:     'c' names no column with its table\n"
        "hint: write it as: up TABLE.COLUMN = EXPRESSION",
    ),
    "annotation without expression": (
        "-- crossfade: up orders.c",
        {},
        "error[schema-annotation]: 7.sql:1: this annotation is not understood\n"
        "  annotation: up orders.c\n"
        "  reason:     it gives no expression\n"
        "hint: write it as: up TABLE.COLUMN = EXPRESSION",
    ),
    "annotation with an open text": (
        "-- crossfade: up orders.c = 'x",
        {},
        "error[schema-annotation]: 7.sql:1: this annotation is not understood\n"
        "  annotation: up orders.c = 'x\n"
        '  reason:     unterminated quoted string at or near "\'x"\n'
        "hint: write it as: up TABLE.COLUMN = EXPRESSION",
    ),
    "policy unknown": (
        "-- crossfade: partial orders.c rejcet",
        {},
        "error[schema-annotation]: 7.sql:1: this annotation is not understood\n"
        "  annotation: partial orders.c rejcet\n"
        "  reason:     'rejcet' is no policy for a value without counterpart\n"
        "hint: did you mean reject?",
    ),
    "policy missing": (
        "-- crossfade: partial orders.c",
        {},
        "error[schema-annotation]: 7.sql:1: this annotation is not understood\n"
        "  annotation: partial orders.c\n"
        "  reason:     'orders.c' is no policy for a value without counterpart\n"
        "hint: write it as: partial TABLE.COLUMN reject, or record",
    ),
    "up for an old column": (
        "ALTER TABLE orders ADD COLUMN c text;\n-- crossfade: up orders.note = c",
        {},
        "error[schema-annotation]: 7.sql:2: this annotation is not understood\n"
        "  annotation: up orders.note = c\n"
        "  reason:     note is no new column of this change\n"
        "hint: new columns of public.orders: c",
    ),
    "down for a new column": (
        "ALTER TABLE orders ADD COLUMN c text, DROP COLUMN note;\n-- crossfade: down orders.c = note",
        {},
        "error[schema-annotation]: 7.sql:2: this annotation is not understood\n"
        "  annotation: down orders.c = note\n"
        "  reason:     c is no column that this change drops\n"
        "hint: dropped columns of public.orders: note",
    ),
    "policy without an old column": (
        "ALTER TABLE orders ADD COLUMN c text;\n-- crossfade: partial orders.c record",
        {},
        "error[schema-annotation]: 7.sql:2: this annotation is not understood\n"
        "  annotation: partial orders.c record\n"
        "  reason:     c takes the place of no old column, so each of its values may stand\n"
        "hint: take it away, or say `down` for the column it takes the place of",
    ),
    "two policies": (
        "ALTER TABLE orders ADD COLUMN c text, ADD COLUMN d text, DROP COLUMN note;\n"
        "-- crossfade: up orders.c = note\n"
        "-- crossfade: up orders.d = note\n"
        "-- crossfade: down orders.note = c || d\n"
        "-- crossfade: partial orders.c record\n"
        "-- crossfade: partial orders.d reject",
        {},
        "error[schema-annotation]: 7.sql:6: this annotation is not understood\n"
        "  annotation: partial orders.d reject\n"
        "  reason:     columns that belong together have two policies\n"
        "hint: say one policy for c, d",
    ),
    "index name taken": (
        "CREATE INDEX orders_reference ON orders (id)",
        {},
        "error[schema-not-staged]: 7.sql:1: an index called orders_reference has no safe form yet\n"
        "  reason: there is one of that name already\n"
        "hint: give it a name of its own; a new index that takes the place of another is built "
        "beside it first",
    ),
    "index on a column that goes": (
        "ALTER TABLE orders DROP COLUMN note; CREATE INDEX i ON orders (note)",
        {},
        "error[schema-not-found]: 7.sql:1: public.orders has no column note\n"
        "  known: amount, id, reference, state\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "table taken": (
        "CREATE TABLE log (id int)",
        {},
        "error[schema-not-staged]: 7.sql:1: creating public.log has no safe form yet\n"
        "  reason: there is one already\n"
        "hint: take another name",
    ),
    "temporary table": (
        "CREATE TEMP TABLE x (id int)",
        {},
        "error[schema-not-staged]: 7.sql:1: a temporary or unlogged table has no safe form yet\n"
        "  reason: its rows do not outlive a session or a crash\n"
        "hint: create an ordinary one",
    ),
    "partition of what exists": (
        "CREATE TABLE p PARTITION OF parted DEFAULT",
        {},
        "error[schema-not-staged]: 7.sql:1: a partition or child of a table that exists has no safe form yet\n"
        "  reason: it takes a lock on the parent that blocks everybody\n"
        "hint: create it by itself, and ATTACH it by hand, with a CHECK that proves its bounds",
    ),
    "foreign key to nothing": (
        "CREATE TABLE p (id int REFERENCES nobody)",
        {},
        "error[schema-not-found]: 7.sql:1: there is no table nobody\n"
        "  known: public.orders, public.held, public.log, public.parted, public.alembic_version, public.v\n"
        "hint: write the change against the schema as it is in the database now",
    ),
    "filled from a query": (
        "CREATE TABLE p (id int); INSERT INTO p SELECT id FROM orders",
        {},
        "error[schema-not-staged]: 7.sql:1: filling p from a query has no safe form yet\n"
        "  reason: rows that the old version writes later would be missing from it\n"
        "hint: insert plain VALUES here; copy rows by hand once the new version writes both places",
    ),
    "version rows without an undo": (
        "UPDATE alembic_version SET version_num = 'b'",
        {},
        "error[schema-not-staged]: 7.sql:1: this statement on alembic_version has no safe form yet\n"
        "  reason: what it does cannot be taken back exactly: the file does not say what was there before\n"
        "hint: write it with plain values: INSERT .. VALUES, UPDATE .. SET c = 'b' WHERE c = 'a', "
        "DELETE by all columns",
    ),
    "version rows from a query": (
        "INSERT INTO alembic_version SELECT 'a'",
        {},
        "error[schema-not-staged]: 7.sql:1: this statement on alembic_version has no safe form yet\n"
        "  reason: what it does cannot be taken back exactly: the file does not say what was there before\n"
        "hint: write it with plain values: INSERT .. VALUES, UPDATE .. SET c = 'b' WHERE c = 'a', "
        "DELETE by all columns",
    ),
    "version rows that may be there": (
        "INSERT INTO alembic_version VALUES ('a') ON CONFLICT DO NOTHING",
        {},
        "error[schema-not-staged]: 7.sql:1: this statement on alembic_version has no safe form yet\n"
        "  reason: what it does cannot be taken back exactly: the file does not say what was there before\n"
        "hint: write it with plain values: INSERT .. VALUES, UPDATE .. SET c = 'b' WHERE c = 'a', "
        "DELETE by all columns",
    ),
    "version table missing": (
        "INSERT INTO django_migrations (app) VALUES ('a')",
        {},
        "error[schema-not-found]: 7.sql:1: there is no table django_migrations\n"
        "  known: public.orders, public.held, public.log, public.parted, public.alembic_version, public.v\n"
        "hint: write the change against the schema as it is in the database now",
    ),
}
NOT_MET = {"schema-not-staged", "schema-undecided", "star-queries-some"}


def test_a_trigger_whose_name_is_too_long_to_come_after_is_refused() -> None:
    last = Trigger("é" * 30, "CREATE TRIGGER ..", "O", True, True, True, True)
    with pytest.raises(CrossfadeError) as refused:
        plan("ALTER TABLE orders RENAME reference TO code", tables=[replace(ORDERS, triggers=(last,))])
    assert refused.value.render() == (
        "error[schema-not-staged]: public.orders: keeping two shapes in step after the trigger that runs last"
        " has no safe form yet\n"
        f"  reason: triggers run in the order of their names, and none sorts after {'é' * 30}\n"
        "hint: give that trigger a shorter name"
    )
    assert refused.value.exit is Exit.NOT_MET


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_says_what_why_and_how_a_person_would_do_it(name: str) -> None:
    sql, options, text = REFUSALS[name]
    with pytest.raises(CrossfadeError) as refused:
        plan(sql, **options)
    assert refused.value.render() == text
    assert refused.value.exit is (Exit.NOT_MET if refused.value.id in NOT_MET else Exit.CONFIG)
