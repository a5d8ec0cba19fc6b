"""Every promise and every invariant stands in one table, with the code that holds it and a test that proves it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/explanation/promises.md"
IDS = [*(f"P{n}" for n in range(1, 13)), *(f"I{n}" for n in range(1, 13))]
NOT_YET = {"P2", "P5", "P7", "P11", "I10"}
MARK = re.compile(r"\b[IP](?:1[0-2]|[1-9])\b")


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    id: str
    words: str
    state: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]


def rows() -> list[Row]:
    """The table's lines, in order."""
    found = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 5 and MARK.fullmatch(cells[0]):
            modules, tests = (tuple(re.findall(r"`([^`]+)`", cell)) for cell in cells[3:])
            found.append(Row(cells[0], cells[1], cells[2], modules, tests))
    return found


def test_each_stands_in_the_table_once() -> None:
    assert [row.id for row in rows()] == IDS


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.id)
def test_what_is_held_has_code_and_tests_and_what_is_not_says_so(row: Row) -> None:
    assert len(row.words) > 40, "say it in words"
    if row.id in NOT_YET:
        assert (row.state, row.modules, row.tests) == ("not yet", (), ())
        return
    assert row.state in ("held", "partly")
    assert ("Missing:" in row.words) == (row.state == "partly"), "a part says what is missing, the whole misses nothing"
    assert row.modules
    assert row.tests
    assert [name for name in row.modules if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.id)
def test_the_tests_it_names_exist(row: Row) -> None:
    missing = []
    for name in row.tests:
        file, _, function = name.partition("::")
        path = ROOT / file
        there = path.is_file() and any(
            isinstance(node, ast.FunctionDef) and node.name == function for node in ast.parse(path.read_text()).body
        )
        missing += [] if there else [name]
    assert missing == []


def test_the_code_names_the_invariants_it_holds() -> None:
    """A reader who meets the mark finds the table, and a reader of the table finds the mark."""
    marked: dict[str, set[str]] = {}
    for path in (ROOT / "src").rglob("*.py"):
        for mark in MARK.findall(path.read_text()):
            marked.setdefault(mark, set()).add(str(path.relative_to(ROOT)))
    assert {mark: sorted(files) for mark, files in marked.items() if mark in NOT_YET} == {}
    held = [row for row in rows() if row.id.startswith("I") and row.id not in NOT_YET]
    assert [row.id for row in held if not marked.get(row.id, set()) & set(row.modules)] == []
