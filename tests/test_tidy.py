"""The shape of the code, held by a test: sizes, one home for effects, no leftovers."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
CODE = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "benchmarks").glob("*.py"))]

# Effects have one home each. The key is what the line does, the value where it may stand.
HOMES = {
    r"\bdatetime\.now\(|\btime\.time\(|\btime\.monotonic\(|clock_gettime\(": ("walk/clock.py", "demo/"),
    r"\btime\.sleep\(": ("walk/clock.py", "demo/"),
    r"^\s*import random|\brandom\.(random|choice|randint)\(": ("demo/", "testing/"),
    r"^\s*print\(": ("cli/", "demo/"),
}
BANNED_NAMES = re.compile(r"(?i)\bclass \w*(Manager|Helper)\b|\butils?\.py")
BANNED_WORDS = re.compile(r"\bTODO(?!\([a-z]+\))|\bFIXME\b|\bXXX\b")


def relative(path: Path) -> str:
    """The path as a reader says it."""
    return str(path.relative_to(ROOT))


def test_modules_stay_small() -> None:
    lengths = {relative(p): len(p.read_text().splitlines()) for p in SOURCES if p.name != "__init__.py"}
    assert [f"{name}: {n} lines" for name, n in lengths.items() if n > 500] == []
    assert statistics.median(lengths.values()) <= 165, "the median module should hold about 150 lines"


@pytest.mark.parametrize("path", CODE, ids=relative)
def test_functions_stay_under_seventy_lines(path: Path) -> None:
    long = [
        f"{relative(path)}:{node.lineno} {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > 70
    ]
    assert long == []


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_effects_have_one_home(path: Path) -> None:
    inside = str(path.relative_to(ROOT / "src/crossfade"))
    found = [
        f"{relative(path)}:{number}: {line.strip()}"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for pattern, homes in HOMES.items()
        if re.search(pattern, line) and not inside.startswith(homes)
    ]
    assert found == []


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_modules_say_their_rule_and_leave_nothing_open(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), f"{relative(path)} has no docstring"
    assert not BANNED_NAMES.search(text), f"{relative(path)} names something Manager, Helper or utils"
    assert not BANNED_WORDS.search(text), f"{relative(path)} holds a note without an owner"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_public_things_are_documented(path: Path) -> None:
    bare = []
    for node in ast.parse(path.read_text()).body:
        members = node.body if isinstance(node, ast.ClassDef) else []
        for thing in (node, *members):
            if not isinstance(thing, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            private = thing.name.startswith("_")
            if not private and not ast.get_docstring(thing):
                bare.append(f"{relative(path)}:{thing.lineno} {thing.name}")
    assert bare == []


def test_imports_point_one_way() -> None:
    result = subprocess.run(
        [ROOT / ".venv/bin/lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-3000:]


def test_no_module_is_dead() -> None:
    """Every module is imported by another one, run as `python -m`, or named as an entry point."""
    texts = {p: p.read_text() for p in [*SOURCES, ROOT / "pyproject.toml"]}
    dead = []
    for path in SOURCES:
        if path.name in ("__init__.py", "__main__.py") or "/demo/service/" in str(path):
            continue
        dotted = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        package, name = dotted.rsplit(".", 1)
        wanted = re.compile(rf"{re.escape(dotted)}\b|from {re.escape(package)} import [^\n]*\b{name}\b")
        if not any(wanted.search(text) for other, text in texts.items() if other != path):
            dead.append(dotted)
    assert dead == []
