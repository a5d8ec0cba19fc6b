"""Does a lane break a limit that was stated before the release?

Rule: under "the bad ratio is at most p0" each event multiplies, for each p1 > p0 of a grid, its likelihood
ratio of p1 to p0; the mean over the grid never exceeds 1 in expectation, whenever one looks. It needs no
second lane, so it is what remains at share 100, and it is quick where nearly everything fails (three
or four events). Events enter as counts: n and bad are all that the ratio depends on, so a good event
costs one addition, and the grid is touched only after a bad one, where alone the process can rise.

A unit's repeated bad events are left out altogether rather than counted as good. Each lane has its own
process; whose fault it is when both break the same limit is not for this module to say.
"""

from __future__ import annotations

import numpy as np

from crossfade.judge.restarts import RESTARTS_MAX, Floats, average, log_mean_exp

GRID_SIZE = 40
ODDS_TOP = 20.0  # the grid's last p1 is about 95 %


class LimitTest:
    """The test of one signal on one lane against one limit, in all its restarts."""

    def __init__(self, limit: float) -> None:
        assert 0 < limit <= 1, limit
        self._good = [0] * RESTARTS_MAX  # by the latest restart each belongs to
        self._bad: Floats = np.zeros(RESTARTS_MAX)
        self._open = limit < 1  # a limit of 1 cannot be broken
        p0 = min(limit, 0.999_999)
        odds0 = p0 / (1 - p0)
        odds = np.geomspace(1.25 * odds0, max(ODDS_TOP, 4 * odds0), GRID_SIZE)
        self._per_good: Floats = -np.log1p(odds) - np.log1p(-p0)
        self._per_bad: Floats = np.log(odds) - np.log1p(odds) - np.log(p0)

    def add_good(self, place: int) -> None:
        """Count a good event."""
        self._good[place] += 1

    def add_bad(self, first: int, last: int) -> bool:
        """Count a bad event in the restarts `first` to `last`; False where the process cannot rise."""
        self._bad[first : last + 1] += 1
        return self._open and first <= last

    def seen(self, window: int) -> tuple[int, int]:
        """Events since the restart `window`, and how many of them were bad."""
        bad = int(self._bad[window])
        return bad + sum(self._good[window:]), bad

    def rows(self, restarts: int) -> Floats:
        """The log e-value of each of the first `restarts` restarts."""
        if not self._open:
            return np.zeros(restarts)
        good = np.cumsum(self._good[restarts - 1 :: -1] if restarts else [])[::-1].astype(np.float64)
        bad = self._bad[:restarts]
        return log_mean_exp(bad[:, None] * self._per_bad + good[:, None] * self._per_good)

    def log_e(self, restarts: int) -> float:
        """The log e-value of the mixture."""
        return average(self.rows(restarts))
