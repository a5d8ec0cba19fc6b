"""Whatever stands in a file or a folder: problems are said, lines are found, guesses make a clean file."""

from __future__ import annotations

import json
import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from crossfade.cli.guess import CANDIDATES
from crossfade.cli.init import first_file
from crossfade.model.settings.example import annotated_example
from crossfade.model.settings.locate import Lines
from crossfade.model.settings.parse import read_config
from crossfade.model.settings.problem import KeyPath
from crossfade.model.settings.toml_text import toml_key, toml_value

SCALARS = st.one_of(
    st.booleans(), st.integers(-(10**9), 10**9), st.text(max_size=12), st.lists(st.integers(0, 9), max_size=3)
)
NAMES = st.text(min_size=1, max_size=6)
TABLES = st.dictionaries(NAMES, st.dictionaries(NAMES, SCALARS, max_size=4), max_size=4)


@settings(deadline=None)
@given(TABLES)
def test_each_key_is_found_on_the_line_it_was_written_on(tables: dict[str, dict[str, Any]]) -> None:
    lines: list[str] = []
    expected: dict[KeyPath, int] = {}
    for name, table in tables.items():
        lines += ["# [not.a.table] x = 1", f"[{toml_key(name)}]"]
        expected[(name,)] = len(lines)
        for key, value in table.items():
            lines.append(f"{toml_key(key)} = {toml_value(value)}  # a = 'b")
            expected[(name, key)] = len(lines)
    found = Lines("\n".join(lines))
    assert {path: found.of(path) for path in expected} == expected


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_from_the_catalogue(text: str) -> None:
    reading = read_config(text)
    assert reading.config is not None or reading.problems
    assert all(1 <= problem.line <= text.count("\n") + 1 for problem in reading.problems)


EXAMPLE = annotated_example().splitlines()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(EXAMPLE) - 1), st.sampled_from(["", "x = 1", "0", "[]", '""', "{}", "-1", "[[x]]"]))
def test_a_damaged_file_is_refused_at_lines_that_exist(number: int, damage: str) -> None:
    before = EXAMPLE[number]
    key, separator, _ = before.partition(" = ")
    line = f"{key} = {damage}" if separator and not before.startswith("#") and "=" not in damage else damage
    text = "\n".join([*EXAMPLE[:number], line, *EXAMPLE[number + 1 :]])
    reading = read_config(text)
    assert all(1 <= problem.line <= len(EXAMPLE) for problem in reading.problems)
    assert reading.config is not None or reading.problems


JUNK = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "web: gunicorn shop:app --bind :$PORT",
            "web: FOO=1 run ${PORT:-80} && echo {nothing}",
            "web: psql postgresql://a:b@h/d",
            "worker: celery worker\nclock: cron {x}\nrelease: migrate",
            "web: 'unbalanced",
            '[project]\nname = "Shop & Co"\ndependencies = ["fastapi", "psycopg"]',
            "flask\ngunicorn\n",
            "aiohttp",
            'api = FastAPI()\n"postgresql://a:b@h/d"',
            'CMD ["run", "--port=8000", "{odd}"]\nEXPOSE 8000',
            'CMD ["run", "--port=8000"]\nEXPOSE 8000',
            'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")',
            json.dumps({"name": "@acme/shop", "scripts": {"start": "node ."}}),
            "services:\n  db:\n    image: postgres:17\n",
        ]
    ),
)


@settings(deadline=None)
@given(st.text(max_size=20), st.dictionaries(st.sampled_from(CANDIDATES), JUNK, max_size=5))
def test_whatever_a_folder_holds_the_first_file_is_clean(folder: str, files: dict[str, str]) -> None:
    text, made = first_file(folder, files)
    problems = [problem.render("crossfade.toml") for problem in read_config(text).problems]
    assert problems == []
    assert tomllib.loads(text) == json.loads(json.dumps(made.values))
