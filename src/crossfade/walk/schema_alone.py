"""A schema walked without a service: planned, and moved one act at a time, by whoever calls.

Rule: what the releases of a service move is theirs, and is only looked at here. Everything else is as in a release: the
same plan, the same engine, its record in the database, a lease for as long as an act takes. An act that was stopped or
killed goes on when the same command is called again; one that is done already does nothing. What a controller would
look at and nobody does here, is said: whether the old version is gone (detach), whether a restore works (purge).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from crossfade.model.change import Change, Stage
from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.path import Act
from crossfade.model.ports import Clock, GoOn, Measured, Say, SchemaEngine, SchemaFacts, Standing
from crossfade.model.requirement import Requirement, Staging, Waiver
from crossfade.schema.catalog import Catalog
from crossfade.schema.drift import Outline, Shown, moved, outline, plan_id
from crossfade.schema.inputs.migration import Source
from crossfade.schema.planning import PlanOptions, change_id
from crossfade.schema.session import Sessions
from crossfade.walk.change_plan import plan_beside
from crossfade.walk.change_walk import says
from crossfade.walk.maintain import refuse_purge_alone
from crossfade.walk.schema_engine import Where, catalog_at, engine_at
from crossfade.walk.schema_lead import leading
from crossfade.walk.schema_order import BACK, NEXT, WORDS, Meant, meant

NOBODY = "schema"  # whose the changes are where no service is named
NO_VERSION = ""

# The same failures as in a release, with the way on of somebody who has no release.
_HINTS = {
    "schema-syntax": "put it right and plan again: crossfade schema plan FILE",
    "input-unreadable": "mend the file, then the same command again",
    "schema-refused": "once the cause is mended the same command goes on from here; where it stands: "
    "crossfade schema status",
    "schema-unreachable": "what was under way is found in the database when it answers again: crossfade schema status",
    "schema-shapes-differ": "look at these rows, then: crossfade schema backfill once more, or crossfade schema undo",
    "schema-wrong-stage": "crossfade schema status",
    "schema-plan-differs": "crossfade schema undo, then: crossfade schema expand FILE",
    "backfill-blocked": "end the long transactions that pg_stat_activity shows; what is filled stays; to go on: "
    "crossfade schema backfill",
    "star-queries-unknown": 'say it: --star-queries none; or in crossfade.toml, under [schema]: star_queries = "none"',
}


@dataclass(frozen=True)
class Place:
    """One database and what is promised of it. The address holds a password: for the driver alone."""

    admin_url: str
    service: str = ""  # empty: whose changes are there
    settings: Staging = field(default_factory=Staging)
    requirement: Requirement = field(default_factory=Requirement)
    waivers: Sequence[Waiver] = ()
    has_lane_roles: bool = False  # of a service whose releases say which role writes which shape
    has_pooler: bool = False


@dataclass(frozen=True)
class Planned:
    """A plan, with the outline of the schema it was made against."""

    change: Change
    outline: Outline

    @property
    def id(self) -> str:
        """The plan's id."""
        return plan_id(self.change)


@dataclass(frozen=True)
class Outcome:
    """What an act has brought about. `change` is None where none was meant."""

    act: str
    says: str
    change: Change | None = None
    stage: Stage | None = None
    data: Measured = field(default_factory=dict)

    @property
    def steps(self) -> Sequence[Mapping[str, object]]:
        """The steps that were done, with their measured times."""
        return self.data.get("steps", ())  # type: ignore[return-value]


@dataclass(frozen=True)
class Owner:
    """Whose changes these are; `released` where its releases move them."""

    service: str
    released: bool


@contextmanager
def hinted() -> Iterator[None]:
    """Tell failures of the block with the way on of somebody who has no release."""
    try:
        yield
    except CrossfadeError as error:
        if error.id not in _HINTS:
            raise
        kind = replace(error.kind, hint=_HINTS[error.id])
        raise CrossfadeError(kind, error.facts) from error


class SchemaAlone:
    """The acts on one database. `token` tells this process from every other."""

    def __init__(
        self, place: Place, clock: Clock, token: str, after_act: Callable[[str], None] = lambda _unit: None
    ) -> None:
        self.place, self._clock, self._token, self._after_act = place, clock, token, after_act
        self._owner: Owner | None = None

    # -- looking --------------------------------------------------------------------------------------

    @property
    def owner(self) -> Owner:
        """Whose changes are meant. Raises `schema-services`, `schema-unreachable`."""
        if self._owner is None:
            self._owner = self._find_owner()
        return self._owner

    def _find_owner(self) -> Owner:
        with Sessions(self.place.admin_url, self._clock).open("reading whose changes are here") as session:
            known = session.rows("services") if session.one("installed")[0] else []
        bound = {str(name): bool(released) for name, released in known}
        if self.place.service:
            return Owner(self.place.service, bound.get(self.place.service, False))
        if len(bound) > 1:
            raise fail("schema-services", services=", ".join(bound), first=next(iter(bound)))
        return next((Owner(name, released) for name, released in bound.items()), Owner(NOBODY, False))

    @property
    def _where(self) -> Where:
        return Where(self.place.admin_url, self.owner.service, self.place.settings)

    def facts(self, *, counted: bool = False) -> SchemaFacts:
        """Where every change stands; `counted`: with what was recorded."""
        return engine_at(self._where, self._clock).facts(counted=counted)

    def plan(self, name: str, sources: Sequence[Source]) -> Planned:
        """Plan a change; of one that has begun, the plan it was begun with.

        Raises `change-queued` and what planning refuses.
        """
        facts = self.facts()
        catalog = catalog_at(self.place.admin_url, self._clock)
        known = _known(facts, change_id(sources))
        change = known.change if known is not None else self._plan(name, sources, catalog, facts)
        return Planned(change, outline(catalog, change.tables))

    def _plan(self, name: str, sources: Sequence[Source], catalog: Catalog, facts: SchemaFacts) -> Change:
        place = self.place
        options = PlanOptions(
            has_lane_roles=place.has_lane_roles and self.owner.released,
            both_changed=place.settings.both_changed,
            star_queries=place.settings.star_queries,
            has_pooler=place.has_pooler,
        )
        again = (name, f"crossfade schema plan {name} again")
        return plan_beside(name, sources, catalog, options, facts.detached, again)

    # -- moving ---------------------------------------------------------------------------------------

    def expand(self, name: str, sources: Sequence[Source], shown: Shown | None, go_on: GoOn, say: Say) -> Outcome:
        """BASE to BOTH. Raises `schema-another-open`, `schema-plan-moved`, and what planning and walking raise."""
        self._require_ours(Act.EXPAND)
        if isinstance(ready := self._ready(name, sources, shown), Outcome):
            return ready
        with self._leading(go_on, say) as engine:  # what is refused or done already needs no lease and no tables
            if isinstance(ready := self._ready(name, sources, shown), Outcome):
                return ready
            return self._run(Act.EXPAND, engine, ready, Stage.BASE, go_on, say)

    def _ready(self, name: str, sources: Sequence[Source], shown: Shown | None) -> Change | Outcome:
        """The change that is to be expanded, or why there is nothing to do."""
        facts, id = self.facts(), change_id(sources)
        known = _known(facts, id)
        if id in facts.gone:
            return Outcome("expand", f"{name} is purged already: what it wanted is there", None, Stage.GONE)
        if known is not None and known.stage is not Stage.BASE:
            _require_shown(shown, Planned(known.change, {}), name)
            return Outcome("expand", f"{name} is there already", known.change, known.stage)
        if facts.open is not None and known is None:
            raise fail(
                "schema-another-open",
                act="expand",
                name=name,
                open=facts.open.change.name,
                stage=facts.open.stage,
                next=NEXT[facts.open.stage],
            )
        planned = self.plan(name, sources)
        _require_shown(shown, planned, name)
        return planned.change

    def move(self, act: Act, name: str | None, go_on: GoOn, say: Say) -> Outcome:
        """Every other act, on the change that is meant. Raises what `schema_order` refuses, and a purge's refusals."""
        self._require_ours(act)
        found = self.would(act, name)
        if found.standing is None:
            return Outcome(WORDS[act], f"nothing to {WORDS[act]}: {found.nothing}")
        with self._leading(go_on, say) as engine:
            found = self.would(act, name)
            if found.standing is None:
                return Outcome(WORDS[act], f"nothing to {WORDS[act]}: {found.nothing}")
            return self._run(act, engine, found.standing.change, found.standing.stage, go_on, say)

    def would(self, act: Act, name: str | None) -> Meant:
        """The change that an act would move; raises what the act would refuse, and does nothing."""
        found = meant(act, self.facts(), name)
        if act is Act.PURGE and found.standing is not None and found.standing.change.drops:
            refuse_purge_alone(self.place.requirement, self.place.waivers, found.standing, self._clock.now())
        return found

    def _require_ours(self, act: Act) -> None:
        if self.owner.released:
            raise fail("schema-of-service", act=WORDS[act], service=self.owner.service)

    @contextmanager
    def _leading(self, go_on: GoOn, say: Say) -> Iterator[SchemaEngine]:
        with leading(self.place.admin_url, self.owner.service, self._clock, self._token, go_on, say) as epoch:
            yield engine_at(self._where, self._clock, epoch, after_act=self._after_act)

    def _run(self, act: Act, engine: SchemaEngine, change: Change, stage: Stage, go_on: GoOn, say: Say) -> Outcome:
        try:
            data, end = _acts(act, engine, change, go_on, say)
        except CrossfadeError as error:
            if error.id != "schema-stopped":
                raise
            on = f"crossfade schema {WORDS[act]}{' FILE' if act is Act.EXPAND else ''}"
            back = "there is no way back" if act is Act.PURGE else BACK[stage]
            facts = {"act": WORDS[act], "name": change.name, "stage": stage, "done": error.facts["done"]}
            raise fail("schema-act-stopped", **facts, on=on, back=back) from error
        return Outcome(WORDS[act], _says(act, change, data), change, end, data)


def _says(act: Act, change: Change, data: Measured) -> str:
    """What has come of it; a change that takes nothing away has no old shape to speak of."""
    if act is Act.PURGE and not change.drops:
        return f"{change.name}: nothing is dropped; the change is at its end"
    if act in (Act.DETACH, Act.ATTACH) and not change.detach:
        return f"{change.name}: nothing is hidden by it"
    return says(act, change.name, data)


def _known(facts: SchemaFacts, id: str) -> Standing | None:
    there = [*([facts.open] if facts.open else []), *facts.detached]
    return next((one for one in there if one.change.id == id), None)


def _require_shown(shown: Shown | None, planned: Planned, name: str) -> None:
    if shown is None:
        return
    lines = moved(shown, planned.change, planned.outline)
    if lines:
        raise fail("schema-plan-moved", name=name, shown=shown.id, found=planned.id, moved="\n".join(lines), files=name)


def _acts(act: Act, engine: SchemaEngine, change: Change, go_on: GoOn, say: Say) -> tuple[Measured, Stage]:
    """Do it; what was measured, and the stage it ends at."""
    match act:
        case Act.EXPAND:
            return engine.expand(change, NO_VERSION, go_on, say), Stage.BOTH
        case Act.BACKFILL:
            filled = engine.backfill(change, go_on, say)
            rows = engine.record(change, go_on, say) if change.record else {}
            steps = [*filled.get("steps", ()), *rows.get("steps", ())]  # type: ignore[misc]
            return {**filled, "steps": steps}, Stage.EQUAL
        case Act.DETACH:
            return engine.detach(change, go_on, say), Stage.HIDDEN
        case Act.ATTACH:
            return engine.attach(change, go_on, say), Stage.EQUAL
        case Act.UNDO_CHANGE:
            return engine.undo(change, go_on, say), Stage.BASE
        case _:
            assert act is Act.PURGE, act
            return engine.purge(change, go_on, say), Stage.GONE
