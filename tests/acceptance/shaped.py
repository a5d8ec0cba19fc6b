"""A shop whose releases change its database: followed position by position, every order compared in every shape.

    with shaped.customers() as story:
        release = story.begin("v7")
        story.to(release, "shifted(50)")

The block ends with the customers' word: no request failed, no order is lost or wrong in any shape in sight.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from crossfade.demo.stage import Stage
from crossfade.demo.watch import ShapeWatch
from crossfade.model.ports import Row, RowKind
from crossfade.model.walker import ENDED
from crossfade.walk.loop import read_release
from crossfade.walk.schema_side import live_catalog
from crossfade.walk.status import Status, read_status

RATE_PER_S = 30.0  # two cores carry it beside whatever else they do
WITHIN_S = 150.0
# Limits that tell nothing of a busy machine: what is under test here is the schema, not the judge.
CALM = {
    "slow_ms = 1000": "slow_ms = 2500",
    "slow_ms = 300": "slow_ms = 2500",
    "hang_ms = 2000": "hang_ms = 3000",
    "availability = 0.98": "availability = 0.93",  # shown sooner; a single failed request fails the test all the same
    "error_ratio_max = 0.02": "error_ratio_max = 0.06",
}

# A rehearsal takes its time and has tests of its own; a service whose releases are rehearsed clears its `tail`.
UNREHEARSED = """
[[waiver]]
what = "schema:rehearsal"
name = "the test"
reason = "rehearsals have tests of their own"
expires = {tomorrow}
"""


def unrehearsed(stage: Stage) -> str:
    """The waiver, in force for the stage's configuration."""
    tomorrow = stage.config_file.read_text().split("expires = ", 1)[1].split("\n", 1)[0]
    return UNREHEARSED.format(tomorrow=tomorrow)


@dataclass
class Story:
    """What customers see while releases walk. `traffic` has the ledger once the block is over."""

    service: Any
    traffic: Any
    watch: ShapeWatch
    began_at: float = 0.0  # the last release, seconds since the epoch
    _looked_s: float = 0.0
    _position: str = ""

    def begin(self, version: str) -> str:
        """Begin a release and leave it to itself."""
        self._position, self.began_at = "", time.time()
        return str(self.service.begin(version))

    def to(self, release: str, *names: str, within_s: float = WITHIN_S) -> Status:
        """Follow the release until it is at one of these positions or phases; compare orders at each position."""
        until_s = time.monotonic() + within_s
        while True:
            status = read_status(self.service.state_dir)
            mine = status is not None and status.release == release
            if status is not None and mine:
                self._look(status.position)
                if {status.phase, status.position} & set(names):
                    return status
                halted = status.outcome in ("halted", "held") and "halted" not in names
                assert not halted, f"{status.outcome} at {status.position}: {status.why} {status.cause}"
                ended = status.ended and time.monotonic() > until_s - within_s + 3
                assert not ended, f"{status.outcome} before {names}: {status.cause}"
            assert time.monotonic() < until_s, f"not within {within_s:g} s: {names}; {status}"
            time.sleep(0.05)

    def ended(self, release: str) -> Status:
        """Follow it to its end."""
        return self.to(release, *map(str, ENDED))

    def back(self, release: str, ask: str = "rollback") -> Status:
        """Come back by command, and wait until it is over."""
        told = self.service.crossfade(ask)
        assert told.code == 0, told.err
        outcome = {"rollback": "rolled_back", "abandon": "abandoned"}[ask]
        status = self.to(release, outcome)
        assert (status.outcome, status.by) == (outcome, "person"), status
        return status

    def _look(self, position: str) -> None:
        if position != self._position or time.monotonic() > self._looked_s:
            self.watch.look(self._position)
            self._position, self._looked_s = position, time.monotonic() + 1.0


@dataclass
class Shaped:
    """The service on its own stage. `base` is the fingerprint of the schema that no change has touched."""

    service: Any
    base: str = ""
    partial: Mapping[str, int] = field(default_factory=dict)  # of the last block of customers

    def set_up(self) -> None:
        """With v1 serving the base schema."""
        self.set_the_stage()
        self.first_release()

    def set_the_stage(self) -> None:
        """What the shop has before it meets crossfade."""
        self.service.edits = CALM
        self.service.stage.set_up((50, 100))
        self.service.tail = unrehearsed(self.service.stage)

    def first_release(self) -> None:
        """v1, for the first time."""
        self.service.configure()
        told = self.service.crossfade("release", "v1", timeout_s=120)
        assert told.code == 0, told.err
        self.base = self.fingerprint()

    def mend(self) -> None:
        """Back to v1, or a version of the same shape, on the base schema. Raises where that does not come about."""
        self.service.tail = unrehearsed(self.service.stage)
        self.service.mend()
        release = read_release(self.service.rows())
        if release is not None and release.path.change_id and str(release.state.phase) != "abandoned":
            told = self.service.crossfade("abandon")
            assert told.code == 0, told.err
            self.service.until(release.id, "abandoned")
        assert self.fingerprint() == self.base

    @contextmanager
    def customers(self, rate_per_s: float = RATE_PER_S, *, failed_by: str = "") -> Iterator[Story]:
        """Customers and their ledger; at the end no order is lost or wrong, and nothing failed but by that version."""
        with self.service.customers(rate_per_s) as traffic:
            watch = ShapeWatch(traffic.load.directory, self.service.stage.admin_url)
            story = Story(self.service, traffic, watch)
            yield story
            time.sleep(1.5)
        self.partial = watch.release_ends()
        told = ", ".join(f"{shape} {number}" for shape, number in watch.compared.items())
        print(f"{traffic.ledger.requests} requests; orders looked at: {told}; no counterpart: {dict(self.partial)}")
        assert list(watch.lost.values()) == []
        assert [sent for sent in traffic.ledger.failures if sent.version != failed_by or not failed_by] == []

    def fingerprint(self) -> str:
        """What the application's schema is."""
        return live_catalog(self.service.site).fingerprint()

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the database, as its superuser."""
        with psycopg.connect(self.service.stage.admin_url, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def do(self, statement: str) -> None:
        """Run a statement as the database's superuser."""
        with psycopg.connect(self.service.stage.admin_url, autocommit=True) as connection:
            connection.execute(statement.encode())

    def attic(self) -> dict[str, int]:
        """How many rows each table of the attic keeps."""
        tables = self.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'crossfade_attic' ORDER BY 1")
        return {name: self.ask(f'SELECT count(*) FROM crossfade_attic."{name}"')[0][0] for (name,) in tables}

    def changes(self) -> list[Mapping[str, Any]]:
        """What `crossfade schema status` says."""
        told = self.service.crossfade("schema", "status", "--output", "json")
        assert told.code == 0, told.err
        return list(told.data["changes"])

    def phase(self) -> str:
        """The phase of the newest release, by the journal."""
        release = read_release(self.service.rows())
        return "" if release is None else str(release.state.phase)

    def results(self, release: str) -> list[Row]:
        """What was done, in order."""
        return [row for row in self.service.rows(release) if row.kind is RowKind.RESULT]

    def acts(self, release: str) -> list[str]:
        """The acts that came through, in order."""
        return [str(row.data["act"]) for row in self.results(release) if row.data.get("ok") is True]

    def steps(self, *releases: str) -> list[Mapping[str, Any]]:
        """The steps of the schema's acts, with their times."""
        return [
            step
            for release in releases
            for row in self.results(release)
            for step in row.data.get("steps") or ()  # type: ignore[attr-defined]
        ]


@dataclass
class ShapedStages:
    """The stage in use by the tests that come back to the base schema; replaced where it cannot be mended."""

    make: Callable[[], Any]
    shaped: Shaped | None = None

    def ready(self) -> Shaped:
        """With v1, or v1b, serving the base schema, and no release under way."""
        if self.shaped is not None:
            try:
                self.shaped.mend()
            except Exception as error:
                print(f"the stage is given up: {error!r}")
                self.strike()
        if self.shaped is None:
            self.shaped = Shaped(self.make())
            self.shaped.set_up()
        return self.shaped

    def strike(self) -> None:
        """Stop everything and remove it."""
        shaped, self.shaped = self.shaped, None
        if shaped is not None:
            shaped.service.stage.strike(keep=False)
