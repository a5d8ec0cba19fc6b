"""A schema change as text: what each step does, asks for and undoes, and what it means for who is live.

Rule: each step answers the same questions in the same order: which locks, whether it reads the whole table, and
whether a prepared `SELECT *` of a live version would get another result. SQL is shown as it will run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crossfade.model.change import Change, Unit

ALONE = {
    "expand": "crossfade schema expand",
    "settle": "after the backfill",
    "record": "at the end of the backfill",
    "detach": "crossfade schema detach",
    "purge": "crossfade schema purge",
}
STAGES = (
    ("expand", "both shapes, kept in step"),
    ("settle", "after the backfill"),
    ("record", "before the new version starts"),
    ("detach", "once the old version is gone"),
    ("purge", "crossfade schema purge, once the soak is over"),
)


def change_lines(change: Change, star_queries: str, *, sql: bool = False, alone: bool = False) -> list[str]:
    """What a person reads of the change before it begins; with every statement, where asked.

    `alone`: no release walks it, so each step says the command that does it.
    """
    lines = [f"schema change    {change.name} ({change.id}) on {', '.join(change.tables)}"]
    for name, released in STAGES:
        when = ALONE[name] if alone else released
        units: Sequence[Unit] = getattr(change, name)
        if name == "settle":
            lines += [f"  backfill  {fill.table}: {_filled(fill.assignments)}" for fill in change.backfill]
            lines += [f"  compare   {fill.table}: one differing row stops the shift" for fill in change.backfill]
        for unit in units:
            lines.append(f"  {name:<9} {unit.says}  [{'; '.join(_answers(unit, star_queries))}]  ({when})")
            if sql:
                lines += [f"            {text}" for statement in unit.do for text in statement.splitlines()]
                lines += [f"    undo    {text}" for statement in unit.undo for text in statement.splitlines()]
    for mapping in change.mappings:
        lines.append(f"  mapping   {mapping.table}: {mapping.says}")
    return [*lines, *(f"  note      {note}" for note in change.notes)]


def _filled(assignments: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{column} = {text}" for column, text in assignments)


def _answers(unit: Unit, star_queries: str) -> Iterator[str]:
    if unit.concurrent:
        yield "concurrently, blocks nobody"
    elif unit.locks:
        yield ", ".join(f"{mode} on {table}" for table, mode in unit.locks)
    else:
        yield "no lock that blocks"
    if unit.scans:
        yield "reads the whole table under a lock that blocks nobody"
    if unit.steadies:
        yield "SELECT * is kept stable by a view"
    elif not unit.retypes:
        yield "SELECT * stays as it is"
    elif star_queries == "none":
        yield "SELECT * changes; declared: nobody asks for it"
    else:
        yield f"SELECT * changes on {', '.join(unit.retypes)}"
