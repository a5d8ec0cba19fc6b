"""From the requirement and a version to everything one lane needs to run.

Rule: a lane's description holds references, never secrets, so it may stand in the journal; it is written
there when a release is planned, so the way back starts the old version exactly as it ran, whatever the
configuration says by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from crossfade.model.ports import LaneSpec, ProcessSpec, Slot
from crossfade.model.requirement import Config, Process
from crossfade.model.version import Version

HOST = "127.0.0.1"


def lane_spec(config: Config, slot: Slot, version: Version) -> LaneSpec:
    """The lane of `version` in `slot`, for every role."""
    processes = [_process(config, slot, version, process) for process in config.processes.values()]
    return LaneSpec(slot, version.name, version.digest, processes)


def _process(config: Config, slot: Slot, version: Version, process: Process) -> ProcessSpec:
    directory = str(Path(version.directory) / process.directory)
    names = {"{host}": HOST, "{instance}": "{index}"}
    for name, database in config.databases.items():
        names["{database." + name + "}"] = database.app_url_for(slot)

    def filled(text: str) -> str:
        for placeholder, value in names.items():
            text = text.replace(placeholder, value)
        return text

    env = {key: filled(value) for key, value in process.env.items()}
    env.setdefault("PGAPPNAME", f"{config.service.name}-{slot}")  # libpq's; the census reads it
    if config.database.app_password:
        env.setdefault("PGPASSWORD", config.database.app_password)
    return ProcessSpec(
        role=process.role or process.name,
        command=[filled(part) for part in process.command],
        directory=directory,
        env=env,
        instances=process.instances,
        takes_port=process.takes_port,
        stop_timeout_s=process.stop_timeout_s,
    )


def lane_to_json(lane: LaneSpec) -> dict[str, object]:
    """The lane as plain data, for the journal."""
    return asdict(lane)


def lane_from_json(raw: Mapping[str, object] | None) -> LaneSpec | None:
    """Read what `lane_to_json` wrote."""
    if raw is None:
        return None
    processes = [ProcessSpec(**process) for process in raw["processes"]]  # type: ignore[attr-defined]
    return LaneSpec(Slot(str(raw["slot"])), str(raw["version"]), str(raw["digest"]), processes)
