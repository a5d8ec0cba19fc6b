"""Options and fixtures that several layers share."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# How fast a machine draws examples tells nothing of what is under test.
settings.register_profile("crossfade", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("crossfade")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--seed N` replays one simulated release; `make simulate SEED=N` passes it."""
    parser.addoption("--seed", type=int, default=None, help="replay this one simulated release")
