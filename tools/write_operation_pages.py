"""Write the tables of rules anew: in each page of docs/operations its own, in its README all of them."""

from __future__ import annotations

import re
from pathlib import Path

from crossfade.schema.lint.rule import Claim, Rule
from crossfade.schema.lint.rules import RULES

PAGES = Path(__file__).resolve().parent.parent / "docs" / "operations"
BEGIN, END = "<!-- rules: written by tools/write_operation_pages.py -->", "<!-- end -->"
BROKEN = {"changed": "answers otherwise", "wait": "waits", "queue": "waits behind it", "stays invalid": "finds one"}
# Pages on which a rule of another page is met, too.
ALSO = {"drop-object": ("function", "sequence", "type"), "rename-object": ("function", "type")}
ALSO |= {"add-column-rewrites": ("generated-column", "sequence")}


def shown(claim: Claim) -> str:
    """What the server shows of a rule's example."""
    parts = []
    if claim.lock:
        words = re.findall("[A-Z][a-z]+", claim.lock.removesuffix("Lock"))
        parts.append(f"{' '.join(words).upper()} on `{claim.on}`")
    parts += ["the table written anew"] if claim.rewrite else []
    parts += ["the table read or an index built under it"] if claim.scan else []
    parts += [f"it fails with {claim.error}"] if claim.error else []
    if claim.breaks:
        how = BROKEN.get(claim.broken, f"fails with {claim.broken}")
        parts.append(f"`{claim.breaks}` {how}")
    return "; ".join(parts) or "-"


def table(rules: list[Rule]) -> str:
    """The rules with what is confirmed of each."""
    rows = [f"| `{one.id}` | {one.severity} | {shown(one.claim)} |" for one in rules]
    head = "| rule | severity | what PostgreSQL 15 and 18 show when the example is run |\n|---|---|---|"
    return "\n".join((head, *rows))


def of_page(name: str) -> list[Rule]:
    """The rules that a page tells of."""
    return [one for one in RULES.values() if one.page == name or name in ALSO.get(one.id, ())]


def with_rules(text: str, name: str) -> str:
    """A page with its table written anew."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table(of_page(name))}\n\n{END}{rest.partition(END)[2]}"


def index(titles: dict[str, str]) -> str:
    """The page that lists all pages and all rules."""
    pages = "\n".join(f"- [{title}]({name}.md)" for name, title in titles.items())
    rows = [
        f"| `{one.id}` | {one.severity} | {re.sub(r'{(.*?)}', lambda m: f'*{m[1]}*', one.problem)} "
        f"| [{one.page}]({one.page}.md) |"
        for one in RULES.values()
    ]
    rules = "\n".join(("| rule | severity | what is said | page |\n|---|---|---|---|", *rows))
    return f"""# What an operation takes, and how it is staged

<!-- Written by tools/write_operation_pages.py. Do not edit. -->

One page an operation: which lock the raw SQL takes, what it blocks, the staged form in SQL, with Alembic and with
Django. `crossfade check` finds the raw forms in your migrations: [how](../how-to/check-migrations.md).

{pages}

## All rules

The example of each rule is run on PostgreSQL 15 and 18 by a test, which sees what the rule claims: the lock, the
rewrite, the scan, the error, or the statement of the running version that fails afterwards. Its staged form is run,
too, and shows none of that.

{rules}
"""


def titles() -> dict[str, str]:
    """The title of each page by its name."""
    return {one.stem: one.read_text().splitlines()[0].removeprefix("# ") for one in files()}


def files() -> list[Path]:
    """The pages."""
    return [one for one in sorted(PAGES.glob("*.md")) if one.name != "README.md"]


if __name__ == "__main__":
    for path in files():
        path.write_text(with_rules(path.read_text(), path.stem))
    (PAGES / "README.md").write_text(index(titles()))
