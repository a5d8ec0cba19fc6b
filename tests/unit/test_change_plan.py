"""How a release meets the schema: new, half there, simply there, open for somebody else, or in another's way."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from crossfade.model.change import Change, Stage
from crossfade.model.errors import CrossfadeError
from crossfade.model.ports import SchemaFacts, Slot, Standing
from crossfade.model.requirement import Config, Database, Process, Service, Staging
from crossfade.plan.release import NO_SCHEMA, SchemaPart
from crossfade.schema.catalog import Catalog, Column, Table
from crossfade.walk.change_plan import Wanted, roles_of, schema_part, wanted_by

SQL = "ALTER TABLE orders ADD COLUMN note text;\n"
SINCE = datetime(2026, 1, 2, tzinfo=UTC)


def config(**database: object) -> Config:
    web = Process(name="web", command=("serve", "{port}"), role="web", instances=1)
    main = Database(name="main", app_url="env:A", admin_url="env:B", **database)  # type: ignore[arg-type]
    return Config(
        service=Service(name="shop"),
        processes={"web": web},
        databases={"main": main},
        schema=Staging(change="migrations/{version}.sql", star_queries="none"),
    )


def wanted(folder: Path, text: str = SQL) -> Wanted:
    (folder / "migrations").mkdir(exist_ok=True)
    (folder / "migrations/v2.sql").write_text(text)
    found = wanted_by(config(), "v2", folder)
    assert found is not None
    return found


def catalog() -> Catalog:
    raise AssertionError("what is known needs no catalog")


def one_table() -> Catalog:
    orders = Table("public", "orders", [Column("id", "bigint", True, not_null=True)])
    return Catalog({("public", "orders"): orders}, {}, ["public"], version=180000)


def standing(change_id: str, stage: Stage, name: str = "migrations/v2.sql") -> Standing:
    return Standing(Change(change_id, name, "base", ["public.orders"]), stage, "v2", SINCE)


def test_a_version_without_the_file_changes_nothing(tmp_path: Path) -> None:
    assert wanted_by(config(), "v2", tmp_path) is None
    assert schema_part(config(), "v2", None, SchemaFacts(None), catalog) is NO_SCHEMA


def test_a_folder_is_read_in_order_and_has_the_id_of_its_statements(tmp_path: Path) -> None:
    one = wanted(tmp_path)
    assert one.id == wanted(tmp_path, f"-- said differently\n{SQL.lower()}").id
    assert one.id != wanted(tmp_path, SQL.replace("note", "remark")).id


def test_the_same_change_that_stands_open_is_taken_over_where_it_stands(tmp_path: Path) -> None:
    one = wanted(tmp_path)
    facts = SchemaFacts(standing(one.id, Stage.EQUAL))
    part = schema_part(config(), "v3", one, facts, catalog)
    assert (part.stage, part.change) == (Stage.EQUAL, facts.open.change if facts.open else None)


def test_a_hotfix_goes_out_on_what_stands_open(tmp_path: Path) -> None:
    facts = SchemaFacts(standing(wanted(tmp_path).id, Stage.EQUAL))
    assert schema_part(config(), "v1b", None, facts, catalog) == SchemaPart(Stage.EQUAL, ["public.orders"])


@pytest.mark.parametrize("where", ["detached", "gone"])
def test_what_is_there_already_is_not_walked_again(tmp_path: Path, where: str) -> None:
    one = wanted(tmp_path)
    detached = SchemaFacts(None, [standing(one.id, Stage.HIDDEN)])
    facts = detached if where == "detached" else SchemaFacts(None, gone=[one.id])
    assert schema_part(config(), "v2", one, facts, catalog) is NO_SCHEMA


def test_beside_an_open_change_no_other_begins(tmp_path: Path) -> None:
    facts = SchemaFacts(standing("cffffffffffff", Stage.BOTH, "migrations/v9.sql"))
    with pytest.raises(CrossfadeError) as caught:
        schema_part(config(), "v2", wanted(tmp_path), facts, catalog)
    assert caught.value.exit == 5
    assert caught.value.render() == (
        "error[change-open]: v2 wants the schema change migrations/v2.sql, and another one is open\n"
        "  open: migrations/v9.sql of v2, at 'both shapes'\n"
        "hint: finish it: crossfade release v2; or take it back: crossfade schema undo"
    )


def test_where_an_earlier_old_shape_still_waits_no_other_change_begins(tmp_path: Path) -> None:
    facts = SchemaFacts(None, [standing("cffffffffffff", Stage.HIDDEN, "migrations/v1.sql")])
    with pytest.raises(CrossfadeError) as caught:
        schema_part(config(), "v2", wanted(tmp_path), facts, one_table)
    assert caught.value.exit == 5
    assert caught.value.render() == (
        "error[change-queued]: v2 changes public.orders, where the old shape of an earlier change still waits for its"
        " purge\n"
        "  waiting: migrations/v1.sql, since 2026-01-02\n"
        "hint: crossfade schema purge, then release again"
    )


@pytest.mark.parametrize(
    "text",
    ["ALTER TABLE orders ADD COLUMN note text;", "CREATE INDEX ON public.orders (id);", "DROP TABLE orders;"],
)
def test_where_a_view_stands_before_the_table_meanwhile_it_is_still_the_purge_that_is_waited_for(
    tmp_path: Path, text: str
) -> None:
    view = Table("public", "orders", [Column("id", "bigint", True)], kind="v")
    behind = Table("public", "cf_ffffff_orders", [Column("id", "bigint", True)])
    facts = SchemaFacts(None, [standing("cffffffffffff", Stage.HIDDEN, "migrations/v1.sql")])

    def fronted() -> Catalog:
        return Catalog({(one.schema, one.name): one for one in (view, behind)}, {}, ["public"], version=180000)

    with pytest.raises(CrossfadeError) as caught:
        schema_part(config(), "v2", wanted(tmp_path, text), facts, fronted)
    assert caught.value.id == "change-queued"
    assert caught.value.message.startswith("v2 changes public.orders, where the old shape of an earlier change")


def test_what_is_refused_for_itself_is_not_blamed_on_a_change_of_another_table(tmp_path: Path) -> None:
    facts = SchemaFacts(None, [standing("cffffffffffff", Stage.HIDDEN, "migrations/v1.sql")])
    with pytest.raises(CrossfadeError) as caught:
        schema_part(config(), "v2", wanted(tmp_path, "ALTER TABLE users ADD COLUMN note text;"), facts, one_table)
    assert caught.value.id == "schema-not-found"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    file = tmp_path / "migrations/v2.sql"
    file.write_bytes(b"-- \xff\n")
    with pytest.raises(CrossfadeError) as caught:
        wanted_by(config(), "v2", tmp_path)
    assert caught.value.exit == 3
    assert caught.value.render() == (
        "error[input-unreadable]: migrations/v2.sql:1 cannot be read\n"
        "  reason: byte 0xff is not UTF-8\n"
        "hint: mend the file, or point at another"
    )


def test_the_lanes_write_the_shapes_of_their_versions() -> None:
    roles = config(app_roles=("shop_left", "shop_right"))
    change = Change("c1", "v2.sql", "base", ["public.orders"])
    release = SchemaPart(Stage.BASE, change.tables, change)
    assert roles_of(roles, release, Slot.LEFT) == {"shop_left": "old", "shop_right": "new"}
    assert roles_of(roles, release, Slot.RIGHT) == {"shop_right": "old", "shop_left": "new"}
    hotfix = SchemaPart(Stage.EQUAL, change.tables)
    assert roles_of(roles, hotfix, Slot.LEFT) == {"shop_left": "old", "shop_right": "old"}
    assert roles_of(config(), release, Slot.LEFT) == {}
