"""What the user points at is read in the order of the tool that wrote it, or refused with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from crossfade.model.errors import CrossfadeError
from crossfade.schema.inputs.migration import all_sources
from crossfade.schema.inputs.place import read_place

DIESEL = (
    "00000000000000_diesel_initial_setup/up.sql",
    "00000000000000_diesel_initial_setup/down.sql",
    "20140924113530_first/up.sql",
    "2017-10-08-193512_second/up.sql",
    "2023-01-02-000000-0000_third/up.sql",
)
LAYOUTS = {
    "diesel": (
        DIESEL,
        [
            "00000000000000_diesel_initial_setup",
            "20140924113530_first",
            "2017-10-08-193512_second",
            "2023-01-02-000000-0000_third",
        ],
    ),
    "prisma": (
        ("20240101000000_init/migration.sql", "20240101000000_also/migration.sql", "migration_lock.toml"),
        ["20240101000000_also", "20240101000000_init"],
    ),
    "flyway": (
        (
            "V1__a.sql",
            "V1_10__d.sql",
            "sub/V1.2__b.sql",
            "V10.0__f.sql",
            "V2__e.sql",
            "V1.3__c.sql",
            "U2__e.sql",
            "R__views.sql",
            "R__functions.sql",
            "afterMigrate.sql",
        ),
        [
            "V1__a.sql",
            "V1.2__b.sql",
            "V1.3__c.sql",
            "V1_10__d.sql",
            "V2__e.sql",
            "V10.0__f.sql",
            "R__functions.sql",
            "R__views.sql",
        ],
    ),
    "flyway with a baseline": (
        ("V1__a.sql", "V2__b.sql", "B2__base.sql", "V3__c.sql"),
        ["B2__base.sql", "V3__c.sql"],
    ),
    "golang-migrate": (
        ("2_b.up.sql", "2_b.down.sql", "10_c.up.sql", "1_a.up.sql"),
        ["1_a.up.sql", "2_b.up.sql", "10_c.up.sql"],
    ),
    "numbered": (
        ("9_b.sql", "10_c.sql", "0001_a.sql", ".hidden.sql", "README.md"),
        ["0001_a.sql", "9_b.sql", "10_c.sql"],
    ),
    "named": (("b.sql", "10_c.sql", "a.sql"), ["10_c.sql", "a.sql", "b.sql"]),
    "one of diesel": (("up.sql", "down.sql"), ["history"]),
}


def laid_out(folder: Path, files: Sequence[str]) -> Path:
    history = folder / "history"
    for file in files:
        path = history / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"SELECT '{file}';\n")
    return history


def refused(*paths: Path) -> str:
    with pytest.raises(CrossfadeError) as caught:
        read_place(paths)
    return f"{int(caught.value.exit)} {caught.value.render()}"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_folder_is_read_in_the_order_of_its_tool(tmp_path: Path, layout: str) -> None:
    files, names = LAYOUTS[layout]
    history = laid_out(tmp_path, files)
    assert [one.name for one in read_place([history])] == names


def test_a_text_is_named_by_the_file_it_came_from(tmp_path: Path) -> None:
    history = laid_out(tmp_path, DIESEL)
    assert all_sources(read_place(["history"], within=tmp_path))[1].name == "history/20140924113530_first/up.sql"
    assert all_sources(read_place([history]))[1].name == str(history / "20140924113530_first/up.sql")


def test_files_keep_the_order_in_which_they_are_given_and_standard_input_is_one(tmp_path: Path) -> None:
    history = laid_out(tmp_path, ("b.sql", "a.sql"))
    found = read_place([history / "b.sql", "-", history / "a.sql"], stdin=lambda: b"\xef\xbb\xbfSELECT 1;")
    assert [one.name for one in found] == ["b.sql", "<stdin>", "a.sql"]
    assert found[1].sources[0].text == "SELECT 1;"


@pytest.mark.parametrize(
    ("file", "hint"),
    [
        ("notes.txt", "point at a file, or at a folder that holds migrations"),
        ("env.py", "print the SQL of Alembic: alembic upgrade FROM:TO --sql"),
        ("__init__.py", "print the SQL of Django: manage.py sqlmigrate APP NAME"),
        ("1_a.rb", "print the SQL of Rails: its log at level debug holds it, and it may be piped in with -"),
    ],
)
def test_a_folder_without_sql_says_what_to_point_at(tmp_path: Path, file: str, hint: str) -> None:
    history = laid_out(tmp_path, [file])
    assert refused(history) == (
        f"3 error[input-nothing]: {history} holds no migrations\n"
        "  looked for: *.sql, NAME/up.sql, NAME/migration.sql, V1__NAME.sql\n"
        f"hint: {hint}"
    )


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "no.sql") == (
        f"3 error[input-unreadable]: {tmp_path}/no.sql cannot be read\n"
        "  reason: No such file or directory\n"
        "hint: mend the file, or point at another"
    )


@pytest.mark.parametrize(
    ("data", "reason"), [(b"\n\n-- \xff\n", "byte 0xff is not UTF-8"), (b"\n\n\0", "a zero byte is not text")]
)
def test_what_is_not_text_is_refused_at_its_line(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a.sql").write_bytes(data)
    assert refused(tmp_path / "a.sql") == (
        f"3 error[input-unreadable]: {tmp_path}/a.sql:3 cannot be read\n"
        f"  reason: {reason}\n"
        "hint: mend the file, or point at another"
    )


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ("V1.0__a.sql", "V1__b.sql"),
        ("20240101_a/up.sql", "2024-01-01_b/up.sql"),
        ("1_a.up.sql", "01_b.up.sql"),
    ],
)
def test_two_migrations_with_one_number_are_refused(tmp_path: Path, one: str, another: str) -> None:
    history = laid_out(tmp_path, (one, another))
    first, second = sorted((one, another))
    said = refused(history)
    assert said.startswith("3 error[input-order]: two migrations have the same number, so their order is not known\n")
    assert f"one:     {history}/{first}" in said or f"one:     {history}/{second}" in said


def test_a_file_without_a_place_in_the_order_is_refused(tmp_path: Path) -> None:
    history = laid_out(tmp_path, ("V1__a.sql", "fix.sql"))
    assert refused(history) == (
        "3 error[input-order]: a file has no place among these migrations, so their order is not known\n"
        f"  one:     {history}/V1__a.sql\n"
        f"  another: {history}/fix.sql\n"
        "hint: name one of them anew, or point at the files in their order"
    )
