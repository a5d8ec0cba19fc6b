"""Where a release stands, as one value: the same words in the terminal, in JSON and in the journal.

Rule: the leading walker writes it every turn into the state directory, so that it can be read while the
database is down. Every wait names its reason and what releases it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path as File

from crossfade.host.files import read_json, write_json
from crossfade.model.change import Stage
from crossfade.model.path import Path
from crossfade.model.ports import FULL_BP
from crossfade.model.walker import ENDED, Phase, State, Zone, zone

STALE_AFTER_S = 5.0
ATTACH_MS = 200  # a rename in one transaction, and asking for its lock


@dataclass(frozen=True)
class Status:
    """One look at a release. Shares are percent, for people."""

    at: str
    pid: int
    epoch: int
    leading: bool
    release: str = ""
    service: str = ""
    old_version: str = ""
    new_version: str = ""
    phase: str = ""
    position: str = ""
    index: int = 0
    last_index: int = 0
    wanted_share: float = 0.0
    set_share: float | None = None  # what the proxy says
    measured_share: float | None = None  # of the last half minute's requests
    measured_requests: int = 0
    old_healthy: str = ""
    new_healthy: str = ""
    fuse: str = ""
    schema: str = ""  # where the change stands, by its name
    why: str = ""  # why it waits, or what it does
    released_by: str = ""  # what ends the wait
    cause: str = ""
    by: str = ""
    way_back: str = ""
    way_back_s: float | None = None  # predicted from measurements
    signals: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()
    stood_s: float = 0.0
    journal: str = "reachable"
    reply: str = ""  # to what a person asked for last
    data: Mapping[str, object] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.phase in {str(phase) for phase in ENDED}

    @property
    def outcome(self) -> str:
        """completed, rolled_back, abandoned, held, halted; empty while it walks."""
        if self.phase == Phase.STRANDED:
            return str(Phase.HALTED)
        named = {*map(str, ENDED), str(Phase.HELD), str(Phase.HALTED)}
        return self.phase if self.phase in named else ""


def status_file(state_dir: File) -> File:
    """Where the walker leaves its status."""
    return state_dir / "status.json"


def write_status(state_dir: File, status: Status) -> None:
    """Replace the status, whole."""
    write_json(status_file(state_dir), asdict(status))


def read_status(state_dir: File) -> Status | None:
    """The last status that was written, or None where no walker ever ran here."""
    raw = read_json(status_file(state_dir))
    if raw is None:
        return None
    known = {entry.name for entry in fields(Status)}
    raw = {key: value for key, value in raw.items() if key in known}  # another version may have written it
    raw["signals"] = tuple(raw.get("signals", ()))  # type: ignore[arg-type]
    raw["blind"] = tuple(raw.get("blind", ()))  # type: ignore[arg-type]
    return Status(**raw)  # type: ignore[arg-type]


def released_by(path: Path, state: State, stood_s: float, min_s: float, cap_s: float, at_cap: str) -> str:
    """What ends the present wait, in words."""
    match state.phase:
        case Phase.STANDING if state.index < len(path.steps) and not path.steps[state.index].gated:
            return f"{path.positions[state.index + 1].name} at once"
        case Phase.STANDING if state.index < len(path.steps):
            following = path.positions[state.index + 1].name
            if stood_s < min_s:
                return f"{following} after {min_s - stood_s:.0f} s more and a passing verdict"
            return f"{following} once the verdict passes; at {cap_s:.0f} s: {at_cap}"
        case Phase.PAUSED:
            return "crossfade resume (or rollback)"
        case Phase.HELD:
            return "the missing signal; or crossfade resume, crossfade rollback"
        case Phase.HALTED:
            return "a person: crossfade resume or crossfade rollback"
        case Phase.STRANDED:
            return "a person: mend the cause, then crossfade resume"
        case Phase.STEPPING | Phase.ATTACHING | Phase.RESTORING | Phase.RETURNING | Phase.UNDOING | Phase.CLEARING:
            return "the act's end"
        case _:
            return ""


def way_back(path: Path, state: State, boot_ms: int | None, fader_ms: int) -> tuple[str, float | None]:
    """The way back from here in words, and its predicted seconds where it was ever measured."""
    match zone(path, state.index):
        case Zone.QUIET:
            expanded = path.change_id and path.stage(state.index) is not Stage.BASE
            undo = "; crossfade abandon also takes back what was added to the schema" if expanded else ""
            return f"no customer is on the new version; stop it{undo}", 0.0
        case Zone.SHARED | Zone.FULL:
            return "fader to the old slot, at once", fader_ms / 1000
        case Zone.ALONE:
            if not path.old_version:
                return "none: there is no earlier version", None
            seconds = None if boot_ms is None else (boot_ms + fader_ms) / 1000
            return f"start {path.old_version}, then fader to the old slot", seconds
        case Zone.HIDDEN:
            seconds = None if boot_ms is None else (boot_ms + fader_ms + ATTACH_MS) / 1000
            return f"attach the old shape, start {path.old_version}, then fader to the old slot", seconds
        case Zone.STILL:
            return path.steps[-1].way_back or "none: the attic keeps what nothing else tells", None
    return "", None


def wanted_share(path: Path, state: State) -> float:
    """The share the present phase wants, in percent."""
    if state.phase in (Phase.RETURNING, Phase.UNDOING, Phase.CLEARING, Phase.ROLLED_BACK, Phase.ABANDONED):
        return 0.0
    index = state.index
    if state.phase is Phase.STEPPING:
        index += 1
    return path.positions[index].new_share_bp * 100 / FULL_BP
