"""Every act on a real database, and its way back: the catalog, the stage, what was written and where it is kept."""

from __future__ import annotations

import pytest

from crossfade.model.errors import CrossfadeError, Exit

MISMATCH = """
INSERT INTO crossfade.mismatch (change, table_name, kind, key, data)
VALUES ('c1', 'public.orders', 'conflict', '{}', '{}')
"""
FORWARD = ("expand", "backfill", "record", "detach", "purge")


def test_there_and_back_again_leaves_the_catalog_as_it_was(walk, home) -> None:
    before = home.catalog()
    walk.through("expand", "backfill", "record", "detach", "attach", "undo")
    assert home.catalog() == before
    assert walk.where() == "none"
    assert home.ask("SELECT count(*) FROM public.orders WHERE reference = 'r' || id") == [(1000,)]


def test_each_act_reaches_its_stage_and_done_twice_is_done_once(walk, home) -> None:
    stages = []
    for name in FORWARD:
        walk.act(name)
        acts, catalog = home.acts(), home.catalog()
        walk.act(name)
        assert home.acts() == acts, name
        assert home.catalog() == catalog, name
        stages.append(walk.where())
    assert stages == ["both shapes", "both shapes, equal", "both shapes, equal", "old shape hidden", "none"]
    assert home.ask("SELECT stage FROM crossfade.change") == [("old shape gone",)]


def test_what_purge_drops_is_in_the_attic_row_by_row_and_nobody_else_may_read_it(walk, home) -> None:
    home.ask("UPDATE public.orders SET reference = NULL WHERE id <= 10")
    walk.through("expand", "backfill", "record", "detach")
    measured = walk.act("purge")
    assert measured["kept"] == [
        {
            "table": "public.orders",
            "attic": "crossfade_attic.c1_orders",
            "rows": 990,
            "values": {"_gone_reference": 990},
        }
    ]
    assert home.ask("SELECT count(*), min(_gone_reference), min(id) FROM crossfade_attic.c1_orders") == [
        (990, "r100", 11)
    ]
    assert home.ask("SELECT attic, kept, rows FROM crossfade.attic") == [
        ("crossfade_attic.c1_orders", "_gone_reference of public.orders", 990)
    ]
    assert home.ask(
        "SELECT count(*) FROM pg_class c, aclexplode(c.relacl) x WHERE relname = 'c1_orders' AND grantee = 0"
    ) == [(0,)]
    assert "reference" not in str(
        home.ask(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = 'public.orders'::regclass AND NOT attisdropped"
        )
    )


def test_undo_keeps_and_counts_what_only_the_new_version_wrote_each_time_anew(walk, home) -> None:
    for round_, attic in enumerate(("crossfade_attic.c1_orders_new", 'crossfade_attic."c1_orders_new_2"')):
        walk.through("expand", "backfill")
        home.ask("UPDATE public.orders SET note = 'kept' || %s WHERE id <= 3", round_)
        home.ask(MISMATCH)
        assert walk.engine.facts(counted=True).open.partial_counts == {"public.orders: conflict": 1}
        assert walk.engine.facts().open.partial_counts == {}, "counting takes time, so nobody does who has not asked"
        measured = walk.act("undo")
        assert measured["kept"] == [{"table": "public.orders", "attic": attic, "rows": 3, "values": {"note": 3}}]
        assert measured["mismatches"] == {"public.orders: conflict": 1}
        assert home.ask(f"SELECT DISTINCT note FROM {attic}") == [(f"kept{round_}",)]


def test_undo_without_anything_new_leaves_no_attic_table(walk, home) -> None:
    measured = walk.through("expand", "backfill", "undo")
    assert measured["kept"] == [{"table": "public.orders", "attic": "", "rows": 0, "values": {}}]
    assert home.ask("SELECT count(*) FROM pg_class WHERE relnamespace = 'crossfade_attic'::regnamespace") == [(0,)]


def test_measurements_are_in_the_result_and_in_the_track(walk, home) -> None:
    measured = walk.act("expand")
    steps = measured["steps"]
    assert [step["unit"] for step in steps] == ["expand:public.orders", "expand:check"]
    for step in steps:
        assert step["tries"] == 1
        assert step["held_ms"] > 0
        assert step["commit_ms"] > 0
    stored = home.ask("SELECT data FROM crossfade.schema_act WHERE unit <> 'begin' ORDER BY id")
    assert [row[0] for row in stored] == steps


def test_one_differing_row_stops_the_shift_and_is_named(walk, home) -> None:
    walk.act("expand")
    home.ask("ALTER TABLE public.orders DISABLE TRIGGER zz_sync")
    home.ask("UPDATE public.orders SET code = 'other' || id WHERE id IN (7, 8)")
    with pytest.raises(CrossfadeError) as caught:
        walk.act("backfill")
    assert caught.value.exit is Exit.NOT_MET
    assert caught.value.render() == (
        "error[schema-shapes-differ]: the two shapes of public.orders differ in 2 rows; the shift does not begin\n"
        "  for example, by key: id=7, id=8\n"
        "hint: look at these rows, then: crossfade release VERSION once more, or crossfade schema undo"
    )
    assert walk.where() == "both shapes"


def test_a_later_version_takes_over_what_is_expanded(walk, home) -> None:
    walk.through("expand", "backfill")
    walk.engine.expand(walk.change, "v8", walk.go_on, walk.said.append)
    assert walk.engine.facts().open.version == "v8"
    assert walk.where() == "both shapes, equal"


def test_lanes_are_said_by_role(walk, home) -> None:
    walk.engine.lanes({"shop_left": "old", "shop_right": "new"})
    walk.engine.lanes({"shop_left": "new", "shop_right": "old"})
    assert home.ask("SELECT role::text, shape FROM crossfade_sync.lane ORDER BY 1") == [
        ("shop_left", "new"),
        ("shop_right", "old"),
    ]


def test_a_database_without_the_track_has_seen_no_change(walk, home) -> None:
    home.ask("DROP SCHEMA crossfade CASCADE")
    assert walk.engine.facts().open is None


def test_a_scratch_copy_without_a_lease_is_walked_unfenced(walk, home) -> None:
    home.ask("DELETE FROM crossfade.lease")
    walk.but(fenced=False).through(*FORWARD)
    assert home.ask("SELECT DISTINCT epoch FROM crossfade.schema_act") == [(0,)]


def test_nothing_hidden_is_nothing_to_attach(walk, home) -> None:
    """After a failover that lost more than the detach, the way back of the release attaches all the same."""
    for before in ((), ("expand",)):
        walk.through(*before)
        rows, catalog = home.acts(), home.catalog()
        assert walk.act("attach") == {"steps": []}
        assert (home.acts(), home.catalog()) == (rows, catalog)


def test_the_new_columns_have_statistics_at_equal(walk, home) -> None:
    home.ask("ALTER TABLE public.orders SET (autovacuum_enabled = off)")
    walk.act("expand")
    assert home.ask("SELECT count(*) FROM pg_stats WHERE tablename = 'orders' AND attname = 'code'") == [(0,)]
    measured = walk.act("backfill")
    assert home.ask("SELECT null_frac FROM pg_stats WHERE tablename = 'orders' AND attname = 'code'") == [(0.0,)]
    assert [one["table"] for one in measured["analysed"]] == ["public.orders"]
    assert "analyses public.orders: new columns have no statistics yet" in walk.said
