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
    # Names of clocks handed on as functions would slip past the calls above.
    # The launcher is a program of its own: it is started by supervisord, and hands its own clock on.
    r"^\s*(import time\b|from time import)": ("walk/clock.py", "runtime/launch.py", "demo/"),
    # What only the kernel does: a user namespace for a server that refuses root, a scratch instance's death signal.
    r"^\s*(import|from) ctypes": ("embedded/drop_root.py", "walk/scratch.py"),
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


def test_imports_are_written_whole() -> None:
    """All but the demo service's own: it is copied out and runs without crossfade."""
    relative_ones = [
        f"{relative(path)}:{node.lineno}"
        for path in SOURCES
        if "/demo/service/" not in str(path)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative_ones == []


def test_imports_point_one_way() -> None:
    result = subprocess.run(
        [ROOT / ".venv/bin/lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-3000:]


def imports_of(path: Path, modules: set[str]) -> set[str]:
    """Modules of ours that a file brings in: imported, or named in a text that is run (`-m`, import_module)."""
    found: set[str] = set()
    tree = ast.parse(path.read_text())
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            found.update(re.findall(r"\bcrossfade(?:\.\w+)+", node.value))
    return found & modules


def test_no_module_is_dead() -> None:
    """Every module is brought in, step by step, by the command, by a tool, or as a fake by a test."""
    files = {".".join(p.relative_to(ROOT / "src").with_suffix("").parts): p for p in SOURCES}
    files = {name.removesuffix(".__init__"): path for name, path in files.items() if "/demo/service/" not in str(path)}
    modules = set(files)
    starts = {"crossfade.cli.main"}  # pyproject.toml, [project.scripts]
    for tool in (ROOT / "tools").glob("*.py"):
        starts |= imports_of(tool, modules)
    for test in (ROOT / "tests").rglob("*.py"):
        starts |= {name for name in imports_of(test, modules) if name.startswith("crossfade.testing")}
    alive: set[str] = set()
    while starts:
        name = starts.pop()
        alive.add(name)
        parents = {name.rsplit(".", n)[0] for n in range(1, name.count(".") + 1)}
        starts |= (imports_of(files[name], modules) | parents) - alive
    assert sorted(modules - alive) == []
