"""A schema change without a release: which version may run and go out between its steps, and what the way back loses.

Rule: whoever deploys by other means reads here what crossfade would see to. Two kinds of application are spoken to: one
that goes from the old shape to the new one at once, which the triggers carry; and one that writes both shapes itself
for a while, in two releases or behind a flag, which the triggers accept as long as both say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crossfade.model.change import Change, Policy, ShapeMapping
from crossfade.plan.show_change import change_lines

_WIDTH = 17


@dataclass(frozen=True)
class Line:
    """When, and what holds then."""

    when: str
    says: str


def stages_of(change: Change) -> dict[str, list[Line]]:
    """By question: who may run when, the way back, and what is lost by it."""
    return {
        "who may run": list(_who(change)),
        "way back": list(_back(change)),
        "what is lost": list(_lost(change)),
    }


def plan_lines(change: Change, id: str, star_queries: str, again: str, *, sql: bool = False) -> list[str]:
    """The whole plan, for people; `again` is what was planned, as it was typed: files and options."""
    lines = [f"{change.name}: plan {id}", *change_lines(change, star_queries, sql=sql, alone=True)]
    for question, answers in stages_of(change).items():
        lines.append(question)
        lines += [f"  {one.when:<{_WIDTH}}{one.says}" for one in answers]
    drops = "purge" if change.drops else "nothing: the purge drops nothing"
    return [*lines, f"irreversible       {drops}", f"next: crossfade schema expand {again} --plan {id}"]


def _who(change: Change) -> Iterator[Line]:
    old, new = _names(change.mappings, old=True), _names(change.mappings, old=False)
    hides = "; ".join(unit.says for unit in change.detach)
    yield Line("now", "the version that is there")
    if change.mappings:
        yield Line(
            "after expand",
            f"that version, as it is; also a release that writes both itself ({_pairs(change.mappings)}), saying the"
            f" same, and reads {old}",
        )
        yield Line("after backfill", f"also a release that reads and writes {new} alone; a flag may shift reads there")
    else:
        yield Line("after expand", "that version, as it is")
        yield Line("after backfill", "also the release that this change is for")
    if hides:
        also = " and what writes both" if change.mappings else ""
        yield Line("before detach", f"stop every version that needs the old shape{also}; its code, and a flag, may go")
        yield Line("at detach", hides)
    else:
        yield Line("at detach", "nothing is hidden; every version may run on")
    if change.drops:
        yield Line("at purge", "; ".join(unit.says for unit in change.purge))
    else:
        yield Line("at purge", "nothing is dropped; the change is at its end")


def _back(change: Change) -> Iterator[Line]:
    yield Line("from expand", "crossfade schema undo")
    yield Line("from backfill", "crossfade schema undo, once no version needs the new shape")
    yield Line("from detach", "crossfade schema attach, which takes milliseconds; then as from backfill")
    if change.drops:
        yield Line("from purge", "none by a step; crossfade_attic has what the new shape does not tell")


def _lost(change: Change) -> Iterator[Line]:
    for mapping in change.mappings:
        if mapping.total:
            continue
        what = f"{mapping.table}: values of {', '.join(mapping.new)} that {', '.join(mapping.old)} cannot hold"
        if mapping.policy is Policy.REJECT:
            yield Line("after expand", f"nothing; {what} are refused until the old shape is purged")
        else:
            yield Line("after expand", f"{what} are stored, counted by key, and lost to whoever goes back")
    if change.undo_keeps:
        tables = ", ".join(dict.fromkeys(_bare(kept.table) for kept in change.undo_keeps))
        yield Line("at undo", f"what only a new version wrote into {tables} goes to crossfade_attic")
    if change.drops and change.purge_keeps:
        tables = ", ".join(dict.fromkeys(_bare(kept.table) for kept in change.purge_keeps))
        yield Line("at purge", f"the old shape of {tables}; what the new one does not tell goes to crossfade_attic")
    if all(mapping.total for mapping in change.mappings) and not change.undo_keeps and not change.purge_keeps:
        yield Line("never", "nothing that a version writes is lost on the way there or back")


def _bare(quoted: str) -> str:
    """A quoted table as people write it."""
    return quoted.replace('"', "")


def _names(mappings: Sequence[ShapeMapping], *, old: bool) -> str:
    found = [name for mapping in mappings for name in (mapping.old if old else mapping.new)]
    return ", ".join(dict.fromkeys(found))


def _pairs(mappings: Sequence[ShapeMapping]) -> str:
    return "; ".join(f"{', '.join(one.old)} and {', '.join(one.new)}" for one in mappings)
