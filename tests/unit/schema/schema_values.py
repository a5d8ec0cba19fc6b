"""A small catalog without a database: tables, and the functions that the tests name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crossfade.model.change import Change
from crossfade.schema.catalog import Catalog, Column, Constraint, Function, Index, Referrer, Table, Trigger
from crossfade.schema.planning import PlanOptions, Source, plan_change

_FUNCTIONS = {
    "upper": "i", "lower": "i", "left": "i", "split_part": "i", "substr": "i", "strpos": "i", "now": "s",
    "to_char": "s", "gen_random_uuid": "v", "random": "v", "nextval": "v", "length": "i",
    "trunc": "i", "round": "i", "abs": "i", "date_trunc": "i", "rtrim": "i", "timezone": "i", "repeat": "i",
}  # fmt: skip
FUNCTIONS = {f"pg_catalog.{name}": Function(volatility, True, True) for name, volatility in _FUNCTIONS.items()} | {
    "pg_catalog.count": Function("i", False, False),
    "pg_catalog.generate_series": Function("i", False, True),
    "public.slug": Function("i", True, True),
}


def column(name: str, type: str = "text", **given: Any) -> Column:
    return Column(name, type, type not in ("numeric", "json"), **given)


ID = column("id", "bigint", not_null=True)
KEY = Constraint("orders_pkey", "p", "PRIMARY KEY (id)", ("id",))
ORDERS = Table(
    "public",
    "orders",
    (
        ID,
        column("reference", not_null=True),
        column("note"),
        column("state", not_null=True, default="'open'::text"),
        column("amount", "numeric"),
    ),
    indexes=(
        Index("orders_pkey", "CREATE UNIQUE INDEX orders_pkey ON public.orders USING btree (id)", ("id",), True),
        Index(
            "orders_reference",
            "CREATE INDEX orders_reference ON public.orders USING btree (reference) WHERE (note IS NOT NULL)",
            ("reference", "note"),
        ),
    ),
    constraints=(KEY, Constraint("orders_check", "c", "CHECK ((reference <> note))", ("reference", "note"))),
)
HELD = Table(
    "public",
    "held",
    (
        ID,
        column("viewed", dependents=("view public.v",)),
        column("parent", "bigint"),
        column("mark", not_null=True, default="'x'::text"),
        column("token", "uuid", default="pg_catalog.gen_random_uuid()"),
    ),
    indexes=(Index("held_mark", "CREATE UNIQUE INDEX held_mark ON public.held USING btree (mark)", ("mark",), True),),
    constraints=(
        KEY,
        Constraint(
            "held_parent", "f", "FOREIGN KEY (parent) REFERENCES orders(id)", ("parent",), True, ("public", "orders")
        ),
    ),
    referenced_by=(Referrer("public.parts", "parts_held", ("id",)),),
    triggers=(Trigger("stamp", "CREATE TRIGGER stamp ..", "O", True, True, True, True),),
    published=True,
)
LOG = Table(
    "public",
    "log",
    (
        column("line"),
        column("at", "timestamp with time zone", default="now()"),
        column("number", "integer", generated="s"),
        column("tag", "character varying(9)", default="'x'::character varying"),
    ),
    grants=(('"Shops"', "SELECT", "t"), ('"shop"', "SELECT", "")),
)
PARTED = Table("public", "parted", (ID,), kind="p", inherits=True)
VIEW = Table(
    "public",
    "v",
    (ID, column("note")),
    kind="v",
    definition=" SELECT id, note FROM orders;",
    options="check_option=local",
)
SLUG = "CREATE OR REPLACE FUNCTION public.slug(x text)\n RETURNS text\n LANGUAGE sql\nAS $function$SELECT x$function$\n"
VERSION = Table("public", "alembic_version", (column("version_num", not_null=True),))


def catalog(*tables: Table) -> Catalog:
    listed = tables or (ORDERS, HELD, LOG, PARTED, VERSION, VIEW)
    return Catalog(
        {(one.schema, one.name): one for one in listed},
        FUNCTIONS,
        ("public",),
        domains=frozenset({"public.positive"}),
        types=frozenset({"public.positive", "public.mood"}),
        version=180000,
        sequences=frozenset({"public.numbers"}),
        schemas=frozenset({"public"}),
        extensions=frozenset({"plpgsql"}),
        routines={"public.slug(text)": SLUG, "public.stamp()": SLUG.replace("slug(x text)", "stamp()")},
        users={
            "public.mood": ("column m of table public.moods",),
            "public.stamp()": ("trigger stamp on table public.held",),
        },
    )


def plan(
    sql: str,
    lanes: bool = True,
    both_changed: str = "new",
    stars: str = "none",
    tables: Sequence[Table] = (),
    pooler: bool = False,
) -> Change:
    options = PlanOptions(lanes, both_changed, stars, pooler)
    return plan_change("7.sql", [Source("7.sql", sql)], catalog(*tables), options)


def script(change: Change) -> str:
    """Everything the change would run, in order, as text."""
    lines: list[str] = []
    for stage in ("expand", "settle", "record", "detach", "purge"):
        for unit in getattr(change, stage):
            traits = "".join(f" {word}" for word in ("concurrent", "scans") if getattr(unit, word))
            locks = "".join(f" [{mode} {table}]" for table, mode in unit.locks)
            stars = " retypes" if unit.retypes else " steadies" if unit.steadies else ""
            lines.append(f"-- {stage} {unit.key}: {unit.says}{traits}{locks}{stars}")
            lines += [f"{statement};" for statement in unit.do]
            lines += [f"undo {statement};" for statement in unit.undo]
            lines += [f"probe {unit.probe};"] * bool(unit.probe)
        if stage == "expand":
            for fill in change.backfill:
                pairs = ", ".join(f"{name} = {value}" for name, value in fill.assignments)
                lines.append(f"-- {fill.key}")
                lines += [f"SET {pairs}", f"unfilled {fill.unfilled}", f"differs {fill.differs}"]
    for word, keeps in (("purge", change.purge_keeps), ("undo", change.undo_keeps)):
        for kept in keeps:
            lines.append(f"-- {word} keeps {', '.join(kept.columns) or 'all'} of {kept.table} in {kept.attic}")
            lines.append(f"by {', '.join(kept.key) or 'whole rows'} where {kept.only_new}")
    lines += [f"-- maps {one.table}: {one.says}" for one in change.mappings]
    lines += [f"-- note {note}" for note in change.notes]
    return "\n".join(lines) + "\n"
