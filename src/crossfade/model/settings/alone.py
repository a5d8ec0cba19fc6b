# ruff: noqa: RUF009 - setting() is dataclasses.field with a sentence
"""A crossfade.toml that tells of a database's schema and of no service: what `crossfade schema` alone needs.

Rule: a file without processes and endpoints is read as this. The tables mean what they mean in a whole file, and every
one of them may be left out: what is missing has its usual value, and the address comes from the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crossfade.model.requirement import Waiver
from crossfade.model.settings.field import setting
from crossfade.model.settings.promise import Requirement, Service
from crossfade.model.settings.staging import Staging


@dataclass(frozen=True)
class AloneDatabase:
    """Where the database is."""

    name: str = setting("The name in the table's header.", from_table_name=True)
    admin_url: str = setting("As in a whole file. Left out: as without a file.", default="")
    admin_password: str = setting("As in a whole file.", default="")


@dataclass(frozen=True, kw_only=True)
class SchemaFile:
    """The whole file."""

    service: Service | None = setting("Whose schema it is.", default=None)
    requirement: Requirement = setting("The promise; a purge asks for its soak.", default=Requirement())
    databases: Mapping[str, AloneDatabase] = setting("The database; at most one.", key="database", default={})
    schema: Staging = setting("How schema changes are walked.", default=Staging())
    waivers: tuple[Waiver, ...] = setting("Recorded exceptions.", key="waiver", default=())
