"""The ports: what the core asks of the world, as protocols of a few methods and plain values.

Rule: a backend is one class in one file that satisfies one protocol here. The core knows slots and
lanes; it never knows HAProxy, supervisor or psycopg. Every method is idempotent: it is called again
after a crash without anybody knowing whether the first call had come through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from crossfade.model.change import Change, Stage

FULL_BP = 10_000  # shares are basis points: 1 = 0.01 %
GoOn = Callable[[], bool]
Say = Callable[[str], None]
Measured = Mapping[str, object]


class Slot(StrEnum):
    """A neutral place for one lane. Which slot is old is journal data, so nothing is renamed."""

    LEFT = "left"
    RIGHT = "right"

    @property
    def other(self) -> Slot:
        """The opposite slot."""
        return Slot.RIGHT if self is Slot.LEFT else Slot.LEFT


@dataclass(frozen=True)
class FuseLimit:
    """When the proxy returns all traffic by itself: both must hold in `window_s` seconds."""

    failures: int
    ratio: float
    window_s: int = 10


@dataclass(frozen=True)
class Fader:
    """Where traffic goes. One number, so the shares of the two slots always sum to the whole."""

    old: Slot
    new_share_bp: int
    salt: str
    fuse: FuseLimit | None = None  # None: disarmed, and a latched trip is cleared
    pin: str = ""  # the secret a smoke request carries; empty: no request is pinned

    def check_invariants(self) -> Fader:
        """Assert I5 (shares sum to the whole) and hand the value back."""
        assert 0 <= self.new_share_bp <= FULL_BP, self
        return self


@dataclass(frozen=True)
class Address:
    """Where one instance listens."""

    host: str
    port: int


@dataclass(frozen=True)
class Member:
    """One place of a slot as the proxy sees it. `state` is up, down, drain or maint."""

    place: str
    address: Address
    state: str
    in_flight: int


@dataclass(frozen=True)
class InFlight:
    """A request the proxy has accepted and not yet answered. `key` is stable for its life."""

    key: str
    slot: Slot
    age_ms: int
    answering: bool = False  # its headers were sent: a download, a stream, a websocket; not a hung request
    method: str = ""
    path: str = ""  # without the query; empty where the proxy cannot tell
    pinned: bool = False


@dataclass(frozen=True)
class ProxyFacts:
    """What the proxy says now. `fader` is what is in force in the running process, not what was asked."""

    fader: Fader
    fuse_tripped: bool
    members: Mapping[Slot, Sequence[Member]]
    in_flight: Sequence[InFlight]
    requests_total: int  # requests that ended since the proxy started; completeness of records is held to it
    started_at: str  # changes when the proxy was restarted; "<pid>@<when>" where it is a process of ours


class Proxy(Protocol):
    """The fader. Files that survive a restart are written before the running process is told."""

    @property
    def knows_members(self) -> bool:
        """Whether `observe` tells which instances take requests; else the runtime is asked."""

    def set_fader(self, fader: Fader) -> None:
        """Put the fader, fuse, salt and pin in force; idempotent; all at once for the share."""

    def set_members(self, slot: Slot, addresses: Sequence[Address]) -> None:
        """Make exactly these instances the members of the slot; requests in flight finish."""

    def set_mark(self, mark: str) -> None:
        """Stamp every record from here on with where the release stands."""

    def observe(self) -> ProxyFacts:
        """Read what is in force. Raises CrossfadeError `proxy-unreachable`."""


@dataclass(frozen=True)
class Instance:
    """One process of a lane."""

    name: str
    role: str
    address: Address | None
    state: str  # starting, running, stopping, stopped, failed
    pid: int | None = None
    started_at: float | None = None  # seconds since the epoch


@dataclass(frozen=True)
class ProcessSpec:
    """One role's processes in one lane, ready to start. `env` may hold references, never secrets."""

    role: str
    command: Sequence[str]
    directory: str
    env: Mapping[str, str]
    instances: int
    takes_port: bool
    stop_timeout_s: float


@dataclass(frozen=True)
class LaneSpec:
    """Everything needed to run one version in one slot."""

    slot: Slot
    version: str
    digest: str
    processes: Sequence[ProcessSpec]


@dataclass(frozen=True)
class LaneFacts:
    """What runs in a slot now; `version` and `digest` are those the lane was started with."""

    slot: Slot
    version: str | None
    digest: str | None
    instances: Sequence[Instance] = ()


class Runtime(Protocol):
    """Where processes run; they are never children of crossfade."""

    def start(self, lane: LaneSpec) -> None:
        """Start the lane unless exactly it runs already. Returns before it is ready."""

    def stop(self, slot: Slot) -> None:
        """Ask every process of the lane to end, wait its stop timeout, then end it."""

    def observe(self) -> Mapping[Slot, LaneFacts]:
        """Read what runs. Raises CrossfadeError `runtime-unreachable`."""

    def log_tail(self, slot: Slot, lines: int) -> str:
        """The last lines the lane wrote, for the error that quotes them."""


@dataclass(frozen=True)
class Record:
    """One answered request, as the proxy saw it. `assigned` differs from `served` on fallback."""

    at: float  # seconds since the epoch, when the request was accepted
    assigned: Slot
    served: Slot | None  # None: nobody answered; the proxy did
    instance: str
    share_bp: int  # the share of the assigned draw's new slot in force at assignment
    unit: str  # hash of the routing unit; empty where the request carried none
    method: str
    path: str
    status: int
    ended_by: str  # two letters of the proxy's termination state
    headers_us: int  # microseconds until the response's headers; -1 where none came
    total_ms: int
    retries: int
    pinned: bool
    position: str  # the mark in force: release id and position index
    key: str  # matches InFlight.key


@dataclass(frozen=True)
class SourceHealth:
    """Whether the stream can be judged. `missing` counts requests the proxy ended without a record here."""

    connected: bool
    lag_s: float
    missing: int
    detail: str = ""


class RecordSource(Protocol):
    """A stream of records. Reading it never blocks."""

    def take(self) -> Sequence[Record]:
        """Records that came since the last call, oldest first."""

    def seen(self) -> int:
        """How many records came; read before the proxy is observed, and handed to `observed_total`."""

    def observed_total(self, total: int, started_at: str, seen: int) -> None:
        """What the proxy itself has counted; completeness is held to it."""

    def health(self) -> SourceHealth:
        """Whether the stream is complete enough to be judged."""

    def close(self) -> None:
        """Leave the stream to somebody else."""


class Clock(Protocol):
    """Time as a parameter."""

    def monotonic_s(self) -> float:
        """Seconds that only go forward."""

    def now(self) -> datetime:
        """Wall-clock time, UTC, for people and records only."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class RowKind(StrEnum):
    """What a journal row says."""

    PLANNED = "planned"
    EVENT = "event"  # a transition without an act
    INTENT = "intent"
    RESULT = "result"
    VERDICT = "verdict"
    REQUEST = "request"  # a person asked for something
    NOTE = "note"


@dataclass(frozen=True)
class Row:
    """One journal row. `state` is the walker's state after it, so the last row alone tells where it stands."""

    seq: int  # 1, 2, 3 ... within the service; given by the spool
    at: datetime
    release: str
    epoch: int
    kind: RowKind
    state: Mapping[str, object]
    data: Mapping[str, object] = field(default_factory=dict)


class Journal(Protocol):
    """The durable record: spool first (fsynced), database next."""

    def append(self, release: str, kind: RowKind, state: Mapping[str, object], data: Mapping[str, object]) -> Row:
        """Write a row to spool and database. Raises `journal-unreachable`; then nothing may be acted on."""

    def append_local(self, release: str, kind: RowKind, state: Mapping[str, object], data: Mapping[str, object]) -> Row:
        """Write a row to the spool only; only the fader to the old slot may follow it. Copied up later."""

    def copy_up(self) -> None:
        """Bring the database up to the spool. Raises `journal-unreachable`."""

    def settled(self) -> bool:
        """Whether the database has every row of the spool. Does not ask the database."""

    def rows(self, release: str | None = None) -> Sequence[Row]:
        """Rows in order, from the spool (which holds at least all that the database holds)."""


class Lease(Protocol):
    """One walker per service (I8)."""

    def acquire(self) -> int:
        """Become the leader and return the epoch. Raises `lease-held` with who leads since when."""

    def leading(self) -> bool:
        """Whether acts may still be done: judged on the monotonic clock, before the lease ends."""

    def renew(self) -> bool:
        """Try to renew; False where the database did not answer or another leads."""

    def release(self) -> None:
        """Give it up, on a clean exit."""


@dataclass(frozen=True)
class Standing:
    """One change as its database knows it. `since` is when it reached its stage."""

    change: Change
    stage: Stage
    version: str  # the version it was made for
    since: datetime
    partial_counts: Mapping[str, int] = field(default_factory=dict)  # what triggers recorded, where it was asked for


@dataclass(frozen=True)
class SchemaFacts:
    """What the database says of its changes now."""

    open: Standing | None  # expanded or backfilled, neither detached nor undone; at most one
    detached: Sequence[Standing] = ()  # waiting for purge, oldest first
    gone: Sequence[str] = ()  # ids of changes that were purged: what they wanted is simply there


class SchemaEngine(Protocol):
    """The schema's own track. Acts are idempotent, resume where they were, and stop soon when `go_on` says no.

    `say` takes what a person should see of the progress. Every act returns what was measured, for the journal.
    A stopped act raises `schema-stopped`; what it had done is in the database's own record, and is found there.
    """

    def facts(self, *, counted: bool = False) -> SchemaFacts:
        """Read where every change stands; `counted`: with what was recorded, which takes time when that is much.

        Raises `schema-unreachable`.
        """

    def lanes(self, roles: Mapping[str, str]) -> None:
        """Say which shape each lane's role writes, `old` or `new`: for writes that do not tell by themselves."""

    def expand(self, change: Change, version: str, go_on: GoOn, say: Say) -> Measured:
        """BASE to BOTH."""

    def backfill(self, change: Change, go_on: GoOn, say: Say) -> Measured:
        """BOTH to EQUAL: fill, settle, compare. At EQUAL: compare again. Raises `schema-shapes-differ`."""

    def record(self, change: Change, go_on: GoOn, say: Say) -> Measured:
        """Write the migration tool's own rows; the stage stays."""

    def detach(self, change: Change, go_on: GoOn, say: Say) -> Measured:
        """EQUAL to HIDDEN."""

    def attach(self, change: Change, go_on: GoOn, say: Say) -> Measured:
        """HIDDEN to EQUAL: the way back from detach."""

    def undo(self, change: Change, go_on: GoOn, say: Say) -> Measured:
        """BOTH or EQUAL, or what a failed expand left, to BASE; counts and keeps what only the new version wrote."""

    def purge(self, change: Change, go_on: GoOn, say: Say) -> Measured:
        """HIDDEN to GONE; what is dropped is in the attic before."""
