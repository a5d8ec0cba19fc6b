"""Holds what customers were told against what the database says, in one shape, with one SELECT.

Invariant: an order is found by its key, its id and its reference, so a second row for it is seen whatever
its key. A shape whose columns are hidden, gone or not there yet is not compared, and that is said by None.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from crossfade.demo.shapes import SHAPES, Acknowledged, Shape, expected, partial

COLUMNS = """
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name IN ('orders', 'order_lines')
"""
STORED_ORDERS = sql.SQL("""
    SELECT o.id::text, o.idempotency_key, o.user_id, o.total_cents, o.is_test, {words},
           (SELECT json_agg(json_build_array(product_id, quantity, {line}) ORDER BY line)
            FROM order_lines WHERE order_id = o.id) AS lines
    FROM orders o
    WHERE o.idempotency_key = ANY(%(keys)s) OR o.id = ANY(%(ids)s::uuid[]) OR o.{reference} = ANY(%(references)s)
""")


@dataclass(frozen=True)
class LostWrite:
    """An acknowledged order that is not stored as told: `missing`, `changed` or `doubled`, in one shape."""

    problem: str
    key: str
    order_id: str
    expected: Mapping[str, object]
    found: tuple[Mapping[str, object], ...]
    shape: str = ""


@dataclass(frozen=True)
class Compared:
    """The outcome in one shape. `partial`: values the shape has no counterpart for, counted by column."""

    wrong: tuple[LostWrite, ...]
    partial: Mapping[str, int]


def compare(
    admin_url: str, writes: Sequence[Acknowledged], shape: Shape, undone: Mapping[str, float]
) -> Compared | None:
    """Compare these orders in this shape; None where the shape is not there now."""
    try:
        with psycopg.connect(admin_url, row_factory=dict_row, connect_timeout=5) as connection:
            if not shape.among(_columns(connection)):
                return None
            stored = connection.execute(_query(shape), _given(writes)).fetchall()
    except psycopg.errors.UndefinedColumn:
        return None  # it went between the two statements
    index: dict[str, list[dict[str, Any]]] = {}
    for row in stored:
        for name in {row["idempotency_key"], row[shape.order[0]], row["id"]}:
            index.setdefault(name, []).append(row)
    wrong = (_judge(write, shape, undone, index) for write in writes)
    return Compared(tuple(one for one in wrong if one is not None), partials(writes, shape, undone))


def partials(writes: Sequence[Acknowledged], shape: Shape, undone: Mapping[str, float]) -> dict[str, int]:
    """How many values these orders have that the shape has no counterpart for, by column."""
    counted: Counter[str] = Counter()
    for write in writes:
        counted.update(partial(write, shape, undone))
    return dict(counted)


def shapes_there(admin_url: str) -> list[Shape]:
    """The shapes whose columns are all in sight now."""
    with psycopg.connect(admin_url, row_factory=dict_row, connect_timeout=5) as connection:
        columns = _columns(connection)
    return [shape for shape in SHAPES if shape.among(columns)]


def _columns(connection: psycopg.Connection[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(row["table_name"], row["column_name"]) for row in connection.execute(COLUMNS)}


def _query(shape: Shape) -> sql.Composed:
    words = sql.SQL(", ").join(sql.Identifier("o", name) for name in shape.order)
    reference, line = sql.Identifier(shape.order[0]), sql.Identifier(shape.line)
    return STORED_ORDERS.format(words=words, reference=reference, line=line)


def _given(writes: Sequence[Acknowledged]) -> dict[str, list[str]]:
    return {
        "references": [write.reference for write in writes],
        "keys": [write.key for write in writes],
        "ids": [write.order_id for write in writes],
    }


def _judge(
    write: Acknowledged, shape: Shape, undone: Mapping[str, float], index: Mapping[str, list[dict[str, Any]]]
) -> LostWrite | None:
    found: dict[int, dict[str, Any]] = {}
    for name in (write.key, write.reference, write.order_id):
        found.update({id(row): row for row in index.get(name, ())})
    rows = tuple(found.values())
    right = expected(write, shape, undone)
    problem = "missing" if not rows else "doubled" if len(rows) > 1 else "changed" if rows[0] != right else None
    return None if problem is None else LostWrite(problem, write.key, write.order_id, right, rows, shape.name)
