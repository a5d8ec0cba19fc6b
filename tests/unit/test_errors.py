"""The catalogue holds what it says of itself: no row without a test, no failure without a row.

Three readings of the sources, so that a new row cannot be forgotten:

- *told*: a test function, or a table beside one, holds the row's whole text from `error[id]: ` to `hint: `, and
  that function asserts an exit code, too;
- *reached*: a test file that never builds the error itself names the row, so the code under test raised it;
- *raised*: the sources build it, outside the catalogue.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

from crossfade.model.catalogue import ALL_ROWS
from crossfade.model.errors import CATALOGUE, EXIT_MEANINGS, CrossfadeError, Exit

ROOT = Path(__file__).parents[2]
TESTS = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if path != Path(__file__)]
SOURCES = [path for path in sorted((ROOT / "src").rglob("*.py")) if "catalogue" not in path.parts]
TOLD = re.compile(r"error\[([a-z-]+)\]: ")
BUILT = re.compile(r"""\bfail\(\s*["']([a-z-]+)["']""")
EXITS = re.compile(r"\bexit(_code)?\b|\breturncode\b|\.code\b|['\"][1-9]0? error\[")  # the last: "3 error[...": ...


def partial(node: ast.AST) -> bool:
    """Whether it asserts a piece of a text only: `in`, `startswith`, `endswith`, `match=`."""
    if isinstance(node, ast.Compare):
        return any(isinstance(operator, ast.In | ast.NotIn) for operator in node.ops)
    if isinstance(node, ast.keyword):
        return node.arg == "match"
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Attribute) and called.attr in ("startswith", "endswith")


def texts_in(node: ast.AST) -> str:
    """Every piece of text that is written out below the node, to be compared as a whole."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "\n".join(texts_in(child) for child in ast.iter_child_nodes(node) if not partial(child))


def told() -> set[str]:
    """Ids whose whole text a test asserts together with an exit code."""
    ids: set[str] = set()
    for path in TESTS:
        source = path.read_text()
        functions = "\n".join(ast.unparse(node) for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
        for node in ast.parse(source).body:
            text = texts_in(node)
            asserts = ast.unparse(node) if isinstance(node, ast.FunctionDef) else functions
            if "hint: " in text and EXITS.search(asserts):
                ids.update(TOLD.findall(text))
    return ids


def reached() -> set[str]:
    """Ids that a test names without ever building an error itself."""
    ids: set[str] = set()
    for path in TESTS:
        source = path.read_text()
        if not re.search(r"\bfail\(", source.replace("pytest.fail(", "")):
            ids.update(id for id in CATALOGUE if f"error[{id}]" in source or f'"{id}"' in source)
    return ids


def raised() -> dict[str, list[str]]:
    """Ids that the sources build, and where."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in SOURCES:
        for id in BUILT.findall(path.read_text()):
            found[id].append(str(path.relative_to(ROOT)))
    return found


def test_every_row_is_told_word_for_word_with_its_exit_code() -> None:
    assert sorted(set(CATALOGUE) - told()) == []


def test_every_row_is_reached_by_real_code() -> None:
    assert sorted(set(CATALOGUE) - reached()) == []


def test_every_row_is_raised_somewhere_and_every_failure_has_a_row() -> None:
    built = raised()
    assert sorted(set(CATALOGUE) - set(built)) == [], "rows that nothing raises"
    assert {id: places for id, places in built.items() if id not in CATALOGUE} == {}, "failures without a row"


def test_no_test_tells_of_a_row_that_is_gone() -> None:
    assert sorted(told() - set(CATALOGUE)) == []


def test_ids_are_unique_and_worded_alike() -> None:
    assert len(CATALOGUE) == len(ALL_ROWS)
    for row in ALL_ROWS:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", row.id), row.id
        assert row.exit not in (Exit.DONE,), f"{row.id}: a failure does not end with 0"
        assert row.hint, f"{row.id}: says what to do next"
        for text in (row.message, row.hint, *row.facts.splitlines()):
            assert not re.search(r"[^.]\.$", text), f"{row.id}: no full stop at the end of a line: {text!r}"
            assert not re.search(r"\b(please|simply|just|sorry|oops)\b", text, re.I) or row.id == "bug", row.id


def test_every_exit_code_has_a_meaning_and_only_a_bug_ends_with_70() -> None:
    assert set(EXIT_MEANINGS) == set(Exit)
    assert [row.id for row in ALL_ROWS if row.exit is Exit.BUG] == ["bug"]


def test_a_text_leaves_out_facts_that_are_empty() -> None:
    error = CrossfadeError(CATALOGUE["config-exists"], {"file": "crossfade.toml"})
    assert error.render() == (
        "error[config-exists]: crossfade.toml exists already; nothing was written\nhint: edit it, then: crossfade check"
    )
    assert error.exit is Exit.CONFIG
