"""Does the new lane's part of the bad events exceed its share?

Rule: if the versions are equal, a bad event came from the new lane with exactly the probability w that the
fader gave it when the request was assigned, however the rate of bad events moves with time. If the new
version's rate is r times the old one's, that probability is theta(r) = w r / (w r + 1 - w). Each bad event
multiplies, for each r of a grid, the ratio of its likelihood under r to that under the tolerated r0; the mean
over the grid is a process whose expectation never exceeds 1 for any true ratio up to r0, at any moment
of looking (Ville 1939; Lindon and Malek 2022). Only bad events touch the grid.

An event at share 0 or 10,000 says nothing about the lanes' difference and is skipped. What is NOT here: the
absolute limits, which need no second lane (`limits.py`).
"""

from __future__ import annotations

import numpy as np

from crossfade.judge.restarts import RESTARTS_MAX, Floats, average, log_mean_exp

FULL_BP = 10_000
RATIOS: Floats = np.geomspace(1.25, 200.0, 40)  # multiples of the tolerated ratio


class LabelTest:
    """The label test of one signal, in all its restarts."""

    def __init__(self, tolerance: float = 1.0) -> None:
        assert tolerance >= 1.0, tolerance
        self._tolerance = tolerance
        self._rows: Floats = np.zeros((RESTARTS_MAX, len(RATIOS)))
        self._log_e: Floats = np.zeros(RESTARTS_MAX)
        self._steps: dict[int, tuple[Floats, Floats]] = {}

    def add(self, first: int, last: int, *, new: bool, share_bp: int) -> bool:
        """Count one bad event in the restarts `first` to `last`; False where it says nothing."""
        if first > last or not 0 < share_bp < FULL_BP:
            return False
        rows = self._rows[first : last + 1]
        rows += self._step(share_bp)[new]
        self._log_e[first : last + 1] = log_mean_exp(rows)
        return True

    def log_e(self, restarts: int) -> float:
        """The log e-value of the mixture of the first `restarts` restarts."""
        return average(self._log_e[:restarts])

    def _step(self, share_bp: int) -> tuple[Floats, Floats]:
        """What a bad event on the old and on the new lane adds, for each ratio of the grid."""
        if share_bp not in self._steps:
            share = share_bp / FULL_BP
            old = np.log(share * self._tolerance + 1 - share) - np.log(share * self._tolerance * RATIOS + 1 - share)
            self._steps[share_bp] = (old, old + np.log(RATIOS))
        return self._steps[share_bp]
