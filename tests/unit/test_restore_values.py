"""What a drill compares, and where it points a version: values in, sentences out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crossfade.backup.compare import differences
from crossfade.backup.content import Content, SequenceAt, TableContent
from crossfade.backup.dump import dump_argv, environment_of, fingerprint, restore_argv, without_secrets
from crossfade.walk.at_copy import CopyAddress, point_at_copy

HELD = Content(
    {"public.orders": TableContent(3, "77"), "public.users": TableContent(0, "0")},
    {"public.orders_id_seq": SequenceAt(4, 1, False)},
    frozenset({"table public.orders", "index public.orders_pkey unique"}),
)
COPY = CopyAddress(5555, "restored", "postgres", "super")
APP = "postgresql://shop:p%40ss@db.example:6432/shop?sslmode=require"


def test_a_copy_that_holds_the_same_has_no_differences() -> None:
    assert differences(HELD, HELD.sequences, HELD) == []


def test_every_kind_of_difference_names_its_place() -> None:
    copy = Content(
        {"public.orders": TableContent(3, "78"), "public.more": TableContent(0, "0")},
        {"public.orders_id_seq": SequenceAt(3, 1, False)},
        frozenset({"table public.orders", "table public.more"}),
    )
    assert differences(HELD, HELD.sequences, copy) == [
        "public.orders has 3 rows in both, and other values in the copy",
        "public.users is not in the copy",
        "public.more is only in the copy",
        "sequence public.orders_id_seq is behind: the copy gives 3 next, the source 4",
        "index public.orders_pkey unique is not in the copy",
        "table public.more is only in the copy",
    ]


@pytest.mark.parametrize(
    ("step", "copy", "after", "said"),
    [
        (1, 6, 9, []),  # it moved while the dump was taken
        (1, 12, 9, ["sequence public.orders_id_seq is ahead: the copy gives 12 next, the source 9"]),
        (-1, 5, 3, ["sequence public.orders_id_seq is behind: the copy gives 5 next, the source 4"]),
        (-1, 3, 2, []),
    ],
)
def test_a_sequence_may_have_moved_as_far_as_the_sources(step: int, copy: int, after: int, said: list[str]) -> None:
    def at(value: int) -> dict[str, SequenceAt]:
        return {"public.orders_id_seq": SequenceAt(value, step, False)}

    source = replace(HELD, sequences=at(4))
    assert differences(source, at(after), replace(HELD, sequences=at(copy))) == said


def test_a_hundred_differences_do_not_hide_the_first() -> None:
    source = replace(HELD, tables={f"t{n:03}": TableContent(1, "1") for n in range(100)})
    said = differences(source, {}, replace(HELD, tables={}))
    assert (said[0], said[20]) == ("t000 is not in the copy", "and 80 more tables")


def test_programs_get_addresses_and_passwords_from_their_environment_only() -> None:
    env = environment_of("postgresql://admin:s3cret@db:6000/shop?sslmode=disable")
    assert env == {
        "PGHOST": "db",
        "PGPORT": "6000",
        "PGUSER": "admin",
        "PGPASSWORD": "s3cret",
        "PGDATABASE": "shop",
        "PGSSLMODE": "disable",
        "PGAPPNAME": "crossfade drill",
    }
    argv = [*dump_argv(Path("/bin"), Path("/d"), "1-1"), *restore_argv(Path("/bin"), Path("/d"), "restored", 2)]
    assert "s3cret" not in " ".join(argv)
    assert without_secrets("FATAL: s3cret", env) == "FATAL: ***"


def test_a_fingerprint_is_of_the_schema_alone() -> None:
    one = "-- dumped at noon\n\\restrict abc\nCREATE TABLE a ();\n"
    other = "-- dumped at night\n\n\\restrict xyz\nCREATE TABLE a ();\n"
    assert fingerprint(one) == fingerprint(other)
    assert fingerprint(one) != fingerprint(one.replace("a ()", "b ()"))


def test_what_holds_the_databases_address_leads_to_the_copy() -> None:
    env = {
        "DATABASE_URL": "postgresql+asyncpg://shop:p%40ss@db.example:6432/shop?sslmode=require&application_name=web",
        "REPORTS_URL": "postgresql://shop:p%40ss@db.example:6432/reports",
        "STOCK": "http://stock/",
    }
    pointed = point_at_copy(env, APP, COPY, "fresh")
    assert pointed.variables == ("DATABASE_URL",)
    assert pointed.env == {
        **env,
        "DATABASE_URL": "postgresql+asyncpg://shop:p%40ss@127.0.0.1:5555/restored?application_name=web",
    }
    assert (pointed.role, pointed.password) == ("shop", "p@ss")


def test_libpqs_own_variables_lead_to_the_copy() -> None:
    env = {"PGHOST": "db.example", "PGUSER": "shop", "PGPASSWORD": "pw"}
    pointed = point_at_copy(env, "postgresql://db.example:6432/shop", COPY, "fresh")
    assert pointed.env == {
        "PGHOST": "127.0.0.1",
        "PGPORT": "5555",
        "PGDATABASE": "restored",
        "PGUSER": "shop",
        "PGPASSWORD": "pw",
    }
    assert (pointed.role, pointed.password) == ("shop", "pw")


def test_a_role_without_a_password_gets_a_fresh_one_and_the_superuser_the_copys() -> None:
    url = "postgresql://shop@db.example/shop"
    assert point_at_copy({"U": url}, url, COPY, "fresh").env["U"] == "postgresql://shop:fresh@127.0.0.1:5555/restored"
    url = "postgresql://postgres:real@db.example/shop"
    assert (
        point_at_copy({"U": url}, url, COPY, "fresh").env["U"] == "postgresql://postgres:super@127.0.0.1:5555/restored"
    )


def test_nothing_that_leads_to_the_database_is_said() -> None:
    assert point_at_copy({"U": "postgresql://shop@elsewhere/shop"}, APP, COPY, "fresh").variables == ()
