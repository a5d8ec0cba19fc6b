"""Where `crossfade schema` finds its database: a crossfade.toml if there is one, else the environment.

Rule: a secret is never an argument. A file with processes or endpoints describes a service, and the releases of that
service own its schema from the first one on; any other file, or none, leaves the acting to the command itself.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import click

from crossfade.cli.config_file import find_config, given_config, load_config, read_config_file, shown
from crossfade.journal.spool import Spool
from crossfade.model.errors import fail
from crossfade.model.settings.alone import SchemaFile
from crossfade.model.settings.parse import parse_schema_file
from crossfade.walk.addresses import admin_url
from crossfade.walk.clock import SystemClock
from crossfade.walk.dying import dying_after
from crossfade.walk.schema_alone import Place, SchemaAlone
from crossfade.walk.site import Site

VARIABLE = "CROSSFADE_ADMIN_URL"
DIE_AFTER_ACT = "crossfade.die_after_act"  # where a hidden option leaves its word
LIBPQ = ("PGSERVICE", "PGHOST", "PGHOSTADDR", "PGDATABASE")  # any of them names a database to libpq (manual, 34.15)
HELP = f"""\b
The database: admin_url in crossfade.toml where there is one, else the variable
{VARIABLE}, else libpq's own (PGSERVICE, PGHOST, PGDATABASE, ~/.pgpass)."""


@dataclass(frozen=True)
class Found:
    """The acts on the database at hand; `site` where a service is described whose releases own the schema."""

    alone: SchemaAlone
    site: Site | None = None


def find(star_queries: str | None = None) -> Found:
    """Look. Raises `database-unnamed`, `secret-unresolved`, and the errors of reading a file."""
    clock, start = SystemClock(), Path.cwd()
    path = given_config(None) or find_config(start)
    site = None
    if path is None:
        place = Place(_from_environment(start))
    else:
        path, text = read_config_file(path, start)
        file = parse_schema_file(text, shown(path, start))
        if file is not None:
            place = _of_file(file, start)
        else:
            loaded = load_config(path, start, clock.now().date())
            site = Site(loaded.config, loaded.path, clock)
            place = _of_site(site)
    if star_queries is not None:
        place = replace(place, settings=replace(place.settings, star_queries=star_queries))
    dies = dying_after(click.get_current_context().meta.get(DIE_AFTER_ACT))
    alone = SchemaAlone(place, clock, f"{os.getpid()}-{secrets.token_hex(4)}", dies)
    return Found(alone, site if site is not None and (_bound_here(site) or alone.owner.released) else None)


def _of_file(file: SchemaFile, start: Path) -> Place:
    database = next(iter(file.databases.values()), None)
    named = database is not None and database.admin_url
    url = admin_url(database) if database is not None and named else _from_environment(start)
    service = file.service.name if file.service is not None else ""
    return Place(url, service, file.schema, file.requirement, file.waivers)


def _of_site(site: Site) -> Place:
    config, database = site.config, site.config.database
    return Place(
        admin_url(database),
        config.service.name,
        config.schema,
        config.requirement,
        config.waivers,
        has_lane_roles=bool(database.app_roles),
        has_pooler=bool(database.pooler_url),
    )


def _from_environment(start: Path, environ: Mapping[str, str] = os.environ) -> str:
    """The address in the variable; empty where libpq's own variables name the database."""
    url = environ.get(VARIABLE, "")
    if not url and not any(environ.get(name) for name in LIBPQ):
        raise fail("database-unnamed", directory=start.resolve(), variable=VARIABLE)
    return url


def _bound_here(site: Site) -> bool:
    """Whether a release of the service was ever begun from here; asks no database."""
    file = site.state_dir / "spool.jsonl"
    if not file.exists():
        return False
    spool = Spool(file, site.clock)
    try:
        return spool.identity is not None
    finally:
        spool.close()
