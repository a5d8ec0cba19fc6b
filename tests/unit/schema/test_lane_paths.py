"""A role's search path: the change's schema first for who writes the new shape, and nothing of ours for others."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from crossfade.schema.paths import names_of, path_after

SHAPES = "crossfade_c0123456789ab"
PLAIN = '"$user", public'


@pytest.mark.parametrize(
    ("own", "otherwise", "shapes", "after"),
    [
        (None, PLAIN, SHAPES, [SHAPES, "$user", "public"]),
        ("shop, public", PLAIN, SHAPES, [SHAPES, "shop", "public"]),
        (f"{SHAPES}, shop", PLAIN, "crossfade_cffffffffffff", ["crossfade_cffffffffffff", "shop"]),
        (f'{SHAPES}, "$user", public', PLAIN, "", None),
        (f"{SHAPES}, shop, public", PLAIN, "", ["shop", "public"]),
        (f"{SHAPES}, shop", "shop", "", None),
        (None, PLAIN, "", None),
    ],
)
def test_what_stands_behind_ours_is_left_as_it_was(
    own: str | None, otherwise: str, shapes: str, after: Sequence[str] | None
) -> None:
    assert path_after(own, otherwise, shapes) == after


def test_names_are_read_as_postgresql_prints_them() -> None:
    assert names_of('"$user", public,"Odd ""one, two""" , "", app') == ["$user", "public", 'Odd "one, two"', "", "app"]
