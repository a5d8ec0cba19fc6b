"""Changes of what exists, there and back on a real database: the schema as it was, the schema as the raw SQL gives.

Given tables with rows, when the change is walked to each stage, then a version that lives there writes as the plan
says it may; what binds the old version comes after it has left.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from psycopg import errors

from crossfade.model.change import Stage
from crossfade.schema.catalog import read_catalog

sys.path.insert(0, str(Path(__file__).parent))
from recipe_world import Recipe, World

T = "CREATE TABLE t (id bigint PRIMARY KEY, {})"


@dataclass
class Write:
    """What a version writes at a stage, and what comes of it: rows, or an error."""

    stage: Stage
    shape: str
    statement: str
    gives: Any = None


@dataclass
class Case:
    """One change and the writes that it must take, or refuse."""

    name: str
    ddl: str
    change: str
    writes: Sequence[Write]

    def __str__(self) -> str:
        return self.name


BASE, BOTH, EQUAL, HIDDEN, GONE = Stage
CASES = [
    Case(
        "set and drop a default",
        T.format("note text, state text NOT NULL DEFAULT 'open', code text NOT NULL"),
        "ALTER TABLE t ALTER note SET DEFAULT 'none', ALTER state DROP DEFAULT, ALTER code SET DEFAULT 'c'",
        [
            Write(BOTH, "old", "INSERT INTO t (id, code) VALUES (1, 'x') RETURNING note, state", [(None, "open")]),
            Write(EQUAL, "new", "INSERT INTO t (id, state) VALUES (2, 'new') RETURNING note, code", [(None, "c")]),
            Write(HIDDEN, "new", "INSERT INTO t (id, state) VALUES (3, 'new') RETURNING note", [("none",)]),
            Write(HIDDEN, "new", "INSERT INTO t (id) VALUES (4)", errors.NotNullViolation),
        ],
    ),
    Case(
        "set NOT NULL, filled",
        T.format("note text, n int"),
        "UPDATE t SET note = 'n' || id WHERE note IS NULL; ALTER TABLE t ALTER note SET NOT NULL, ALTER n SET NOT NULL;"
        "ALTER TABLE t ADD COLUMN kind text NOT NULL;\n-- crossfade: up t.kind = left(note, 2)\n"
        "-- crossfade: up t.n = coalesce(n, 7)",
        [
            Write(BASE, "old", "INSERT INTO t VALUES (1, NULL, 1), (2, 'two', NULL)"),
            Write(BOTH, "old", "INSERT INTO t VALUES (3) RETURNING *", [(3, "n3", 7, "n3")]),
            Write(BOTH, "old", "UPDATE t SET note = NULL WHERE id = 2 RETURNING *", [(2, "n2", 7, None)]),
            Write(EQUAL, "old", "SELECT * FROM t WHERE id = 1", [(1, "n1", 1, "n1")]),
            Write(EQUAL, "old", "INSERT INTO t VALUES (4) RETURNING note", [("n4",)]),
            Write(HIDDEN, "new", "INSERT INTO t VALUES (5, NULL, 1, 'k')", errors.NotNullViolation),
            Write(HIDDEN, "new", "INSERT INTO t VALUES (6, 'six', 1, 'k')"),
            Write(GONE, "new", "INSERT INTO t VALUES (5, NULL, 1, 'k')", errors.NotNullViolation),
        ],
    ),
    Case(
        "let NULL in where it is read",
        T.format("note text NOT NULL"),
        "ALTER TABLE t ALTER note DROP NOT NULL;\n-- crossfade: reads-null t.note",
        [
            Write(EQUAL, "new", "INSERT INTO t VALUES (1)"),
            Write(EQUAL, "old", "SELECT note FROM t", [(None,)]),
            Write(EQUAL, "new", "UPDATE t SET note = 'x'"),
        ],
    ),
    Case(
        "keep NULL away until the purge",
        T.format("note text NOT NULL"),
        "ALTER TABLE t ALTER note DROP NOT NULL;\n-- crossfade: down t.note = 'none ' || id",
        [
            Write(EQUAL, "new", "INSERT INTO t VALUES (1) RETURNING note", [("none 1",)]),
            Write(EQUAL, "old", "UPDATE t SET note = 'x'"),
            Write(HIDDEN, "new", "UPDATE t SET note = NULL RETURNING note", [("none 1",)]),
            Write(GONE, "new", "UPDATE t SET note = NULL RETURNING note", [(None,)]),
        ],
    ),
    Case(
        "checks",
        T.format("n int, note text"),
        "ALTER TABLE t ADD CHECK (n > 0), ADD CONSTRAINT two CHECK (n <> id) NO INHERIT,"
        " ADD CONSTRAINT later CHECK (note <> 'bad') NOT VALID, ADD COLUMN m int CHECK (m < 10);"
        "ALTER TABLE t ADD CONSTRAINT now CHECK (note <> 'worse');\n-- crossfade: binds now now",
        [
            Write(BASE, "old", "INSERT INTO t VALUES (1, 5, 'bad')"),
            Write(BOTH, "old", "INSERT INTO t VALUES (2, -1, 'x')"),
            Write(BOTH, "old", "UPDATE t SET note = 'worse'", errors.CheckViolation),
            Write(EQUAL, "old", "UPDATE t SET n = 3 WHERE id = 2"),
            Write(HIDDEN, "new", "INSERT INTO t VALUES (3, -1, 'x', 1)", errors.CheckViolation),
            Write(HIDDEN, "new", "INSERT INTO t VALUES (4, 4, 'x', 1)", errors.CheckViolation),
            Write(HIDDEN, "new", "INSERT INTO t VALUES (5, 4, 'bad', 1)", errors.CheckViolation),
            Write(HIDDEN, "new", "INSERT INTO t VALUES (6, 4, 'x', 11)", errors.CheckViolation),
            Write(HIDDEN, "new", "INSERT INTO t VALUES (7, 4, 'x', 9)"),
        ],
    ),
    Case(
        "foreign keys",
        "CREATE TABLE p (id bigint PRIMARY KEY, a int, b int, UNIQUE (a, b)); INSERT INTO p VALUES (1, 1, 1);"
        + T.format("p_id bigint, a int, b int, parent bigint"),
        "ALTER TABLE t ADD FOREIGN KEY (a, b) REFERENCES p (a, b) MATCH FULL ON DELETE SET NULL,"
        ' ADD CONSTRAINT "T" FOREIGN KEY (p_id) REFERENCES p DEFERRABLE INITIALLY DEFERRED,'
        " ADD FOREIGN KEY (parent) REFERENCES t (id) ON DELETE CASCADE;"
        "ALTER TABLE t ADD COLUMN other bigint REFERENCES p DEFERRABLE INITIALLY DEFERRED",
        [
            Write(BOTH, "old", "INSERT INTO t VALUES (1, 7, 7, 7, 7)"),
            Write(EQUAL, "old", "DELETE FROM t"),
            Write(EQUAL, "new", "INSERT INTO t VALUES (2, 1, 1, 1, 2, 9)", errors.ForeignKeyViolation),
            Write(EQUAL, "new", "INSERT INTO t VALUES (2, 1, 1, 1, 2, 1)"),
            Write(HIDDEN, "new", "INSERT INTO t (id, parent) VALUES (3, 9)", errors.ForeignKeyViolation),
            Write(HIDDEN, "new", "INSERT INTO t (id, p_id) VALUES (3, 9)", errors.ForeignKeyViolation),
        ],
    ),
    Case(
        "unique, and a primary key",
        "CREATE TABLE t (id bigint, note text, n int, m int NOT NULL DEFAULT 1)",
        "ALTER TABLE t ADD PRIMARY KEY (id, m), ADD UNIQUE (note, n) DEFERRABLE INITIALLY DEFERRED,"
        " ADD CONSTRAINT alone UNIQUE NULLS NOT DISTINCT (n) INCLUDE (note), ADD COLUMN k int UNIQUE;"
        "CREATE TABLE c (id bigint PRIMARY KEY); ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES c",
        [
            Write(BOTH, "old", "INSERT INTO t VALUES (1, 'a', 1), (1, 'a', 1)"),
            Write(BOTH, "old", "DELETE FROM t"),
            Write(HIDDEN, "new", "INSERT INTO t (id) VALUES (NULL)", errors.NotNullViolation),
            Write(GONE, "new", "INSERT INTO t (id) VALUES (5)", errors.ForeignKeyViolation),
        ],
    ),
    Case(
        "validating what was added before",
        T.format("n int") + "; ALTER TABLE t ADD CONSTRAINT c CHECK (n > 0) NOT VALID",
        "ALTER TABLE t VALIDATE CONSTRAINT c",
        [Write(EQUAL, "old", "INSERT INTO t VALUES (1, -1)", errors.CheckViolation)],
    ),
    Case(
        "constraints that go",
        "CREATE TABLE p (id bigint PRIMARY KEY); INSERT INTO p VALUES (1), (2);"
        + T.format(
            "n int CONSTRAINT c CHECK (n > 0), note text CONSTRAINT u UNIQUE, a bigint CONSTRAINT fa REFERENCES p,"
            " b bigint CONSTRAINT fb REFERENCES p ON DELETE CASCADE DEFERRABLE, k int CONSTRAINT v UNIQUE"
        ),
        "ALTER TABLE t DROP CONSTRAINT c, ADD CONSTRAINT c CHECK (n > -5), DROP CONSTRAINT u, DROP CONSTRAINT fa,"
        " DROP CONSTRAINT fb, DROP CONSTRAINT v, ADD CONSTRAINT v UNIQUE (k, note)",
        [
            Write(EQUAL, "new", "INSERT INTO t (id, n, a) VALUES (1, -1, 9)"),
            Write(EQUAL, "old", "INSERT INTO t (id, note) VALUES (2, 'x') ON CONFLICT (note) DO NOTHING"),
            Write(EQUAL, "old", "INSERT INTO t (id, note) VALUES (3, 'x') ON CONFLICT (note) DO NOTHING"),
            Write(EQUAL, "old", "INSERT INTO t (id, b) VALUES (5, 2)"),
            Write(EQUAL, "old", "DELETE FROM p WHERE id = 2"),
            Write(EQUAL, "old", "SELECT id FROM t ORDER BY id", [(1,), (2,)]),
            Write(EQUAL, "old", "DELETE FROM t"),
            Write(HIDDEN, "new", "INSERT INTO t (id, n) VALUES (6, -9)", errors.CheckViolation),
            Write(HIDDEN, "new", "INSERT INTO t (id, b) VALUES (7, 9)"),
            Write(HIDDEN, "new", "DELETE FROM t"),
            Write(GONE, "new", "INSERT INTO t (id, note) VALUES (8, 'x'), (9, 'x')"),
        ],
    ),
    Case(
        "indexes that go, and other names",
        T.format("n int, note text CONSTRAINT u UNIQUE, CONSTRAINT c CHECK (n > 0)")
        + "; CREATE INDEX i ON t (n); CREATE UNIQUE INDEX j ON t (n); CREATE INDEX k ON t (note)",
        "DROP INDEX i; DROP INDEX CONCURRENTLY j; ALTER INDEX k RENAME TO kk;"
        'ALTER TABLE t RENAME CONSTRAINT u TO "U"; ALTER TABLE t RENAME CONSTRAINT c TO cc',
        [
            Write(EQUAL, "old", "INSERT INTO t VALUES (1, 1, 'a') ON CONFLICT ON CONSTRAINT u DO NOTHING"),
            Write(HIDDEN, "new", 'INSERT INTO t (id, n) VALUES (2, 2) ON CONFLICT ON CONSTRAINT "U" DO NOTHING'),
        ],
    ),
    Case(
        "comments",
        T.format("note text, n int") + "; COMMENT ON COLUMN t.note IS 'it''s'; COMMENT ON TABLE t IS 'before'",
        "COMMENT ON COLUMN t.note IS NULL; COMMENT ON TABLE t IS 'after'; COMMENT ON COLUMN t.n IS 'number'",
        [Write(BOTH, "old", "SELECT obj_description('t'::regclass)", [("after",)])],
    ),
    Case(
        "a table that goes",
        "CREATE TABLE p (id bigint PRIMARY KEY); INSERT INTO p VALUES (1);"
        + T.format("p_id bigint REFERENCES p")
        + "; CREATE TABLE c (id bigint PRIMARY KEY, t_id bigint REFERENCES t ON DELETE CASCADE)",
        "DROP TABLE t CASCADE",
        [
            Write(EQUAL, "old", "INSERT INTO t VALUES (1, 1)"),
            Write(HIDDEN, "new", "SELECT FROM t", errors.UndefinedTable),
            Write(HIDDEN, "new", "INSERT INTO c VALUES (1, NULL)"),
        ],
    ),
]


@pytest.fixture
def world_of(home: Any) -> Iterator[Callable[[Case], World]]:
    made: list[World] = []

    def make(case: Case) -> World:
        nobody: Any = lambda row, *_: row  # noqa: E731
        made.append(World(home, Recipe(case.name, case.ddl, case.change, {}, {}, nobody, nobody)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def write(world: World, case: Case, done: set[int]) -> None:
    """What the versions write at this stage, once."""
    for number, one in enumerate(case.writes):
        if one.stage is not world.at or number in done:
            continue
        done.add(number)
        connection = world.old if one.shape == "old" else world.new
        if isinstance(one.gives, type):
            with pytest.raises(one.gives):
                connection.execute(one.statement)
            continue
        found = connection.execute(one.statement)
        if one.gives is not None:
            assert found.fetchall() == one.gives, one


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_change_of_what_exists_goes_there_and_back_and_to_the_end(world_of: Any, case: Case) -> None:
    world = world_of(case)
    before = read_catalog(world.admin).fingerprint()
    done: set[int] = set()
    write(world, case, done)
    equal = None
    for stage in (BOTH, BASE, EQUAL, BASE, HIDDEN, EQUAL, HIDDEN, BASE, HIDDEN, GONE):
        while world.at is not stage:
            forward = world.at.rank < stage.rank
            world.forward() if forward else world.back()
            write(world, case, done)
            found = read_catalog(world.admin).fingerprint()
            if world.at is BASE:
                assert found == before
            if world.at is EQUAL:
                equal = equal or found
                assert found == equal
    assert len(done) == len(case.writes)
    assert read_catalog(world.admin).fingerprint() == world.raw.fingerprint()


def test_a_null_that_nothing_stands_for_stops_the_shift(world_of: Any) -> None:
    world = world_of(Case("bare", T.format("note text"), "ALTER TABLE t ALTER note SET NOT NULL", []))
    world.old.execute("INSERT INTO t VALUES (1)")
    world.forward()
    with pytest.raises(AssertionError):  # by the comparison
        world.forward()
    assert world.change.backfill[0].differs == '"note" IS NULL'


def test_a_null_that_was_let_in_leaves_not_null_off_on_the_way_back_and_nothing_in_the_way(world_of: Any) -> None:
    sql = "ALTER TABLE t ALTER note DROP NOT NULL;\n-- crossfade: reads-null t.note"
    world = world_of(Case("loose", T.format("note text NOT NULL"), sql, []))
    before = read_catalog(world.admin).fingerprint()
    world.go(EQUAL)
    world.new.execute("INSERT INTO t VALUES (1)")
    world.go(BASE)
    assert world.old.execute("SELECT note FROM t").fetchall() == [(None,)]
    world.go(EQUAL)
    world.new.execute("INSERT INTO t VALUES (2)")
    world.new.execute("UPDATE t SET note = ''")
    world.go(BASE)
    assert read_catalog(world.admin).fingerprint() == before


def test_nulls_that_something_stood_for_are_recorded(world_of: Any) -> None:
    sql = "ALTER TABLE t ALTER note DROP NOT NULL;\n-- crossfade: down t.note = 'none'"
    world = world_of(Case("kept out", T.format("note text NOT NULL"), sql, []))
    world.go(EQUAL)
    world.new.execute("INSERT INTO t VALUES (1)")
    assert world.noted() == [("no counterpart", {"id": 1}, {"new": {"note": None}})]


def test_rights_come_at_expand_go_at_detach_and_are_taken_back_exactly(home: Any, world_of: Any) -> None:
    names = [f"{home.name}_{letter}" for letter in "ab"]
    for name in names:
        home.ask(f"CREATE ROLE {name}")
    a, b = names
    ddl = T.format("note text") + f"; GRANT SELECT ON t TO {a}; GRANT UPDATE ON t TO {b} WITH GRANT OPTION"
    world = world_of(Case("rights", ddl, f"GRANT SELECT, INSERT ON t TO {a}, {b}; REVOKE UPDATE ON t FROM {b}", []))

    def held() -> set[tuple[Any, ...]]:
        (table,) = [one for one in read_catalog(world.admin).tables.values() if one.name == "t"]
        return {(role.strip('"'), right, option) for role, right, option in table.grants if role.strip('"') in names}

    before = held()
    world.go(EQUAL)
    given = {(a, "INSERT", ""), (b, "INSERT", ""), (b, "SELECT", "")}
    assert held() == before | given
    world.go(HIDDEN)
    assert held() == {(a, "SELECT", ""), *given}
    world.go(BASE)
    assert held() == before
    home.ask(f"DROP OWNED BY {a}, {b}; DROP ROLE {a}, {b}")
