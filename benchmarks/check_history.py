"""A made-up history of migrations, as teams write them: from a seed, so that it is the same every time."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

WORDS = [
    "state",
    "place",
    "label",
    "size",
    "color",
    "weight",
    "score",
    "rank",
    "owner",
    "title",
    "body",
    "price",
    "tax",
    "stock",
    "region",
    "batch",
    "grade",
    "notes",
]


@dataclass
class Table:
    """One table of the history as it stands."""

    name: str
    columns: dict[str, str] = field(default_factory=dict)  # nullable ones and their type
    required: set[str] = field(default_factory=set)
    indexes: list[str] = field(default_factory=list)


class Writer:
    """Writes one migration after the other, and knows what each has made."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.tables: dict[str, Table] = {}
        self.count = 0
        self.later: list[tuple[str, str, bool]] = []  # columns that are to be NOT NULL some day

    def name(self, what: str) -> str:
        self.count += 1
        return f"{what}_{self.count}"

    def table(self) -> Table:
        return self.draw.choice(list(self.tables.values()))

    def column(self, *types: str) -> tuple[Table, str]:
        fitting = [(t, c) for t in self.tables.values() for c, kind in t.columns.items() if not types or kind in types]
        if not fitting:
            one = self.table()
            one.columns[self.name("spare")] = "text"
            return one, ""
        return self.draw.choice(fitting)

    def create_table(self) -> list[str]:
        one = Table(self.name(self.draw.choice(("orders", "items", "users", "parts", "events", "notes"))))
        other = self.draw.choice(list(self.tables)) if self.tables else ""
        one.columns = {"label": "varchar(40)", "count": "integer", "amount": "numeric(10,2)", "other_id": "bigint"}
        body = ", ".join(f"{name} {kind}" for name, kind in one.columns.items())
        written = [
            f"CREATE TABLE {one.name} (id bigserial PRIMARY KEY, {body}, made_at timestamptz NOT NULL DEFAULT now());",
            f"CREATE INDEX {one.name}_label ON {one.name} (label);",
        ]
        one.indexes.append(f"{one.name}_label")
        if other:
            key = f"CONSTRAINT {one.name}_other FOREIGN KEY (other_id) REFERENCES {other} (id)"
            written.append(f"ALTER TABLE {one.name} ADD {key};")
        self.tables[one.name] = one
        rows = "SELECT 'x' || n, n, n FROM generate_series(1, 60) n"
        written.append(f"INSERT INTO {one.name} (label, count, amount) {rows};")
        return written

    def add(self, kind: str, more: str = "", required: bool = False) -> list[str]:
        one, name = self.table(), self.name(self.draw.choice(WORDS))
        if required:
            one.required.add(name)
        else:
            one.columns[name] = kind
        return [f"ALTER TABLE {one.name} ADD COLUMN {name} {kind}{' ' + more if more else ''};"]

    def add_required(self) -> list[str]:
        return [f"ALTER TABLE {self.table().name} ADD COLUMN {self.name('must')} text NOT NULL;"]

    def django_default(self) -> list[str]:
        one, name = self.table(), self.name("flag")
        one.columns[name] = "boolean"
        return [
            f"ALTER TABLE {one.name} ADD COLUMN {name} boolean DEFAULT false NOT NULL;",
            f"ALTER TABLE {one.name} ALTER COLUMN {name} DROP DEFAULT;",
        ]

    def index(self, how: str = "") -> list[str]:
        one, column = self.column("varchar(40)", "integer", "text", "bigint")
        name = self.name("idx")
        one.indexes.append(name)
        return [f"CREATE INDEX {how}{name} ON {one.name} ({column or 'id'});"]

    def drop_index(self, how: str = "") -> list[str]:
        one = self.table()
        return [f"DROP INDEX {how}{one.indexes.pop()};"] if one.indexes else self.add("text")

    def drop_column(self) -> list[str]:
        one, column = self.column()
        if not column:
            return self.add("text")
        del one.columns[column]
        return [f"ALTER TABLE {one.name} DROP COLUMN {column} CASCADE;"]

    def rename_column(self) -> list[str]:
        one, column = self.column("text", "varchar(40)")
        new = self.name("renamed")
        if not column:
            return self.add("text")
        one.columns[new] = one.columns.pop(column)
        return [f"ALTER TABLE {one.name} RENAME COLUMN {column} TO {new};"]

    def retype(self, old: str, new: str, using: str = "") -> list[str]:
        one, column = self.column(old)
        if not column:
            return self.add(old)
        one.columns[column] = new
        return [f"ALTER TABLE {one.name} ALTER COLUMN {column} TYPE {new}{using.format(column)};"]

    def not_null(self, staged: bool = False) -> list[str]:
        one, column = self.table(), self.name("asked")
        written = [f"ALTER TABLE {one.name} ADD COLUMN {column} integer DEFAULT 0;"]
        self.later.append((one.name, column, staged))
        return written

    def set_not_null(self) -> list[str]:
        if not self.later:
            return self.not_null()
        table, column, staged = self.later.pop()
        last = f"ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL;"
        if not staged or table not in self.tables:
            return [last] if table in self.tables else self.add("text")
        check = self.name("nn")
        return [
            f"ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID;",
            "COMMIT;",
            f"ALTER TABLE {table} VALIDATE CONSTRAINT {check};",
            last,
            f"ALTER TABLE {table} DROP CONSTRAINT {check};",
        ]

    def constraint(self, text: str, more: str = "", *types: str) -> list[str]:
        one, column = self.column(*types)
        if not column:
            return self.add("integer")
        name = self.name("con")
        text = text.format(column, other=self.draw.choice(list(self.tables)))
        written = [f"ALTER TABLE {one.name} ADD CONSTRAINT {name} {text}{more};"]
        if more and self.draw.random() < 0.7:
            written += ["COMMIT;", f"ALTER TABLE {one.name} VALIDATE CONSTRAINT {name};"]
        return written

    def drop_not_null(self) -> list[str]:
        one = self.table()
        if not one.required:
            return self.add("text")
        return [f"ALTER TABLE {one.name} ALTER COLUMN {self.draw.choice(sorted(one.required))} DROP NOT NULL;"]

    def drop_table(self) -> list[str]:
        if len(self.tables) < 8:
            return self.create_table()
        one = self.tables.pop(self.draw.choice(list(self.tables)))
        return [f"DROP TABLE {one.name} CASCADE;"]

    def rename_table(self) -> list[str]:
        one = self.tables.pop(self.draw.choice(list(self.tables)))
        old, one.name = one.name, self.name("moved")
        self.tables[one.name] = one
        return [f"ALTER TABLE {old} RENAME TO {one.name};"]

    def trigger(self) -> list[str]:
        one, name = self.table(), self.name("touch")
        return [
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';",
            f"CREATE TRIGGER {name} BEFORE UPDATE ON {one.name} FOR EACH ROW EXECUTE FUNCTION {name}();",
        ]


def history(files: int, seed: int) -> dict[str, str]:
    """File names and texts, in order."""
    w = Writer(seed)
    mix: list[tuple[int, Callable[[], list[str]]]] = [
        (8, w.create_table),
        (14, lambda: w.add(w.draw.choice(("text", "integer", "bigint", "varchar(40)", "timestamptz", "jsonb")))),
        (8, lambda: w.add("boolean", "NOT NULL DEFAULT false", required=True)),
        (3, lambda: w.add("timestamptz", "NOT NULL DEFAULT now()", required=True)),
        (3, lambda: w.add("uuid", "DEFAULT gen_random_uuid()")),
        (2, lambda: w.add("bigint", "GENERATED ALWAYS AS IDENTITY")),
        (3, lambda: w.add("bigint", f"REFERENCES {w.draw.choice(list(w.tables))} (id)")),
        (3, w.add_required),
        (4, w.django_default),
        (11, w.index),
        (6, lambda: w.index("CONCURRENTLY ")),
        (2, w.drop_index),
        (2, lambda: w.drop_index("CONCURRENTLY ")),
        (5, w.drop_column),
        (3, w.rename_column),
        (3, lambda: w.retype("varchar(40)", "varchar(80)")),
        (2, lambda: w.retype("varchar(40)", "text")),
        (3, lambda: w.retype("integer", "bigint")),
        (2, lambda: w.retype("numeric(10,2)", "numeric(12,2)")),
        (1, lambda: w.retype("text", "varchar(200)", " USING {}::varchar(200)")),
        (3, lambda: w.not_null()),
        (3, lambda: w.not_null(staged=True)),
        (6, w.set_not_null),
        (3, lambda: w.constraint("CHECK ({} >= 0)", "", "integer", "bigint")),
        (3, lambda: w.constraint("CHECK ({} >= 0)", " NOT VALID", "integer", "bigint")),
        (3, lambda: w.constraint("FOREIGN KEY ({}) REFERENCES {other} (id)", "", "bigint")),
        (2, lambda: w.constraint("FOREIGN KEY ({}) REFERENCES {other} (id)", " NOT VALID", "bigint")),
        (2, lambda: w.constraint("UNIQUE ({}, id)", "", "varchar(40)", "text")),
        (2, w.drop_not_null),
        (1, w.drop_table),
        (1, w.rename_table),
        (2, w.trigger),
        (2, lambda: [f"COMMENT ON TABLE {w.table().name} IS 'a comment';"]),
    ]
    weights = [weight for weight, _ in mix]
    texts: dict[str, str] = {}
    for number in range(1, files + 1):
        made = w.create_table() if number <= 6 else []
        while not made or (number > 6 and w.draw.random() < 0.45 and "CONCURRENTLY" not in made[-1]):
            more = w.draw.choices([one for _, one in mix], weights)[0]()
            if made and any("CONCURRENTLY" in one for one in more):
                continue
            made += more
        plain = any("CONCURRENTLY" in one for one in made)
        lines = made if plain else ["BEGIN;", *made, "COMMIT;"]
        if w.draw.random() < 0.5:
            lines = ["SET lock_timeout = '2s';", *lines]
        texts[f"{number:04}_change.sql"] = "\n".join(lines) + "\n"
    return texts
