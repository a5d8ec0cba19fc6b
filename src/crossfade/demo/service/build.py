"""Writes one version of the shop as a directory of its own, the way a build would.

Rule: the directory holds this version and its ancestors only, and nothing in it points back here; it
starts with `python app.py` under any interpreter that has aiohttp, psycopg and psycopg_pool. A version that
needs another shape of the database has its change beside it, as the SQL that an ORM would print.
"""

from __future__ import annotations

import shutil
from pathlib import Path

PARENT = "parent"  # stands for the good version that a fault is built on; `materialize` says which
BASE = "v2"
# Each version names the one it was developed from; its file holds only the difference.
LINEAGE: dict[str, str | None] = {
    "v1": None,
    "v1b": "v1",
    "v2": "v1",
    "v2b": "v2",
    "v3": PARENT,
    "v4": PARENT,
    "v5": PARENT,
    "v6": PARENT,
    "v30": PARENT,
    "v7": "v1",
    "v8": "v7",
    "v8b": "v8",
}
# The change that a version needs. v8b's is v8's to the letter, so what v8 prepared in the database serves it.
CHANGES = {"v7": "v7.sql", "v8": "v8.sql", "v8b": "v8.sql"}
VERSIONS = tuple(LINEAGE)
SHARED = ("app.py", "passwords.py", "serve.py", "store.py")
LAUNCHER = '''"""The shop, {version}. Needs PORT, DATABASE_URL; takes APPLICATION_NAME, SHOP_ERROR_RATIO,
SHOP_PREPARE (`never`: behind a pooler)."""

from shop.serve import main
from shop.versions.{version} import Shop

main(Shop)
'''
PARENT_MODULE = '''"""The good version that this one was developed from."""

from __future__ import annotations

from .{parent} import Shop

__all__ = ["Shop"]
'''


def materialize(version: str, directory: Path, parent: str = BASE) -> Path:
    """Write a runnable, self-contained directory for the version and return its `app.py`; repeatable.

    `parent` is the good version that the faulty ones are built on, and with it the shape of the database they need.
    """
    for name in (version, parent):
        if name not in LINEAGE:
            raise ValueError(f"no version {name!r} of the shop; there are {', '.join(VERSIONS)}")
    assert LINEAGE[parent] != PARENT, f"{parent} is no good version"
    source = Path(__file__).parent
    package = directory / "shop"
    if package.exists():
        shutil.rmtree(package)
    (package / "versions").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "versions" / "__init__.py").write_text("")
    for name in SHARED:
        shutil.copyfile(source / name, package / name)
    ancestor: str | None = version
    while ancestor is not None:
        if ancestor == PARENT:
            (package / "versions" / "parent.py").write_text(PARENT_MODULE.format(parent=parent))
            ancestor = parent
        shutil.copyfile(source / "versions" / f"{ancestor}.py", package / "versions" / f"{ancestor}.py")
        ancestor = LINEAGE[ancestor]
    if version in CHANGES:
        (directory / "migrations").mkdir(exist_ok=True)
        shutil.copyfile(source / "versions" / CHANGES[version], directory / "migrations" / f"{version}.sql")
    launcher = directory / "app.py"
    launcher.write_text(LAUNCHER.format(version=version))
    return launcher
