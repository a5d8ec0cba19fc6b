"""Bounds on a lane's bad ratio that hold at every moment of looking, and what an advance needs of them.

Rule: for the true ratio p, M(p) = B(a+k, b+n-k) / (B(a,b) p^k (1-p)^(n-k)) is a martingale of mean 1 (n events,
k of them bad), so the p with M(p) < 1/alpha_advance hold the truth at all times with probability
1 - alpha_advance. The release advances where the upper end for the new lane is under
max(limit, lower end for the old lane + margin). The prior is fixed with the limit, before the release: nine
tenths Beta(0.5, 2/limit), which expects a quarter of the limit and makes a healthy version quick to show, one
tenth Beta(0.5, 0.5), which keeps the bounds close where a lane is far beyond its limit.

New-lane events needed at alpha_advance = 0.05, by limit and by how many of them are bad (ln(20)/limit is
the least that any rule needs with none):

    limit     0 bad   1 bad   2 bad   5 bad   ln(20)/limit
    5 %          71     131     177     294             60
    2 %         179     332     449     741            150
    1 %         360     666     901   1 487            300
    0.1 %     3 614   6 686   9 042  14 920          2 996

So at 200 requests/s of which a third meet the endpoint, share 25 shows a limit of 5 % in 4 s and of 2 % in 11 s;
share 5 brings 3.3 events/s and takes 21 s for 5 %. All events of the same attempt count, across shares.

Every event counts here, a unit's repetitions too: for advancing, the cautious side is to forgive nothing.
"""

from __future__ import annotations

from math import exp, inf, lgamma, log, log1p

PRIOR_BAD = 0.5
PRIOR_GOOD_PER_LIMIT = 2.0  # divided by the limit
PRIOR_GOOD_FLAT = 0.5
FLAT_PART = 0.1


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def log_martingale(n: int, bad: int, p: float, limit: float) -> float:
    """The log of M(p); infinite where p cannot have brought what was seen."""
    return _log_mean(n, bad, limit) - _log_seen(n, bad, p)


def _log_seen(n: int, bad: int, p: float) -> float:
    """The log likelihood of what was seen under p."""
    if (p <= 0 and bad) or (p >= 1 and bad < n):
        return -inf
    return (bad * log(p) if bad else 0.0) + ((n - bad) * log1p(-p) if n > bad else 0.0)


def _log_mean(n: int, bad: int, limit: float) -> float:
    """The log of the likelihood's mean over the prior; it does not depend on p."""
    sharp = _log_prior_mean(n, bad, PRIOR_GOOD_PER_LIMIT / limit) + log(1 - FLAT_PART)
    flat = _log_prior_mean(n, bad, PRIOR_GOOD_FLAT) + log(FLAT_PART)
    return max(sharp, flat) + log1p(exp(-abs(sharp - flat)))


def _log_prior_mean(n: int, bad: int, prior_good: float) -> float:
    """The log of the likelihood's mean over Beta(PRIOR_BAD, prior_good)."""
    return _log_beta(PRIOR_BAD + bad, prior_good + n - bad) - _log_beta(PRIOR_BAD, prior_good)


def upper_bound(n: int, bad: int, limit: float, alpha: float) -> float:
    """The largest bad ratio that is not excluded."""
    if not n or bad == n:
        return 1.0
    return _edge(n, bad, limit, alpha, inside=bad / n, outside=1.0)


def lower_bound(n: int, bad: int, limit: float, alpha: float) -> float:
    """The smallest bad ratio that is not excluded."""
    if not bad:
        return 0.0
    return _edge(n, bad, limit, alpha, inside=bad / n, outside=0.0)


def _edge(n: int, bad: int, limit: float, alpha: float, *, inside: float, outside: float) -> float:
    """Where M reaches 1/alpha between the observed ratio and an end of [0, 1]; excluded side returned."""
    wall = _log_mean(n, bad, limit) - log(1 / alpha)
    for _ in range(40):
        middle = (inside + outside) / 2
        if _log_seen(n, bad, middle) > wall:
            inside = middle
        else:
            outside = middle
    return outside


def shown(n: int, bad: int, target: float, limit: float, alpha: float) -> bool:
    """Whether the upper bound is under `target`; a target of 1 or more is nothing to show."""
    if target >= 1:
        return True
    return n > 0 and bad < target * n and log_martingale(n, bad, target, limit) >= log(1 / alpha)


def events_needed(n: int, bad: int, target: float, limit: float, alpha: float) -> int:
    """How many more events without a bad one until the upper bound is under `target`."""
    if shown(n, bad, target, limit, alpha):
        return 0
    low, high = 0, 1
    while not shown(n + high, bad, target, limit, alpha):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shown(n + middle, bad, target, limit, alpha) else (middle, high)
    return high
