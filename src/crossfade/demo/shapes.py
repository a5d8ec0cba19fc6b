"""What the customers were told, said in the words of each version's own shape of the database.

Rule: a shape is the columns that one version's code knows. Every order has one right value in each shape,
whichever version took it: what the customer was told, carried over by the mapping that the change declares.
A value without a counterpart in a shape is counted, and compared with what the mapping makes of it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Acknowledged:
    """One order the service said it had taken, as the customer knows it. None: this version says nothing of it."""

    key: str
    order_id: str
    user_id: int | None
    reference: str
    total_cents: int
    lines: tuple[tuple[int, int], ...]
    sent_at: float
    version: str
    slot: str
    channel: str | None = None
    currency: str | None = None
    gift: tuple[bool, ...] | None = None  # by line, as the two that follow
    wrapping: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Shape:
    """The columns that one version knows of those that change."""

    name: str  # the first version that needs it
    order: Sequence[str]  # columns of orders, the reference first
    line: str  # the column of order_lines

    def among(self, columns: set[tuple[str, str]]) -> bool:
        """Whether all of it is among these columns, (table, column)."""
        return {("orders", name) for name in self.order} | {("order_lines", self.line)} <= columns


SHAPES = (
    Shape("v1", ("reference", "channel"), "gift"),
    Shape("v7", ("customer_reference", "currency"), "gift"),
    Shape("v8", ("customer_reference", "currency"), "wrapping"),
)
OLD_OF_NEW = ("gift", "plain")  # the wrappings that come back the same from v8.sql's way down and up


def expected(write: Acknowledged, shape: Shape, undone: Mapping[str, float]) -> dict[str, Any]:
    """The row, in this shape. `undone`: by column, until when (since the epoch) its own values are given up.

    Undoing an expansion drops what only the new shape could say; it is kept apart, and is not there afterwards.
    """
    words = line_words(write, shape.line, undone)
    lines = [[*pair, word] for pair, word in zip(write.lines, words, strict=True)]
    return {
        "id": write.order_id,
        "idempotency_key": write.key,
        "user_id": write.user_id,
        "total_cents": write.total_cents,
        "is_test": False,
        **{column: _word(write, column, undone) for column in shape.order},
        "lines": lines,
    }


def partial(write: Acknowledged, shape: Shape, undone: Mapping[str, float]) -> dict[str, int]:
    """How many of this order's values the shape cannot tell from others, by column."""
    recycled = sum(word not in OLD_OF_NEW for word in write.wrapping or ())
    gone = write.sent_at < undone.get(shape.line, 0.0)
    counts = {f"order_lines.{shape.line}": recycled if shape.line == "gift" or gone else 0}
    if "currency" in shape.order and write.sent_at < undone.get("currency", 0.0):
        counts["orders.currency"] = int(write.currency not in (None, "EUR"))
    return {column: number for column, number in counts.items() if number}


def _word(write: Acknowledged, column: str, undone: Mapping[str, float]) -> Any:
    match column:
        case "channel":
            return "web" if write.channel is None else write.channel
        case "currency":
            gone = write.sent_at < undone.get("currency", 0.0)
            return "EUR" if gone or write.currency is None else write.currency
    return write.reference


def line_words(write: Acknowledged, column: str, undone: Mapping[str, float]) -> Sequence[Any]:
    """The value of each line in this column of order_lines."""
    gifts = write.gift if write.gift is not None else [word != "plain" for word in write.wrapping or ()]
    if column == "gift":
        return gifts
    if write.wrapping is None or write.sent_at < undone.get("wrapping", 0.0):
        return ["gift" if gift else "plain" for gift in gifts]
    return write.wrapping
