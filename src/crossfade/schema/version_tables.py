"""The tables in which migration tools note how far a schema is: known by name and shape.

Rule: a name alone proves nothing, because a service may have a `migrations` of its own; a row counts only if its
columns are the tool's. What a tool's lock table gets is passed over: it serves one run of that tool, and crossfade
holds a lease of its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class VersionTable:
    """One table of one or several tools."""

    tool: str
    name: str  # a regular expression over the whole name, in any case
    columns: frozenset[str]  # in lower case
    is_lock: bool = False


def _known(tool: str, name: str, columns: str, is_lock: bool = False) -> VersionTable:
    return VersionTable(tool, name, frozenset(columns.split()), is_lock)


KNOWN = (
    _known("Alembic", r"alembic_version\w*", "version_num"),
    _known("Django", "django_migrations", "id app name applied"),
    _known(
        "Prisma",
        "_prisma_migrations",
        "id checksum finished_at migration_name logs rolled_back_at started_at applied_steps_count",
    ),
    _known("Diesel", "__diesel_schema_migrations", "version run_on"),
    _known("Rails, dbmate, golang-migrate, Ecto", "schema_migrations", "version dirty inserted_at filename"),
    _known("Rails", "ar_internal_metadata", "key value created_at updated_at"),
    _known(
        "Flyway",
        "flyway_schema_history|schema_version",
        "installed_rank version description type script checksum installed_by installed_on execution_time success",
    ),
    _known(
        "Liquibase",
        "databasechangelog",
        "id author filename dateexecuted orderexecuted exectype md5sum description comments tag liquibase contexts"
        " labels deployment_id",
    ),
    _known("Liquibase", "databasechangeloglock", "id locked lockgranted lockedby", is_lock=True),
    _known("sqlx", "_sqlx_migrations", "version description installed_on success checksum execution_time"),
    _known("goose", "goose_db_version", "id version_id is_applied tstamp"),
    _known("sql-migrate", "gorp_migrations", "id applied_at"),
    _known("node-pg-migrate", "pgmigrations", "id name run_on"),
    _known("knex", "knex_migrations", "id name batch migration_time"),
    _known("knex", "knex_migrations_lock", "index is_locked", is_lock=True),
    _known("Sequelize", "sequelizemeta", "name"),
    _known("Drizzle", "__drizzle_migrations", "id hash created_at"),
    _known("MikroORM", "mikro_orm_migrations", "id name executed_at"),
    _known("EF Core", "__efmigrationshistory", "migrationid productversion"),
    _known("TypeORM, Laravel", "migrations", "id timestamp name migration batch"),
)
# For a search in the catalog by name alone, in any case.
TELLING_NAMES = "^(" + "|".join(one.name for one in KNOWN if one.name != "migrations") + ")$"


def known_table(name: str, columns: Collection[str]) -> VersionTable | None:
    """The tool's table of that name to which all these columns belong."""
    for one in KNOWN:
        if re.fullmatch(one.name, name, re.IGNORECASE) and {column.lower() for column in columns} <= one.columns:
            return one
    return None
