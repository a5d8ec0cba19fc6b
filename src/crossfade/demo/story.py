"""The demo's stories: real releases of a real service under load, told as they happen.

Rule: nothing here helps crossfade. A story asks for a release as a person would, and what is reported comes
from the customers' ledgers and from the journal, never from what crossfade says of itself.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from crossfade.cli.live import line
from crossfade.cli.release import begin_release
from crossfade.demo.ledger import Ledger
from crossfade.demo.load import Load
from crossfade.demo.stage import Stage
from crossfade.demo.watch import ShapeWatch
from crossfade.journal.spool import Spool
from crossfade.model.ports import Row, Slot
from crossfade.walk.begin import make_plan
from crossfade.walk.site import CONTROLLER
from crossfade.walk.status import Status, read_status

LONG_REQUEST_S = 10.0
LOOK_EVERY_S = 1.0
COMMAND_MAX_S = 300.0
OUTCOMES = ("completed", "rolled_back", "abandoned", "held", "halted")


@dataclass(frozen=True)
class Told:
    """One release as its customers and the journal saw it: the line of the summary, and of the JSON."""

    from_version: str
    to: str
    outcome: str
    by: str | None
    requests: int
    failed: int
    failed_on_new_lane: int
    lost_writes: int
    seconds_to_verdict: float | None
    seconds_verdict_to_old_only: float | None
    cause: str = ""
    partial: Mapping[str, int] = field(default_factory=dict)  # values without a counterpart, by column
    locks: Mapping[str, float] = field(default_factory=dict)  # of the schema's steps, milliseconds
    commands: Sequence[tuple[str, int]] = ()  # what a person ran afterwards, with its exit code
    shapes: Sequence[str] = ()  # the versions' shapes that are in sight at the end
    as_told: bool = True  # whether it ended as the story says

    def to_json(self) -> dict[str, object]:
        """With the names of the contract."""
        values = asdict(self)
        values.pop("cause")
        return {"from": values.pop("from_version"), **values}


@dataclass(frozen=True)
class Story:
    """A release to be told. `then`: what a person runs when it is over; `leaves`: the shapes in sight after that."""

    version: str
    says: str
    good: bool = False
    shares: tuple[float, ...] = (25, 50, 100)
    long_request: bool = False
    stop_controller_at: str = ""  # a position's name: the controller is stopped there for 20 s
    then: tuple[str, ...] = ()
    gives_up: str = ""  # the column whose own values one of these commands takes out of sight
    leaves: tuple[str, ...] = ()  # empty: not asked


class Teller:
    """Tells stories on one stage, one after the other."""

    def __init__(self, stage: Stage, load: Load, say: Callable[[str], None]) -> None:
        self._stage, self._load, self._say = stage, load, say
        self._clock = stage.clock
        self._watch = ShapeWatch(load.directory, stage.admin_url)

    def first_start(self, version: str) -> None:
        """Bring the first version up: nothing serves yet, so nobody can be hurt."""
        site = self._stage.site()
        spool = Spool(site.state_dir / "spool.jsonl", self._clock)
        release = begin_release(site, make_plan(site, spool, version), version)
        status = self._follow(release, Story(version, ""))
        if status.outcome != "completed":
            raise RuntimeError(f"the first version did not start: {status.cause}")

    def tell(self, story: Story) -> Told:
        """Release it under load, wait for the end, and count."""
        self._stage.configure(story.shares)
        site = self._stage.site()
        spool = Spool(site.state_dir / "spool.jsonl", self._clock)
        plan = make_plan(site, spool, story.version)
        self._say(f"\n{plan.path.old_version} -> {story.version}: {story.says}")
        self._load.mark(f"begin {story.version}")
        release = begin_release(site, plan, story.version)
        status = self._follow(release, story)
        self._clock.sleep(2.5)  # answers that were under way reach the ledger
        commands = [(words, self._run(words)) for words in story.then]
        if story.gives_up:
            self._watch.give_up(story.gives_up, self._clock.now().timestamp())
        self._load.mark(f"end {story.version}")
        ledger = self._load.so_far().window(f"begin {story.version}", f"end {story.version}")
        rows = list(spool.rows(release))
        told = self._count(story, status, ledger, rows, plan.current.slot.other)
        told = self._after(story, told, commands, lock_times(rows))
        for text in lock_lines(rows):
            self._say(f"    {text}")
        return told

    def _run(self, words: str) -> int:
        """Run a command of crossfade's as a person does, and show what it said last."""
        self._say(f"  $ crossfade {words}")
        argv = [sys.executable, "-m", "crossfade.cli.main", "--config", str(self._stage.config_file), *words.split()]
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=COMMAND_MAX_S, stdin=subprocess.DEVNULL, check=False
        )
        said = done.stdout if done.returncode == 0 and done.stdout else done.stderr
        for text in said.splitlines()[-3:]:
            self._say(f"    {text}")
        while words == "abandon" and done.returncode == 0:  # it is asked for, and goes on by itself
            status = read_status(self._stage.site().state_dir)
            if status is not None and status.outcome != "rolled_back" and status.outcome in OUTCOMES:
                self._say("  " + line(status))
                return int(status.outcome != "abandoned")
            self._clock.sleep(0.1)
        return done.returncode

    def _after(self, story: Story, told: Told, commands: Sequence[tuple[str, int]], locks: Mapping[str, float]) -> Told:
        """Add what the database holds of it, in the words of each version's shape, and what the schema's steps took."""
        partial = self._watch.release_ends()
        lost = len(self._watch.lost)
        self._watch.lost.clear()
        shapes = self._watch.shapes()
        ended = told.outcome == "completed" and not told.failed if story.good else told.outcome == "rolled_back"
        as_told = ended and not any(code for _, code in commands) and shapes == (story.leaves or shapes) and not lost
        looked = ", ".join(f"{shape} {number}" for shape, number in self._watch.compared.items())
        self._watch.compared.clear()
        self._say(f"  = orders looked at in the shape of {looked}; lost or wrong: {lost}")
        for column, number in partial.items():
            self._say(f"    {number} values that a newer version wrote have no counterpart in {column}")
        return replace(
            told,
            lost_writes=lost,
            partial=partial,
            locks=locks,
            commands=commands,
            shapes=shapes,
            as_told=as_told,
        )

    def _follow(self, release: str, story: Story) -> Status:
        told = position = ""
        long_sent = stopped = False
        look_at_s = 0.0
        while True:
            status = read_status(self._stage.site().state_dir)
            if status is None or status.release != release:
                self._clock.sleep(0.05)
                continue
            key = f"{status.phase} {status.position}"
            if key != told:
                told = key
                self._say("  " + line(status))
            exposed = status.position.startswith("shifted")
            if story.long_request and exposed and not long_sent:
                self._load.long_request(LONG_REQUEST_S)
                long_sent = True
            if story.stop_controller_at == status.position and not stopped:
                self._stop_controller()
                stopped = True
            now_s = self._clock.monotonic_s()
            if status.position != position or now_s >= look_at_s:
                self._watch.look(position)  # it has just ended, or goes on
                position, look_at_s = status.position, now_s + LOOK_EVERY_S
            if status.outcome in OUTCOMES:
                return status
            self._clock.sleep(0.05)

    def _stop_controller(self) -> None:
        supervisord = self._stage.site().supervisord()
        assert supervisord is not None
        supervisord.stop_part(CONTROLLER)
        self._say("  the controller is stopped for 20 s; only the fuse in the proxy watches now")
        self._clock.sleep(20)
        supervisord.start_part(CONTROLLER)

    def _count(self, story: Story, status: Status, ledger: Ledger, rows: list[Row], new: Slot) -> Told:
        first_share = _first(rows, lambda data: data.get("act") == "set share" and data.get("ok") is True)
        decided = _first(rows, lambda data: data.get("act") in ("fader to old", "start old") and "event" in data)
        to_old = _first(rows, lambda data: "decided_to_old_only_ms" in data)
        by = status.by or None
        if status.outcome == "completed":
            by = "walker"
        to_verdict = _between(first_share, decided)
        if by == "fuse" and first_share is not None:
            lasts = [sent.sent_at for sent in ledger.of(slot=str(new))]
            to_verdict = max(lasts) - first_share.at.timestamp() if lasts else None
        told = Told(
            from_version=status.old_version,
            to=story.version,
            outcome=status.outcome,
            by=by,
            requests=ledger.requests,
            failed=ledger.failed,
            # A request that got no answer names no slot; the old version answers all, so it was on the new lane.
            failed_on_new_lane=ledger.failed_on(str(new)) + len(ledger.failed_without_slot),
            lost_writes=0,  # `_after` counts them
            seconds_to_verdict=None if to_verdict is None else round(to_verdict, 2),
            seconds_verdict_to_old_only=(
                None if to_old is None or by == "fuse" else int(str(to_old.data["decided_to_old_only_ms"])) / 1000
            ),
            cause=status.cause,
        )
        self._say(f"  = {told.outcome} by {told.by}: {told.failed} of {told.requests} requests failed")
        return told


def lock_times(rows: Iterable[Row]) -> dict[str, float]:
    """How long the schema's steps waited for locks and held them, by the journal: number, medians and maxima."""
    steps = [step for row in rows for step in _steps(row.data)]
    times: dict[str, float] = {"steps": len(steps)} if steps else {}
    for name in ("lock_wait_ms", "held_ms", "commit_ms"):
        values = [float(str(step[name])) for step in steps if step.get(name) is not None]
        if values:
            times[f"{name}_median"] = round(statistics.median(values), 1)
            times[f"{name}_max"] = round(max(values), 1)
    return times


def lock_lines(rows: Iterable[Row]) -> list[str]:
    """For each step of the schema that holds a lock which blocks others: how long it waited for it, and held it."""
    steps = [step for row in rows for step in _steps(row.data) if float(str(step.get("held_ms") or 0))]
    held = [float(str(step["held_ms"])) for step in steps]
    lines = [
        f"{step['unit']} held its locks for {step['held_ms']:g} ms, after {step['lock_wait_ms']:g} ms of asking;"
        f" the commit took {step['commit_ms']:g} ms"
        for step in steps
    ]
    return [*lines, f"held: median {statistics.median(held):.1f} ms, most {max(held):.1f} ms"] if held else []


def _steps(data: Mapping[str, object]) -> list[Mapping[str, object]]:
    steps = data.get("steps")
    return [step for step in steps if isinstance(step, Mapping)] if isinstance(steps, list) else []


def _first(rows: list[Row], wanted: Callable[[Mapping[str, object]], bool]) -> Row | None:
    return next((row for row in rows if wanted(row.data)), None)


def _between(since: Row | None, until: Row | None) -> float | None:
    if since is None or until is None:
        return None
    seconds: datetime = until.at
    return (seconds - since.at).total_seconds()
