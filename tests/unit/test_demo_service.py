"""The shop stands alone: it imports nothing of crossfade, and a version's directory holds all it needs."""

from __future__ import annotations

import ast
import subprocess
import sys
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
    lineage = {"v1": {"v1"}, "v1b": {"v1", "v1b"}, "v7": {"v1", "v7"}, "v8": {"v1", "v7", "v8"}}
    lineage["v8b"] = lineage["v8"] | {"v8b"}
    assert held == lineage.get(version, {"v1", "v2", version})
    for path in tmp_path.rglob("*.py"):
        assert "crossfade" not in path.read_text()


def test_an_unknown_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no version 'v9'"):
        materialize("v9", tmp_path)
    with pytest.raises(ValueError, match="no version 'v9'"):
        materialize("v3", tmp_path, parent="v9")


@pytest.mark.parametrize("parent", ["v2", "v7"])
@pytest.mark.parametrize("version", ["v3", "v4", "v5", "v6", "v30"])
def test_a_fault_is_built_on_whichever_good_version_is_named(version: str, parent: str, tmp_path: Path) -> None:
    for built_on in ("v1", parent):  # the last build counts
        materialize(version, tmp_path, built_on)
    held = {path.stem for path in (tmp_path / "shop" / "versions").glob("*.py")}
    assert held == {"__init__", "parent", "v1", parent, version}
    script = (
        f"from shop.versions.{version} import Shop; from shop.versions.{parent} import Shop as Parent\n"
        "print(Shop.version, issubclass(Shop, Parent), Shop.store_class is Parent.store_class)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"{version} True True\n"


def test_a_version_that_needs_another_shape_has_its_change_beside_it(tmp_path: Path) -> None:
    changes = {}
    for version in VERSIONS:
        materialize(version, tmp_path / version)
        found = list((tmp_path / version).rglob("*.sql"))
        if found:
            assert found == [tmp_path / version / "migrations" / f"{version}.sql"]
            changes[version] = found[0].read_text()
    assert set(changes) == {"v7", "v8", "v8b"}
    assert changes["v8"] == changes["v8b"]


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
