"""Options and fixtures that several layers share."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--seed N` replays one simulated release; `make simulate SEED=N` passes it."""
    parser.addoption("--seed", type=int, default=None, help="replay this one simulated release")
