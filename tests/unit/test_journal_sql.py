"""Named SQL blocks and the order of migrations."""

from __future__ import annotations

import re

import pytest

from crossfade.journal.install import is_post, lacking
from crossfade.journal.sql import migrations, parse, query


def test_blocks_have_names_and_lose_their_comments() -> None:
    text = "-- one --\n-- Says one.\nSELECT 1\n  -- inner\n  + 0\n\n-- two_b --\nSELECT 2\n"
    assert parse(text) == {"one": "SELECT 1\n  + 0", "two_b": "SELECT 2"}


@pytest.mark.parametrize("text", ["SELECT 1\n-- one --\nSELECT 1", "-- one --\n-- two --\nSELECT 2"])
def test_a_query_without_a_name_and_a_name_without_a_query_are_refused(text) -> None:
    with pytest.raises(ValueError, match="without a name"):
        parse(text)


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        parse("-- one --\nSELECT 1\n-- one --\nSELECT 2")


def test_no_query_asks_a_cache_for_the_schema() -> None:
    assert "to_regclass" not in query("installed")


def test_every_query_touches_only_our_schema() -> None:
    for name in ("put_rows", "acquire_lease", "renew_lease", "release_lease", "bind", "note_migration"):
        tables = re.findall(r"(?:INTO|FROM|UPDATE) ([a-z_.]+)", query(name))
        own = {"led", "put", "jsonb_to_recordset", "incoming"}
        assert all(table.startswith("crossfade.") for table in tables if table not in own), name


def test_migrations_say_before_or_after_the_new_code() -> None:
    assert migrations()[0] == "00.01.00_01_baseline.sql"
    assert [name for name in migrations() if not re.fullmatch(r"\d\d\.\d\d\.\d\d_\d\d_[a-z_]+\.sql", name)] == []
    assert (is_post("00.02.00_49_add.sql"), is_post("00.02.00_50_drop.sql")) == (False, True)
    assert lacking(migrations(), post=True) == []
    assert lacking([], post=False) == [name for name in migrations() if not is_post(name)]
