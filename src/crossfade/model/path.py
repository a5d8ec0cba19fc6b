"""The release path: positions, the steps between them, and the way back from each.

Rule: a position is a state of the world in which the service may stand still for as long as it likes. A
step leads to the next position and has a way back, until the first irreversible step, which the path
names. The path is a value: what `plan` prints is what `release` walks, and its digest binds the two.

Invariants, checked by `Path.check_invariants()`:
- shares only grow along the path, and a lane that takes traffic is present (I5);
- at most two versions stand at any position (I2);
- every step before the first irreversible one has a way back (I12 needs to know where that ends).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from crossfade.model.change import Stage
from crossfade.model.ports import FULL_BP


class Kind(StrEnum):
    """The kinds of position, in the order of a whole release."""

    STEADY = "steady"
    EXPANDED = "expanded"
    BACKFILLED = "backfilled"
    RECORDED = "recorded"
    STANDBY = "standby"
    SMOKED = "smoked"
    CLAIMING = "claiming"
    SHIFTED = "shifted"
    FLAGGED = "flagged"
    RETIRED = "retired"
    DETACHED = "detached"
    PURGED = "purged"


class Presence(StrEnum):
    """How a lane stands in the web role."""

    ABSENT = "absent"
    UP = "up"  # runs; no request can reach it
    PINNED = "pinned"  # only requests that carry the release's secret reach it
    SERVING = "serving"  # has a share of the traffic
    WARM = "warm"  # has no share, ready to take all of it back


class Lane(StrEnum):
    """Old or new, as seen by one release."""

    OLD = "old"
    NEW = "new"


@dataclass(frozen=True)
class Position:
    """One state of the world, for every role."""

    kind: Kind
    old: Presence
    new: Presence
    new_share_bp: int
    workers: tuple[Lane, ...] = (Lane.OLD,)  # which lanes claim jobs
    schedule: Lane = Lane.OLD  # who owns the scheduled tasks
    flags_on: tuple[str, ...] = ()
    schema: Mapping[str, Stage] = field(default_factory=dict)  # by table; empty: no change

    @property
    def name(self) -> str:
        """The position's name as people say it: `shifted(25)`."""
        if self.kind is Kind.SHIFTED:
            return f"shifted({self.new_share_bp / 100:g})"
        return str(self.kind)

    @property
    def exposed(self) -> bool:
        """Whether customers reach the new lane here."""
        return self.new_share_bp > 0


class Act(StrEnum):
    """What a step does. Each is idempotent: done twice is done once."""

    EXPAND = "expand"
    BACKFILL = "backfill"
    RECORD = "record"
    START_NEW = "start new"
    SMOKE = "smoke"
    SET_SHARE = "set share"
    RETIRE_OLD = "retire old"
    DETACH = "detach"
    PURGE = "purge"
    ATTACH = "attach"
    START_OLD = "start old"
    FADER_TO_OLD = "fader to old"
    STOP_NEW = "stop new"
    UNDO_CHANGE = "undo change"


OF_THE_SCHEMA = frozenset({Act.EXPAND, Act.BACKFILL, Act.RECORD, Act.DETACH, Act.PURGE, Act.ATTACH, Act.UNDO_CHANGE})


@dataclass(frozen=True)
class Step:
    """From one position to the next."""

    act: Act
    share_bp: int | None = None  # for SET_SHARE
    way_back: str = ""  # a sentence; empty: irreversible
    gated: bool = False  # whether leaving the position before it needs a passing verdict

    @property
    def reversible(self) -> bool:
        """Whether the step has a way back."""
        return bool(self.way_back)


@dataclass(frozen=True)
class Path:
    """The positions of one release and the steps between them."""

    service: str
    old_version: str
    old_digest: str
    new_version: str
    new_digest: str
    config_digest: str
    positions: Sequence[Position]
    steps: Sequence[Step]
    change_id: str = ""  # the schema change that this path walks; empty: none of its own
    change_name: str = ""
    change_digest: str = ""  # binds every statement of the change and the schema it was planned against

    def check_invariants(self) -> Path:
        """Assert what the module docstring promises, and hand the path back."""
        assert len(self.steps) == len(self.positions) - 1, "a step between every two positions"
        shares = [p.new_share_bp for p in self.positions]
        assert shares == sorted(shares), f"shares only grow: {shares}"
        for position in self.positions:
            assert 0 <= position.new_share_bp <= FULL_BP, position
            if position.new_share_bp > 0:
                assert position.new is Presence.SERVING, position
            if position.new_share_bp < FULL_BP and self.old_version:
                assert position.old is Presence.SERVING, position
            assert position.workers, position
        irreversible = [not step.reversible for step in self.steps]
        assert irreversible == sorted(irreversible), "no way back behind an irreversible step"
        ranks = [self.stage(index).rank for index in range(len(self.positions))]
        assert self.maintenance or ranks == sorted(ranks), f"stages only grow: {ranks}"
        assert self.change_id or not OF_THE_SCHEMA & {step.act for step in self.steps}, "what is walked has an id"
        return self

    @property
    def maintenance(self) -> bool:
        """Whether only the schema moves: one version serves throughout, called the old one, and the fader is still."""
        return all(step.act in OF_THE_SCHEMA for step in self.steps)

    def stage(self, index: int) -> Stage:
        """Where the schema change stands at a position; BASE where there is none."""
        return next(iter(self.positions[index].schema.values()), Stage.BASE)

    @property
    def begin_of_lane(self) -> int:
        """The index of the last position before the new lane is started: what a release that came back stands at."""
        return next((i for i, step in enumerate(self.steps) if step.act is Act.START_NEW), 0)

    def half_expanded(self, index: int) -> bool:
        """Whether the expansion may be half done while the release is at, or comes back from, a position."""
        return any(step.act is Act.EXPAND and index <= i for i, step in enumerate(self.steps))

    @property
    def first_share_index(self) -> int:
        """The index of the first position at which customers reach the new lane."""
        return next(i for i, p in enumerate(self.positions) if p.exposed)

    def index_of(self, kind: Kind) -> int:
        """The index of the first position of that kind. Raises StopIteration where the path has none."""
        return next(i for i, p in enumerate(self.positions) if p.kind is kind)

    def first_irreversible(self) -> Step | None:
        """The first step without a way back, or None where the whole path can be walked back."""
        return next((step for step in self.steps if not step.reversible), None)

    def live(self, index: int) -> frozenset[Lane]:
        """Which versions are live at a position: those that take load, or that one step back serves or starts."""
        here = self.positions[index]
        before = self.positions[index - 1] if index else here
        lanes = set()
        for position in (here, before):
            if position.old in (Presence.SERVING, Presence.WARM):
                lanes.add(Lane.OLD)
        if here.new in (Presence.PINNED, Presence.SERVING) or Lane.NEW in here.workers:
            lanes.add(Lane.NEW)
        return frozenset(lanes)

    def to_json(self) -> dict[str, object]:
        """The path as plain data, for the journal."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, object]) -> Path:
        """Read what `to_json` wrote."""
        raw = dict(data)
        positions = [_position(p) for p in raw.pop("positions")]  # type: ignore[attr-defined]
        steps = [Step(**{**s, "act": Act(s["act"])}) for s in raw.pop("steps")]  # type: ignore[attr-defined]
        return Path(**raw, positions=positions, steps=steps).check_invariants()  # type: ignore[arg-type]

    @property
    def digest(self) -> str:
        """What binds `plan` to `release`: the same digest is the same path."""
        text = json.dumps(self.to_json(), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _position(raw: Mapping[str, object]) -> Position:
    values: dict[str, object] = dict(raw)
    values["kind"] = Kind(str(raw["kind"]))
    values["old"] = Presence(str(raw["old"]))
    values["new"] = Presence(str(raw["new"]))
    values["workers"] = tuple(Lane(lane) for lane in raw["workers"])  # type: ignore[attr-defined]
    values["schedule"] = Lane(str(raw["schedule"]))
    values["flags_on"] = tuple(raw["flags_on"])  # type: ignore[arg-type]
    values["schema"] = {t: Stage(s) for t, s in raw["schema"].items()}  # type: ignore[attr-defined]
    return Position(**values)  # type: ignore[arg-type]
