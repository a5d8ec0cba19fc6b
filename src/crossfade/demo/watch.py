"""Compares orders with the database while a release walks: soon after each was taken, in each shape that is there.

Rule: an order is compared once in each shape during the position in which it was taken, or at its end, and all of
them again at the end of the release. A shape that has just come is compared whole, but only from the position
on where the walker says that its rows are filled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from crossfade.demo.compare import Compared, LostWrite, compare, partials, shapes_there
from crossfade.demo.ledger import acknowledged_since
from crossfade.demo.shapes import SHAPES, Acknowledged

UNFILLED = ("", "steady", "expanded")  # positions where a new shape is there without the rows from before


@dataclass
class ShapeWatch:
    """What a run's orders look like in the database. `undone`: see `shapes.expected`."""

    directory: Path  # of the load's ledgers
    admin_url: str
    undone: dict[str, float] = field(default_factory=dict)
    writes: list[Acknowledged] = field(default_factory=list)
    lost: dict[str, LostWrite] = field(default_factory=dict)  # by the order's key, the first finding
    compared: dict[str, int] = field(default_factory=dict)  # how many times an order was looked at, by shape
    _offset: int = 0
    _left: list[Acknowledged] = field(default_factory=list)  # read, and not compared in every shape yet
    _known: set[str] = field(default_factory=set)

    def look(self, position: str) -> None:
        """Compare what came since the last time, in each shape that this position has filled."""
        new = self._read()
        for shape in SHAPES:
            fresh = shape.name not in self._known
            if fresh and self._known and position in UNFILLED:
                continue
            writes = self.writes if fresh else new
            try:
                done = compare(self.admin_url, writes, shape, self.undone)
            except psycopg.OperationalError:  # it does not answer now
                self._left = new
                return
            if done is None:
                self._known.discard(shape.name)
            else:
                self._known.add(shape.name)
                self._take(shape.name, done, len(writes))

    def release_ends(self) -> Mapping[str, int]:
        """Compare all orders in every shape that is there and filled.

        Returns the values without a counterpart, by column, of every shape that was looked at since the last end.
        """
        self._read()
        for shape in SHAPES:
            if self._known and shape.name not in self._known:
                continue
            done = compare(self.admin_url, self.writes, shape, self.undone)
            if done is not None:
                self._take(shape.name, done, len(self.writes))
        counted: dict[str, int] = {}
        for shape in SHAPES:
            if shape.name in self.compared:
                counted |= partials(self.writes, shape, self.undone)
        return counted

    def shapes(self) -> tuple[str, ...]:
        """The shapes that are in sight now, filled or not."""
        return tuple(shape.name for shape in shapes_there(self.admin_url))

    def give_up(self, column: str, until: float) -> None:
        """From now on, what only this column could say of orders before `until` is kept elsewhere."""
        self.undone[column] = until

    def _read(self) -> list[Acknowledged]:
        new, self._offset = acknowledged_since(self.directory, self._offset)
        self.writes += new
        left, self._left = self._left, []
        return [*left, *new]

    def _take(self, shape: str, done: Compared, number: int) -> None:
        self.compared[shape] = self.compared.get(shape, 0) + number
        for one in done.wrong:
            self.lost.setdefault(one.key, one)
