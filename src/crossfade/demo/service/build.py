"""Writes one version of the shop as a directory of its own, the way a build would.

Rule: the directory holds this version and its ancestors only, and nothing in it points back here; it
starts with `python app.py` under any interpreter that has aiohttp, psycopg and psycopg_pool.
"""

from __future__ import annotations

import shutil
from pathlib import Path

# Each version names the one it was developed from; its file holds only the difference.
LINEAGE: dict[str, str | None] = {
    "v1": None,
    "v2": "v1",
    "v2b": "v2",
    "v3": "v2",
    "v4": "v2",
    "v5": "v2",
    "v6": "v2",
    "v30": "v2",
}
VERSIONS = tuple(LINEAGE)
SHARED = ("app.py", "passwords.py", "serve.py", "store.py")
LAUNCHER = '''"""The shop, {version}. Needs PORT, DATABASE_URL; takes APPLICATION_NAME, SHOP_ERROR_RATIO."""

from shop.serve import main
from shop.versions.{version} import Shop

main(Shop)
'''


def materialize(version: str, directory: Path) -> Path:
    """Write a runnable, self-contained directory for the version and return its `app.py`; repeatable."""
    if version not in LINEAGE:
        raise ValueError(f"no version {version!r} of the shop; there are {', '.join(VERSIONS)}")
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
        shutil.copyfile(source / "versions" / f"{ancestor}.py", package / "versions" / f"{ancestor}.py")
        ancestor = LINEAGE[ancestor]
    launcher = directory / "app.py"
    launcher.write_text(LAUNCHER.format(version=version))
    return launcher
