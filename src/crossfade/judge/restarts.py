"""When the tests of the mixture start, and which of them a routing unit has been counted in.

Rule: a test that starts at the first share banks evidence for "no difference" and is slow to see trouble
that comes later. So the same test is started again at each step and each `restart_s`, and the restarts are
averaged with weights that sum to at most 1 (a restart that has not started is 1): an average of tests
whose expectation is at most 1 keeps that expectation. They are never multiplied, which would count a
sticky unit twice in one product.

A routing unit counts at most once per signal within each restart, in that restart's own ledger. The starts
are ordered, so "has unit u been counted in restart k" is "is k at most the latest restart in which u was
counted", and one number per unit holds all the ledgers.

Memory is bounded: at most RESTARTS_MAX restarts (the interval doubles after each 16, so that they span
about 20 hours at 300 s; afterwards no test starts anew) and at most UNITS_MAX units with bad events per
signal (later ones are left out of the tests, which costs sight, never level).
"""

from __future__ import annotations

from bisect import bisect_right
from math import floor

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESTARTS_MAX = 64
DOUBLE_AFTER = 16
UNITS_MAX = 100_000

_K = np.arange(RESTARTS_MAX, dtype=np.float64)
# Half of the weight favours early restarts (a fault at the first share is the common one), half is even.
WEIGHTS: Floats = 0.5 / ((_K + 1) * (_K + 2)) + 0.5 / RESTARTS_MAX
LOG_WEIGHTS: Floats = np.log(WEIGHTS)
LOG_UNSTARTED: Floats = np.log(1.0 - np.cumsum(WEIGHTS))  # the weight of what has not started, all at 1


def log_mean_exp(rows: Floats) -> Floats:
    """The logarithm of the mean over the last axis, without overflow."""
    top = rows.max(axis=-1, keepdims=True)
    mean: Floats = np.log(np.exp(rows - top).mean(axis=-1)) + top[..., 0]
    return mean


def average(log_e: Floats) -> float:
    """The log e-value of the mixture from those of its started restarts."""
    count = len(log_e)
    parts = np.append(LOG_WEIGHTS[:count] + log_e, LOG_UNSTARTED[count - 1])
    return float(np.logaddexp.reduce(parts))


class Restarts:
    """The ordered start times of one attempt, common to all signals."""

    def __init__(self, t_s: float, restart_s: float) -> None:
        assert restart_s > 0, restart_s
        self._starts = [t_s]
        self._spacing_s = restart_s
        self._next_s = t_s + restart_s
        self._regular = 0
        self._used = False  # a start after which nothing has happened need not be repeated

    def __len__(self) -> int:
        return len(self._starts)

    def place(self, t_s: float) -> int:
        """The latest restart that an event of this time belongs to; it belongs to all before it too."""
        if t_s >= self._next_s:
            start = self._next_s + floor((t_s - self._next_s) / self._spacing_s) * self._spacing_s
            self._regular += self._start(start)
            if self._regular == DOUBLE_AFTER:
                self._regular, self._spacing_s = 0, self._spacing_s * 2
            self._next_s = start + self._spacing_s
        starts = self._starts
        if t_s >= starts[-1]:
            self._used = True
            return len(starts) - 1
        return max(0, bisect_right(starts, t_s) - 1)

    def step(self, t_s: float) -> None:
        """Start anew: the release stands at a new position from here on."""
        self._start(t_s)

    def _start(self, t_s: float) -> bool:
        if not self._used or t_s <= self._starts[-1] or len(self._starts) >= RESTARTS_MAX:
            return False
        self._starts.append(t_s)
        self._used = False
        return True


class UnitLedger:
    """Which restarts a unit's bad events have been counted in, for one signal."""

    def __init__(self) -> None:
        self._latest: dict[str, int] = {}

    def first_row(self, unit: str, place: int) -> int:
        """The first restart in which a bad event at `place` counts; beyond `place`: in none. Notes it."""
        if not unit:
            return 0
        latest = self._latest.get(unit, -1)
        if latest < 0 and len(self._latest) >= UNITS_MAX:
            return place + 1
        if place > latest:
            self._latest[unit] = place
        return latest + 1
