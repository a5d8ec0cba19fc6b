"""Which files of a folder are its migrations, and in which order: as the tool would that the folder belongs to.

Rule: the layout is told by names alone. The way back of a tool (down.sql, NAME.down.sql, U1__NAME.sql) is never
read: crossfade has its own. A file whose place in the order is not known is an error, not a guess.

    Diesel             NAME/up.sql         by the digits that NAME begins with, as text
    Prisma             NAME/migration.sql  by NAME
    Flyway             V1.2__NAME.sql      by number, part for part; R__NAME.sql after them, by name; B1.2__NAME.sql
                                           stands for every V up to it
    golang-migrate,    NUMBER_NAME.up.sql  by number
    sqlx
    others             NAME.sql            by the number that each name begins with; by name where one has none
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from crossfade.model.errors import fail

_FLYWAY = re.compile(r"([VBUR])(\d[\d._]*)?__(.+)\.sql")
_FLYWAY_CALLBACK = re.compile(r"(before|after|create)[A-Z]\w*(__.*)?\.sql")
_LOOKED_FOR = "*.sql, NAME/up.sql, NAME/migration.sql, V1__NAME.sql"


def migrations_in(folder: Path) -> list[tuple[str, Path]]:
    """The name and the file of each migration, in order. Raises `input-nothing`, `input-order`, OSError."""
    for whole in ("up.sql", "migration.sql"):
        if (folder / whole).is_file():
            return [(folder.name, folder / whole)]
    entries = sorted(one for one in folder.iterdir() if not one.name.startswith("."))
    folders = [one for one in entries if one.is_dir()]
    if ups := [one / "up.sql" for one in folders if (one / "up.sql").is_file()]:
        ups.sort(key=lambda file: (_diesel_number(file.parent.name), file.parent.name))
        return _numbered(ups, lambda file: _diesel_number(file.parent.name), lambda file: file.parent.name)
    if files := [one / "migration.sql" for one in folders if (one / "migration.sql").is_file()]:
        return [(file.parent.name, file) for file in files]
    below = sorted(one for one in folder.rglob("*.sql") if one.is_file())
    if any((said := _FLYWAY.fullmatch(one.name)) and said[1] == "V" and said[2] for one in below):
        return _flyway(below)
    files = [one for one in entries if one.suffix == ".sql" and one.is_file()]
    forward = [one for one in files if not one.name.endswith(".down.sql")]
    if not forward:
        raise fail("input-nothing", place=folder, looked_for=_LOOKED_FOR, hint=_instead(entries))
    if all(re.match(r"\d", one.name) for one in forward):
        forward.sort(key=lambda file: (_number(file.name), file.name))
    if any(one.name.endswith(".up.sql") for one in forward):
        return _numbered(forward, lambda file: _number(file.name), lambda file: file.name)
    return [(file.name, file) for file in forward]


def _numbered(
    files: Iterable[Path], number: Callable[[Path], Any], name: Callable[[Path], str]
) -> list[tuple[str, Path]]:
    """Name files that stand in order; two with one number are refused, as by the tools themselves."""
    seen: dict[Any, Path] = {}
    for file in files:
        said = number(file)
        if said in seen:
            raise fail("input-order", what="two migrations have the same number", first=seen[said], second=file)
        if said:
            seen[said] = file
    return [(name(file), file) for file in files]


def _flyway(files: Sequence[Path]) -> list[tuple[str, Path]]:
    versioned: list[Path] = []
    repeatable: list[Path] = []
    baselines: list[Path] = []
    for file in files:
        said = _FLYWAY.fullmatch(file.name)
        if _FLYWAY_CALLBACK.fullmatch(file.name) or (said and said[1] == "U"):
            continue
        if said and said[1] == "R":
            repeatable.append(file)
        elif said and said[2]:
            (baselines if said[1] == "B" else versioned).append(file)
        else:
            neighbour = next(one for one in files if _FLYWAY.fullmatch(one.name))
            raise fail("input-order", what="a file has no place among these migrations", first=neighbour, second=file)
    if baselines:
        base = max(baselines, key=_flyway_number)
        versioned = [base, *(one for one in versioned if _flyway_number(one) > _flyway_number(base))]
    versioned.sort(key=_flyway_number)
    repeatable.sort(key=lambda file: file.name)
    in_order = _numbered(versioned, _flyway_number, lambda file: file.name)
    return [*in_order, *((file.name, file) for file in repeatable)]


def _flyway_number(file: Path) -> tuple[int, ...]:
    said = _FLYWAY.fullmatch(file.name)
    assert said, file
    parts = [int(part) for part in re.split(r"[._]", said[2]) if part]
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return tuple(parts)


def _diesel_number(name: str) -> str:
    said = re.match(r"[\d-]*", name)
    return said[0].replace("-", "") if said else ""


def _number(name: str) -> int:
    said = re.match(r"\d+", name)
    return int(said[0]) if said else 0


def _instead(entries: Sequence[Path]) -> str:
    """What to point at where a folder holds no SQL but what makes some."""
    names = {one.name for one in entries}
    if "env.py" in names or "versions" in names:
        return "print the SQL of Alembic: alembic upgrade FROM:TO --sql"
    if "__init__.py" in names:
        return "print the SQL of Django: manage.py sqlmigrate APP NAME"
    if any(name.endswith(".rb") for name in names):
        return "print the SQL of Rails: its log at level debug holds it, and it may be piped in with -"
    return "point at a file, or at a folder that holds migrations"
