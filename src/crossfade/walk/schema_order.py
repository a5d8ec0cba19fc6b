"""Which change an act means, and whether it may begin where that change stands. Pure.

Rule: the stages are walked in order, and one change is open at a time. Whoever asks for a step too early is told the
command that comes first; whoever asks for one that is done already is told so, and nothing happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossfade.model.change import Stage
from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.path import Act
from crossfade.model.ports import SchemaFacts, Standing

WORDS = {
    Act.EXPAND: "expand",
    Act.BACKFILL: "backfill",
    Act.DETACH: "detach",
    Act.ATTACH: "attach",
    Act.UNDO_CHANGE: "undo",
    Act.PURGE: "purge",
}
NEXT = {
    Stage.BASE: "crossfade schema expand FILE",
    Stage.BOTH: "crossfade schema backfill",
    Stage.EQUAL: "crossfade schema detach",
    Stage.HIDDEN: "crossfade schema purge",
}
BACK = {
    Stage.BASE: "crossfade schema undo",
    Stage.BOTH: "crossfade schema undo",
    Stage.EQUAL: "crossfade schema undo",
    Stage.HIDDEN: "crossfade schema attach",
}


@dataclass(frozen=True)
class Meant:
    """The change that an act is for; `nothing` says why there is nothing to do."""

    standing: Standing | None = None
    nothing: str = ""


def meant(act: Act, facts: SchemaFacts, name: str | None) -> Meant:
    """Choose the change. Raises `schema-order`, `schema-none-open`, `schema-another-open`, `nothing-to-move`."""
    waiting = [one for one in facts.detached if _named(one, name)]
    opened = facts.open if facts.open is not None and _named(facts.open, name) else None
    if name is not None and opened is None and not waiting:
        return _unknown(act, facts, name)
    match act:
        case Act.BACKFILL:
            return _backfill(opened, waiting)
        case Act.DETACH:
            return _detach(opened, waiting)
        case Act.ATTACH:
            return _attach(facts, opened, waiting)
        case Act.UNDO_CHANGE:
            return _undo(opened, waiting)
        case _:
            assert act is Act.PURGE, act
            return _purge(opened, waiting)


def _named(one: Standing, name: str | None) -> bool:
    return name is None or name in (one.change.id, one.change.name, one.version)


def _unknown(act: Act, facts: SchemaFacts, name: str) -> Meant:
    if name in facts.gone:
        return Meant(nothing=f"{name} is purged already")
    there = [*([facts.open] if facts.open else []), *facts.detached]
    listed = ", ".join(f"{one.change.name} ({one.change.id}) at '{one.stage}'" for one in there)
    raise fail("nothing-to-move", what=f"{WORDS[act]} by the name {name}", found=listed or "no schema change is known")


def _backfill(opened: Standing | None, waiting: Sequence[Standing]) -> Meant:
    if opened is None:
        return _past(Act.BACKFILL, waiting, "filled")
    if opened.stage is Stage.BASE:
        raise too_early(Act.BACKFILL, opened, Stage.BOTH)
    return Meant(opened)


def _detach(opened: Standing | None, waiting: Sequence[Standing]) -> Meant:
    if opened is None:
        if not waiting:
            raise fail("schema-none-open", act="detach")
        return Meant(waiting[-1])  # where it is whole nothing is done; else what a stopped attach took back
    if opened.stage is not Stage.EQUAL:
        raise too_early(Act.DETACH, opened, Stage.EQUAL)
    return Meant(opened)


def _attach(facts: SchemaFacts, opened: Standing | None, waiting: Sequence[Standing]) -> Meant:
    if opened is not None and opened.stage is Stage.EQUAL:
        return Meant(opened)  # what a stopped detach had hidden
    if facts.open is not None and waiting:
        raise fail(
            "schema-another-open",
            act="attach",
            name=waiting[-1].change.name,
            open=facts.open.change.name,
            stage=facts.open.stage,
            next=NEXT[facts.open.stage],
        )
    return Meant(waiting[-1]) if waiting else Meant(nothing="nothing is detached")


def _undo(opened: Standing | None, waiting: Sequence[Standing]) -> Meant:
    if opened is not None:
        return Meant(opened)
    if waiting:
        raise fail(
            "schema-order",
            act="undo",
            name=waiting[-1].change.name,
            stage=waiting[-1].stage,
            needed=f"'{Stage.EQUAL}' or before",
            next="crossfade schema attach, then: crossfade schema undo",
        )
    return Meant(nothing="no schema change is open")


def _purge(opened: Standing | None, waiting: Sequence[Standing]) -> Meant:
    if waiting:
        return Meant(waiting[0])
    if opened is not None:
        raise too_early(Act.PURGE, opened, Stage.HIDDEN)
    return Meant(nothing="no detached change waits for its purge")


def _past(act: Act, waiting: Sequence[Standing], done: str) -> Meant:
    if not waiting:
        raise fail("schema-none-open", act=WORDS[act])
    return Meant(nothing=f"{waiting[-1].change.name} is {done} and detached already")


def too_early(act: Act, standing: Standing, needed: Stage) -> CrossfadeError:
    """The refusal of an act that comes later."""
    return fail(
        "schema-order",
        act=WORDS[act],
        name=standing.change.name,
        stage=standing.stage,
        needed=f"'{needed}'",
        next=NEXT[standing.stage],
    )
