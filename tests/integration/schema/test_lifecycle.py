"""Every kind of change, walked there and back and to the end while both versions write, and killed at every row.

Given a table with rows and versions that write to it, when its change is walked through every act, dying before and
after each row of the journal and called again, then every write is read by both versions as the change says, no write
is refused but what the plan declared, no lock is stronger than the plan declared, the way back gives the schema as it
was, and the end is what the raw SQL gives.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from families import FAMILIES
from lifecycle import ROUND, KilledLife, Life
from recipe_world import Recipe

SEED = int(os.environ.get("CROSSFADE_TEST_SEED", "1"))


@pytest.fixture
def life_of(home: Any) -> Iterator[Callable[..., Life]]:
    made: list[Life] = []

    def make(recipe: Recipe, kind: type[Life] = Life) -> Life:
        if home.ask("SELECT current_setting('server_version_num')::int / 10000")[0][0] < recipe.since:
            pytest.skip(f"PostgreSQL {recipe.since} has it first")
        if "EXTENSION" in recipe.change and not home.ask(
            "SELECT name FROM pg_available_extensions WHERE name = 'citext'"
        ):
            pytest.skip("this PostgreSQL comes without citext")
        made.append(kind(home, recipe, SEED))
        return made[-1]

    yield make
    for one in made:
        one.close()


def by_length(recipe: Recipe) -> Any:
    return pytest.param(recipe, marks=[] if recipe.quick else pytest.mark.long, id=recipe.name)


@pytest.mark.parametrize("recipe", list(map(by_length, FAMILIES)))
def test_a_family_there_and_back_and_to_the_end_dying_at_every_row(life_of: Any, recipe: Recipe) -> None:
    life = life_of(recipe)
    print(f"replay: CROSSFADE_TEST_SEED={SEED} .venv/bin/pytest '{os.environ['PYTEST_CURRENT_TEST'].split(' (')[0]}'")
    life.walk(ROUND, life.dying)
    print(f"{'held for':>10}  strongest lock, by unit")
    for unit, (mode, held_ms) in sorted(life.held.items(), key=lambda one: -one[1][1]):
        print(f"{held_ms:7.1f} ms  {mode or 'none':<24}{unit}")
    require_died_everywhere(life)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("recipe", [one for one in FAMILIES if one.quick], ids=str)
def test_a_family_whose_walker_is_killed_at_every_row(life_of: Any, recipe: Recipe) -> None:
    life = life_of(recipe, KilledLife)
    life.walk(ROUND, life.dying)
    require_died_everywhere(life)


def require_died_everywhere(life: Life) -> None:
    lives = [(moment, key) for moment in ("before", "after") for key in life.by_key]
    assert [one for one in lives if one not in {(moment, unit) for moment, _, unit in life.died}] == []
