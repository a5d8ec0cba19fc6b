"""What a release has to do with the schema: the version's own change, or the one that stands open already.

Rule: a version says what it wants of the schema by the file that its directory holds; whether that is new, half
there, or simply there is read from the database. One change is open at a time; a change whose old shape is hidden
and waits for its purge keeps only its own tables.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from crossfade.model.change import Change, Stage
from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.ports import SchemaFacts, Slot, Standing
from crossfade.model.requirement import Config
from crossfade.plan.release import NO_SCHEMA, SchemaPart
from crossfade.schema.catalog import Catalog
from crossfade.schema.inputs.migration import Source, all_sources
from crossfade.schema.inputs.place import read_place
from crossfade.schema.inputs.tools import Tools
from crossfade.schema.planning import PlanOptions, change_id, plan_change, tables_named


@dataclass(frozen=True)
class Wanted:
    """A version's change as its directory has it."""

    name: str  # of the file or folder, for people
    sources: Sequence[Source]

    @property
    def id(self) -> str:
        """The net change's id."""
        return change_id(self.sources)


def wanted_by(config: Config, version: str, directory: Path) -> Wanted | None:
    """The change that a version's directory holds; None where it has none. Raises what `read_place` raises."""
    if not config.schema.change:
        return None
    place = config.schema.change.replace("{version}", version)
    if not (directory / place).exists():
        return None
    tools = Tools(directory, config.schema.alembic, config.schema.django)
    return Wanted(place, all_sources(read_place([place], within=directory, tools=tools)))


def schema_part(
    config: Config, version: str, wanted: Wanted | None, facts: SchemaFacts, catalog: Callable[[], Catalog]
) -> SchemaPart:
    """How a release of `version` meets the schema. Raises `change-open`, `change-queued` and what planning refuses."""
    standing = facts.open
    if wanted is None:
        return NO_SCHEMA if standing is None else SchemaPart(standing.stage, standing.change.tables)
    known = wanted.id
    if standing is not None and standing.change.id == known:
        return SchemaPart(standing.stage, standing.change.tables, standing.change)
    if known in facts.gone or any(one.change.id == known for one in facts.detached):
        return NO_SCHEMA if standing is None else SchemaPart(standing.stage, standing.change.tables)
    if standing is not None:
        raise fail(
            "change-open",
            version=version,
            name=wanted.name,
            open=standing.change.name,
            opener=standing.version or "a version with this change",  # begun without a service: it has none
            stage=standing.stage,
        )
    options = PlanOptions(
        has_lane_roles=bool(config.database.app_roles),
        both_changed=config.schema.both_changed,
        star_queries=config.schema.star_queries,
        has_pooler=bool(config.database.pooler_url),
    )
    change = plan_beside(wanted.name, wanted.sources, catalog(), options, facts.detached, (version, "release again"))
    return SchemaPart(Stage.BASE, change.tables, change)


def plan_beside(
    name: str,
    sources: Sequence[Source],
    catalog: Catalog,
    options: PlanOptions,
    detached: Sequence[Standing],
    who: tuple[str, str],
) -> Change:
    """Plan a change while others wait for their purge; `who` wants it, and how it is asked for again.

    Raises `change-queued` and what planning refuses. A table that waits may be a view just now, which planning would
    refuse in words of its own; what is in the way then is the change that put it there.
    """
    try:
        change = plan_change(name, sources, catalog, options)
    except CrossfadeError as error:
        if detached and error.id != "schema-syntax":
            refuse_queued(who, tables_named(sources, catalog), detached)
        raise
    refuse_queued(who, change.tables, detached)
    return change


def refuse_queued(who: tuple[str, str], tables: Collection[str], detached: Sequence[Standing]) -> None:
    """Raise `change-queued` where one of the tables still has the old shape of an earlier change."""
    for one in detached:
        both = sorted(set(tables) & set(one.change.tables))
        if both:
            raise fail(
                "change-queued",
                version=who[0],
                tables=", ".join(both),
                queued=one.change.name,
                since=f"{one.since:%F}",
                again=who[1],
            )


def roles_of(config: Config, part: SchemaPart, old_slot: Slot) -> dict[str, str]:
    """Which shape each lane's role writes during the release; empty where the lanes have no roles of their own."""
    roles = config.database.app_roles
    if not roles:
        return {}
    by_slot = dict(zip((Slot.LEFT, Slot.RIGHT), roles, strict=True))
    new = "new" if part.change is not None else "old"
    return {by_slot[old_slot]: "old", by_slot[old_slot.other]: new}
