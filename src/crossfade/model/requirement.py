# ruff: noqa: RUF009 - setting() is dataclasses.field with a sentence
"""What a team promises about its service, and the parts it is kept with: `crossfade.toml` as values.

Rule: a key exists because it is a field of a dataclass here or in `settings/promise.py`, `settings/parts.py`
and `settings/staging.py`, with its sentence, unit, bounds and default; nothing else describes the file. Times
carry their unit in the key. Values are frozen: whoever holds a `Config` holds what was checked. What is NOT
here: reading the file (`settings/`) and the arithmetic between the promises (`contradictions.py`).

Invariant: a `Config` that came from `parse_config` has no unknown key, no value out of bounds, no literal
password, and no reference to something the file does not define.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from crossfade.model.settings.field import setting
from crossfade.model.settings.parts import (
    ROLES,
    Database,
    Dependency,
    Process,
    Runtime,
    RuntimeCommands,
    Signals,
    Traffic,
    TrafficCommands,
    Versions,
)
from crossfade.model.settings.promise import (
    HARMLESS,
    METHODS,
    WRITING_METHODS,
    Endpoint,
    Queue,
    Requirement,
    Service,
    Smoke,
    Workflow,
)
from crossfade.model.settings.staging import Staging

__all__ = [
    "HARMLESS",
    "METHODS",
    "ROLES",
    "WRITING_METHODS",
    "Config",
    "Database",
    "Dependency",
    "Endpoint",
    "Process",
    "Queue",
    "Reader",
    "Requirement",
    "Runtime",
    "RuntimeCommands",
    "Service",
    "Signals",
    "Smoke",
    "Staging",
    "Traffic",
    "TrafficCommands",
    "Versions",
    "Waiver",
    "Workflow",
]


@dataclass(frozen=True)
class Waiver:
    """A recorded exception. It is shown red wherever it applies, and ends by itself."""

    what: str = setting(
        'What is waived, as the refusal names it: "smoke:place an order".', example="smoke:place an order"
    )
    name: str = setting("Who answers for it.", example="Ada Lovelace")
    reason: str = setting("Why.", example="the test account is being set up")
    expires: date = setting("The last day on which it counts.", example=date(2030, 12, 31))


@dataclass(frozen=True)
class Reader:
    """Someone else who reads the schema: another service, reports, change data capture, a replica."""

    name: str = setting("Who reads.", example="monthly report")
    kind: str = setting("What it is.", default="service", choices=("service", "bi", "cdc", "replica"), example="bi")


@dataclass(frozen=True, kw_only=True)
class Config:
    """The whole file."""

    service: Service = setting("What is released.")
    requirement: Requirement = setting("The promise.", default=Requirement())
    endpoints: tuple[Endpoint, ...] = setting("Endpoints with their limits.", key="endpoint", default=())
    workflows: tuple[Workflow, ...] = setting("Business workflows.", key="workflow", default=())
    queues: tuple[Queue, ...] = setting("Queues.", key="queue", default=())
    processes: Mapping[str, Process] = setting("Processes by name.", key="process", example=("web",))
    dependencies: tuple[Dependency, ...] = setting("What the service needs to work.", key="dependency", default=())
    databases: Mapping[str, Database] = setting(
        "Databases by name; one is supported.", key="database", example=("main",)
    )
    versions: Versions = setting("Where versions come from.", default=Versions())
    runtime: Runtime = setting("Where processes run.", default=Runtime())
    traffic: Traffic = setting("The fader.", default=Traffic())
    schema: Staging = setting("How schema changes are walked.", default=Staging())
    signals: Signals = setting("What verdicts are made from.", default=Signals())
    waivers: tuple[Waiver, ...] = setting("Recorded exceptions.", key="waiver", default=())
    readers: tuple[Reader, ...] = setting("Other readers of the schema; always live.", default=())

    @property
    def database(self) -> Database:
        """The one database."""
        return next(iter(self.databases.values()))

    @property
    def critical_endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints that `availability` binds."""
        return tuple(endpoint for endpoint in self.endpoints if endpoint.critical)

    def processes_of(self, role: str) -> tuple[Process, ...]:
        """The processes with that role."""
        return tuple(process for process in self.processes.values() if process.role == role)
