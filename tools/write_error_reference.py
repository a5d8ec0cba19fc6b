"""Write docs/reference/errors.md anew: every row of the error catalogue, and the exit codes."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

from crossfade.model import catalogue
from crossfade.model.errors import EXIT_MEANINGS, Kind

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "errors.md"

HEAD = """# Errors and exit codes

<!-- Written by tools/write_error_reference.py from src/crossfade/model/catalogue/. Do not edit. -->

Every failure has one shape: what happened, the facts that were used, and what to do next. Words in braces are
filled in. Ids do not change from version to version; the wording may. With `--output json` the same failure is
one line of JSON on standard output, with `error` as its id.
"""


def areas() -> list[ModuleType]:
    """The modules that hold rows, in the order of the catalogue."""
    modules = [m for m in vars(catalogue).values() if isinstance(m, ModuleType) and getattr(m, "ROWS", ())]
    return sorted(modules, key=lambda m: catalogue.ALL_ROWS.index(m.ROWS[0]))


def entry(kind: Kind) -> str:
    """One row as a person meets it."""
    text = [f"error[{kind.id}]: {kind.message}"]
    text += [f"  {line}" for line in kind.facts.splitlines() if line.strip()]
    text.append(f"hint: {kind.hint}")
    # In the templates a doubled brace stands for itself, and !r for quotes; people see neither.
    shown = re.sub(r"\{(\w+)!r\}", r"'{\1}'", "\n".join(text)).replace("{{", "{").replace("}}", "}")
    return f"### {kind.id}\n\nExit code {int(kind.exit)}: {EXIT_MEANINGS[kind.exit]}.\n\n```text\n{shown}\n```\n"


def page() -> str:
    """The whole page."""
    parts = [HEAD, "## Exit codes\n", "| code | meaning |\n|---|---|"]
    parts += [f"| {int(code)} | {says} |" for code, says in EXIT_MEANINGS.items()]
    parts.append("")
    for area in areas():
        says = (area.__doc__ or "").strip().splitlines()[0]
        parts += [f"## {area.__name__.rpartition('.')[2].replace('_', ' ').capitalize()}\n", f"{says}\n"]
        parts += [entry(kind) for kind in area.ROWS]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
