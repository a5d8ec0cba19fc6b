"""What people read of a schema change without a service: the plan, its id, what has moved, what a purge lacks."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from crossfade.cli.schema import recorded_lines, shown
from crossfade.cli.schema_acts import next_of, outcome_lines
from crossfade.cli.schema_plan import plan_json, read_shown
from crossfade.host.database_address import told_address
from crossfade.model.change import Change, Kept, Policy, ShapeMapping, Stage, Unit
from crossfade.model.errors import CrossfadeError
from crossfade.model.ports import SchemaFacts, Standing
from crossfade.model.requirement import Requirement, Waiver
from crossfade.model.settings.parse import parse_schema_file
from crossfade.plan.show_stages import plan_lines
from crossfade.schema.catalog import Catalog, Column, Table
from crossfade.schema.drift import Shown, is_plan_id, moved, outline, plan_id
from crossfade.schema.planning import PlanOptions, Source, plan_change
from crossfade.testing.clock import FakeClock
from crossfade.walk.maintain import refuse_purge_alone
from crossfade.walk.schema_alone import Outcome, Place, Planned, SchemaAlone, hinted

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
ORDERS = Table("public", "orders", (Column("id", "bigint", True), Column("reference", "text", True)))
LINES = Table("public", "lines", (Column("id", "bigint", True),))
SQL = "ALTER TABLE orders RENAME COLUMN reference TO code;\n"
PROOF = Waiver(what="purge:restore-proof", name="Ada", reason="tried by hand", expires=date(2026, 12, 31))
POINT = replace(PROOF, what="purge:restore-point")


def catalog(*tables: Table) -> Catalog:
    return Catalog({(one.schema, one.name): one for one in tables}, {}, ("public",), version=150000)


def plan(sql: str, *tables: Table, name: str = "0042.sql") -> Change:
    return plan_change(name, [Source(name, sql)], catalog(*tables), PlanOptions(False, star_queries="none"))


def hidden(days: float, change: Change) -> Standing:
    return Standing(change, Stage.HIDDEN, "", NOW - timedelta(days=days))


# -- the plan and its id ------------------------------------------------------------------------------


def test_the_plan_says_who_may_run_between_its_steps_and_what_the_way_back_loses() -> None:
    change = plan(SQL, ORDERS)
    told = plan_lines(change, plan_id(change), "none", "0042.sql --star-queries none")
    assert told[0] == f"0042.sql: plan {plan_id(change)}"
    assert told[told.index("who may run") :] == [
        "who may run",
        "  now              the version that is there",
        "  after expand     that version, as it is; also a release that writes both itself (reference and code), saying"
        " the same, and reads reference",
        "  after backfill   also a release that reads and writes code alone; a flag may shift reads there",
        "  before detach    stop every version that needs the old shape and what writes both; its code, and a flag,"
        " may go",
        "  at detach        hide reference",
        "  at purge         the old shape is not kept in step any more; drop reference",
        "way back",
        "  from expand      crossfade schema undo",
        "  from backfill    crossfade schema undo, once no version needs the new shape",
        "  from detach      crossfade schema attach, which takes milliseconds; then as from backfill",
        "  from purge       none by a step; crossfade_attic has what the new shape does not tell",
        "what is lost",
        "  at undo          what only a new version wrote into public.orders goes to crossfade_attic",
        "  at purge         the old shape of public.orders; what the new one does not tell goes to crossfade_attic",
        "irreversible       purge",
        f"next: crossfade schema expand 0042.sql --star-queries none --plan {plan_id(change)}",
    ]
    assert "(crossfade schema detach)" in "\n".join(told), "each step says the command that does it"


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (
            Policy.REJECT,
            "nothing; orders: values of code that reference cannot hold are refused until",
        ),
        (Policy.RECORD, "orders: values of code that reference cannot hold are stored, counted by key"),
    ],
)
def test_a_value_without_counterpart_is_told_of_where_it_can_come_about(policy: Policy, says: str) -> None:
    mapping = ShapeMapping("orders", ("reference",), ("code",), policy, "reference <-> code, partial")
    change = Change("c1", "0042.sql", "base", ["orders"], mappings=[mapping])
    assert any(line.startswith(f"  after expand     {says}") for line in plan_lines(change, "id", "", "0042.sql"))


def test_a_change_that_takes_nothing_away_says_so() -> None:
    unit = Unit("expand:n", "create table n", do=("CREATE TABLE n ()",), undo=("DROP TABLE n",))
    told = plan_lines(Change("c1", "0042.sql", "base", ["public.n"], expand=[unit]), "id", "", "0042.sql")
    assert "  at detach        nothing is hidden; every version may run on" in told
    assert "  never            nothing that a version writes is lost on the way there or back" in told
    assert "irreversible       nothing: the purge drops nothing" in told


def test_the_id_of_a_plan_is_what_it_does_whatever_its_file_is_called() -> None:
    one = plan(SQL, ORDERS)
    assert is_plan_id(plan_id(one))
    assert plan_id(plan(SQL, ORDERS, name="elsewhere/0042.sql")) == plan_id(one)
    assert not is_plan_id("plan.json")


def test_what_has_moved_since_a_plan_was_shown_is_named() -> None:
    seen = plan(SQL, ORDERS, LINES)
    known = Shown(plan_id(seen), outline(catalog(ORDERS, LINES), seen.tables))
    assert moved(known, seen, {}) == []
    wider = replace(ORDERS, columns=(*ORDERS.columns, Column("note", "text", True)))
    other = replace(LINES, columns=(*LINES.columns, Column("gift", "boolean", True)))
    now = catalog(wider, other, Table("public", "neighbours", ()))
    after = plan(SQL, *now.tables.values())
    lines = moved(known, after, outline(now, after.tables))
    assert [line.split(" (")[0] for line in lines] == [
        "moved: public.lines is another",
        "moved: public.neighbours is new",
        "moved: public.orders: + column note text",
    ]
    assert moved(Shown(known.id), after, {}) == [
        "moved: the schema of the database: a neighbour's change, or DDL by hand; a plan that is kept as a file would"
        " name it"
    ]
    assert moved(known, plan("ALTER TABLE orders RENAME reference TO number", ORDERS, LINES), {}) == [
        "moved: the SQL makes another change than the one that was shown"
    ]
    assert moved(Shown(known.id[:-8] + "00000000"), seen, {}) == [
        "moved: settings that decide how it is staged, or the version of crossfade"
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "it is not JSON"),
        ("[]", "it is not what that command prints"),
        ('{"plan": "x", "outline": {}}', "it holds no plan's id"),
        (None, "the system said: No such file or directory"),
    ],
)
def test_a_file_that_holds_no_plan_is_told_from_one_that_does(tmp_path: Path, text: str | None, reason: str) -> None:
    file = tmp_path / "plan.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(CrossfadeError) as caught:
        read_shown(str(file))
    assert caught.value.exit == 2
    assert caught.value.render() == (
        f"error[schema-plan-unreadable]: {file} is neither a plan's id nor a file with a plan\n"
        f"  {reason}\n"
        "hint: crossfade schema plan FILE --output json > plan.json"
    )


def test_a_plan_is_named_by_its_id_or_by_its_file(tmp_path: Path) -> None:
    planned = Planned(plan(SQL, ORDERS), outline(catalog(ORDERS), ["public.orders"]))
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan_json(planned)))
    assert read_shown(str(file)) == Shown(planned.id, planned.outline)
    assert read_shown(planned.id) == Shown(planned.id)
    assert read_shown(None) is None


# -- what was done and what stands --------------------------------------------------------------------


def test_what_triggers_noted_is_told_in_sentences() -> None:
    counts = {"public.orders: conflict": 3, "public.lines: no counterpart": 1, "public.more: no counterpart": 0}
    assert recorded_lines(counts) == [
        "3 writes of public.orders gave the two shapes different values",
        "1 row of public.lines holds a value without counterpart",
    ]


def test_status_says_the_way_on_and_the_way_back_with_and_without_a_service() -> None:
    change = plan(SQL, ORDERS)
    both = Standing(change, Stage.BOTH, "", NOW, {"public.orders: no counterpart": 2})
    facts = SchemaFacts(both, [hidden(1, change)])
    first, second = shown(facts, 7 * 86400, NOW, alone=True)
    assert first.text() == (
        f"0042.sql ({change.id}): both shapes since 2026-03-10 12:00 UTC\n"
        "  tables: public.orders\n"
        "  recorded: 2 rows of public.orders hold a value without counterpart\n"
        "  next: crossfade schema backfill; or back: crossfade schema undo"
    )
    assert second.next == (
        f"crossfade schema purge {change.id} from 2026-03-16 12:00 UTC on, or back: crossfade schema attach"
    )
    released = shown(SchemaFacts(replace(both, version="v2")), 0, NOW, alone=False)
    assert released[0].next == "crossfade release v2 goes on, crossfade schema undo takes it back"


def test_an_act_says_what_it_did_and_what_comes_next() -> None:
    change = plan(SQL, ORDERS)
    done = Outcome("detach", "0042.sql: out of sight", change, Stage.HIDDEN, {"steps": [{"held_ms": 3.25}]})
    assert outcome_lines(done) == ["0042.sql: out of sight", "  1 step, locks held for 3.2 ms at most"]
    alone = SchemaAlone(Place("postgresql://x"), FakeClock(), "t")
    assert next_of(done, alone) == "crossfade schema purge in 7 days, or back: crossfade schema attach"
    assert outcome_lines(Outcome("expand", "0042.sql is there already", change, Stage.BOTH)) == [
        "0042.sql is there already: it stands at 'both shapes'"
    ]


def test_failures_of_the_engine_have_a_way_on_without_a_release() -> None:
    with pytest.raises(CrossfadeError) as caught, hinted():
        plan("ALTER TABEL orders", ORDERS)
    assert caught.value.id == "schema-syntax"
    assert caught.value.hint == "put it right and plan again: crossfade schema plan FILE"


# -- where, and what a purge needs ---------------------------------------------------------------------


def test_a_file_without_a_service_may_leave_everything_out() -> None:
    assert parse_schema_file("[process.web]\n") is None, "a service's own file is read as a whole"
    empty = parse_schema_file("")
    assert empty is not None
    assert (empty.service, empty.requirement.purge_after_s, dict(empty.databases)) == (None, 604800.0, {})
    some = parse_schema_file('[database.main]\nadmin_url = "env:ADMIN"\n[schema]\nstar_queries = "none"\n')
    assert some is not None
    assert (some.databases["main"].admin_url, some.schema.star_queries) == ("env:ADMIN", "none")


@pytest.mark.parametrize(
    ("text", "listing"),
    [
        ("[schema]\nbatch = 3\n", "crossfade.toml:2: schema.batch: is not a key of crossfade.toml here"),
        (
            '[database.main]\nadmin_url = "postgresql://me:secret@host/shop"\n',
            "crossfade.toml:2: database.main.admin_url: has a password written out; leave it out, and write"
            ' admin_password = "env:NAME"',
        ),
        ("[database.a]\n[database.b]\n", "crossfade.toml:1: database: has 2 tables; this version walks one database"),
        ("[schema\n", "crossfade.toml:1: is not TOML: expected ']' at the end of a table declaration (column 8)"),
    ],
)
def test_what_is_wrong_in_such_a_file_is_named_with_its_line(text: str, listing: str) -> None:
    with pytest.raises(CrossfadeError) as caught:
        parse_schema_file(text)
    assert caught.value.exit == 3
    assert str(caught.value.facts["listing"]).startswith(listing)


def test_an_address_in_libpqs_variables_is_told_like_any_other() -> None:
    assert told_address("", {"PGHOST": "db", "PGDATABASE": "shop", "PGPORT": "6000"}) == "shop at db:6000"
    assert told_address("", {"PGSERVICE": "shop"}) == "service shop of pg_service.conf"
    assert told_address("postgresql://me@db/shop", {"PGHOST": "other"}) == "shop at db:5432"


def test_a_purge_without_a_service_needs_the_soak_and_somebody_who_answers_for_the_restore() -> None:
    change, need = plan(SQL, ORDERS), Requirement(purge_after_s=86400.0)
    refuse_purge_alone(need, [PROOF, POINT], hidden(2, change), NOW)
    with pytest.raises(CrossfadeError) as early:
        refuse_purge_alone(need, [PROOF, POINT], hidden(0.5, change), NOW)
    assert early.value.id == "purge-too-early"
    with pytest.raises(CrossfadeError) as caught:
        refuse_purge_alone(need, [replace(PROOF, expires=date(2026, 3, 9))], hidden(2, change), NOW)
    assert caught.value.exit == 1
    assert caught.value.render() == (
        "error[schema-purge-unproven]: 0042.sql may not be purged: nothing here shows that its data could be brought"
        " back\n"
        "  lacking: a waiver purge:restore-proof in force, a waiver purge:restore-point in force\n"
        "hint: try a restore and set a restore point, then answer for it in crossfade.toml: [[waiver]] what ="
        ' "purge:restore-proof", with name, reason and expires'
    )


def test_what_is_kept_of_a_table_is_told_without_quotes() -> None:
    kept = Kept('"public"."orders"', ('"id"',), ('"code"',), "a")
    told = plan_lines(Change("c1", "x", "b", ["public.orders"], undo_keeps=[kept]), "id", "", "x")
    assert "  at undo          what only a new version wrote into public.orders goes to crossfade_attic" in told
