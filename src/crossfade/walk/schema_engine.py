"""The schema engine on a database, whoever walks it: a release's controller, or one command alone.

Rule: this is the one place that knows which class stands behind the engine and what fills for it. Nothing here decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crossfade.model.ports import Clock
from crossfade.model.requirement import Staging
from crossfade.schema.backfill import Filler
from crossfade.schema.catalog import Catalog, read_catalog
from crossfade.schema.engine import PostgresSchemaEngine
from crossfade.schema.executor import Look
from crossfade.schema.leaf import row_search_path
from crossfade.schema.session import RequireOwn, Sessions, anybodys

LatencyMs = Callable[[], float | None]


@dataclass(frozen=True)
class Where:
    """One database, whose changes there, and how gently. The address holds a password: for the driver alone."""

    admin_url: str
    service: str
    settings: Staging


def engine_at(
    where: Where,
    clock: Clock,
    epoch: Callable[[], int] = lambda: 0,
    latency_ms: LatencyMs = lambda: None,
    after_act: Callable[[str], None] = lambda _unit: None,
    require_own: RequireOwn = anybodys,
    witness: Look = lambda _session, _order: None,
    *,
    fenced: bool = True,
) -> PostgresSchemaEngine:
    """The engine on any database that has crossfade's own tables; with a service or without one.

    On a scratch copy nobody leads, so it is not `fenced`; and a `witness` may look into each unit there.
    """
    url, service, settings = where.admin_url, where.service, where.settings

    def filler(change: str) -> Filler:
        connect = Sessions(url, clock, require_own=require_own).beside
        return Filler(connect, service, change, lambda: settings, clock, engine.fence, latency_ms)

    engine = PostgresSchemaEngine(
        url,
        service,
        clock,
        settings,
        epoch,
        filler=filler,
        after_row=after_act,
        require_own=require_own,
        witness=witness,
        fenced=fenced,
    )
    return engine


def catalog_at(url: str, clock: Clock) -> Catalog:
    """The schema of a database as it is now; names are looked for where the admin's role looks."""
    with Sessions(url, clock).open("reading the catalog") as session:
        session.execute("SELECT set_config('search_path', %s, false)", [row_search_path(session)])
        return read_catalog(session)
