"""Every order has one right value in each version's shape, whichever version took it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crossfade.demo.shapes import SHAPES, Acknowledged, expected, partial

V1, V7, V8 = SHAPES
ONE = Acknowledged("key", "id", 7, "run/1", 990, ((1, 2), (3, 1)), 100.0, "", "left")
BY_V1 = replace(ONE, version="v1", channel="app", gift=(True, False))
BY_V7 = replace(ONE, version="v7", currency="USD", gift=(True, False))
BY_V8 = replace(ONE, version="v8", currency="EUR", wrapping=("gift", "recycled"))
HEAD = {"id": "id", "idempotency_key": "key", "user_id": 7, "total_cents": 990, "is_test": False}


@pytest.mark.parametrize(
    ("write", "shape", "own", "line_words"),
    [
        (BY_V1, V1, {"reference": "run/1", "channel": "app"}, (True, False)),
        (BY_V1, V7, {"customer_reference": "run/1", "currency": "EUR"}, (True, False)),
        (BY_V1, V8, {"customer_reference": "run/1", "currency": "EUR"}, ("gift", "plain")),
        (BY_V7, V1, {"reference": "run/1", "channel": "web"}, (True, False)),
        (BY_V7, V7, {"customer_reference": "run/1", "currency": "USD"}, (True, False)),
        (BY_V7, V8, {"customer_reference": "run/1", "currency": "USD"}, ("gift", "plain")),
        (BY_V8, V1, {"reference": "run/1", "channel": "web"}, (True, True)),
        (BY_V8, V7, {"customer_reference": "run/1", "currency": "EUR"}, (True, True)),
        (BY_V8, V8, {"customer_reference": "run/1", "currency": "EUR"}, ("gift", "recycled")),
    ],
    ids=lambda value: getattr(value, "version", None) or getattr(value, "name", ""),
)
def test_what_a_version_told_is_known_in_every_shape(write, shape, own, line_words) -> None:
    first, second = line_words
    assert expected(write, shape, {}) == {**HEAD, **own, "lines": [[1, 2, first], [3, 1, second]]}


def test_what_has_no_counterpart_is_counted() -> None:
    assert partial(BY_V8, V7, {}) == {"order_lines.gift": 1}
    assert [partial(write, shape, {}) for write in (BY_V1, BY_V7) for shape in SHAPES] == [{}] * 6
    assert partial(BY_V8, V8, {}) == {}


def test_what_an_undone_expansion_dropped_is_counted_as_well() -> None:
    undone = {"wrapping": 101.0, "currency": 101.0}
    assert partial(BY_V8, V8, undone) == {"order_lines.wrapping": 1}
    assert partial(BY_V7, V8, undone) == {"orders.currency": 1}
    assert partial(replace(BY_V8, sent_at=101.0), V8, undone) == {}
    assert expected(BY_V7, V7, {"wrapping": 101.0})["currency"] == "USD"
    assert expected(BY_V7, V7, undone)["currency"] == "EUR", "as the change says of orders that have none"
    assert expected(BY_V8, V8, undone)["lines"] == [[1, 2, "gift"], [3, 1, "gift"]]
