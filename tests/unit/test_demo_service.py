"""The shop stands alone: it imports nothing of crossfade, and a version's directory holds all it needs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import crossfade.demo.service as service
from crossfade.demo.service import VERSIONS, materialize
from crossfade.demo.service.app import fraction
from crossfade.demo.service.passwords import hash_password, password_matches

HERE = Path(service.__file__).parent


@pytest.mark.parametrize("path", sorted(HERE.rglob("*.py")), ids=lambda path: str(path.relative_to(HERE)))
def test_the_shop_imports_nothing_of_crossfade(path: Path) -> None:
    depth = len(path.relative_to(HERE).parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not any(name.name.startswith("crossfade") for name in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level <= depth
            assert not (node.module or "").startswith("crossfade")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_directory_holds_the_version_and_its_ancestors_only(version: str, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    for _ in range(2):  # repeatable
        launcher = materialize(version, tmp_path)
    assert launcher == tmp_path / "app.py"
    assert (tmp_path / "notes").read_text() == "mine"
    held = {path.stem for path in (tmp_path / "shop" / "versions").glob("v*.py")}
    assert held == {version} | ({"v1", "v2"} if version != "v1" else set())
    for path in tmp_path.rglob("*.py"):
        assert "crossfade" not in path.read_text()


def test_an_unknown_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no version 'v7'"):
        materialize("v7", tmp_path)


def test_fractions_are_even_and_stay() -> None:
    values = sorted(fraction(f"key-{number}") for number in range(10_000))
    assert all(abs(value - place / 10_000) < 0.02 for place, value in enumerate(values))
    assert fraction("key-1") == fraction("key-1")


def test_a_password_is_known_again_and_another_is_not() -> None:
    stored = hash_password("right")
    assert "right" not in stored
    assert password_matches("right", stored)
    assert not password_matches("wrong", stored)
    assert stored != hash_password("right")
