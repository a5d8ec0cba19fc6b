"""Write docs/reference/walker.md anew: the table of `crossfade.model.walker` as a picture and as rows."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from pathlib import Path

from crossfade.model import walker
from crossfade.model.walker import ALL, ENDED, TABLE, Event, Phase, Zone

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "walker.md"
# What has the same row nearly everywhere, drawn as one in the picture.
TROUBLE = (
    Event.VERDICT_FAIL,
    Event.SHARED_TROUBLE,
    Event.FUSE_TRIPPED,
    Event.NEW_LANE_DOWN,
    Event.ROLLBACK,
    Event.ABANDON,
)
# The one rule of advance() that the table cannot hold: an abandoned release ends as abandoned.
ABANDONED = "act done, where a person asked to abandon"

HEAD = """# The walker's table

<!-- Written by tools/write_walker_page.py from src/crossfade/model/walker.py. Do not edit. -->

Every move a release can make is in this table. An event that has no row in a phase is refused, and nothing
changes. A phase without rows is an end. How a release gets from facts to one event is in
`src/crossfade/model/decide.py`; what each act does is in `src/crossfade/walk/acts.py`.
"""


def meanings(cls: type) -> dict[str, str]:
    """What the comments behind an enum's members say, by value."""
    lines = inspect.getsource(cls).splitlines()
    found = {}
    for node in ast.parse("\n".join(lines)).body[0].body:  # type: ignore[attr-defined]
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            _, _, comment = lines[node.lineno - 1].partition("  # ")
            found[str(node.value.value)] = comment.strip()
    return found


def zones_of(row: Mapping[Zone, Phase], phase: Phase) -> str:
    """The zones in which `row` leads to `phase`; empty where that is all of them."""
    zones = [zone for zone in ALL if row.get(zone) is phase]
    return "" if len(zones) == len(ALL) else ", ".join(zones)


def edges() -> dict[tuple[Phase, Phase, str], list[Event]]:
    """Events by where they lead from and to, and in which zones."""
    found: dict[tuple[Phase, Phase, str], list[Event]] = {}
    for phase, row in TABLE.items():
        for event, by_zone in row.items():
            for target in dict.fromkeys(by_zone.values()):
                found.setdefault((phase, target, zones_of(by_zone, target)), []).append(event)
    return found


def diagram() -> str:
    """The table as a mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.STANDING}"]
    for (source, target, zones), events in edges().items():
        where = f" (while {zones})" if zones else ""
        names = [str(event) for event in events]
        if set(TROUBLE) <= set(events):
            names = ["must go back", *(str(event) for event in events if event not in TROUBLE)]
        lines.append(f"    {source} --> {target}: {', '.join(names)}{where}")
    lines.append(f"    {Phase.UNDOING} --> {Phase.ABANDONED}: {ABANDONED}")
    lines += [f"    {phase} --> [*]" for phase in Phase if phase in ENDED]
    return "\n".join(lines)


def table() -> str:
    """The table as rows, one for each event of each phase."""
    lines = ["| phase | event | " + " | ".join(ALL) + " |", "|---|---|" + "---|" * len(ALL)]
    for phase, row in TABLE.items():
        for event, by_zone in row.items():
            cells = [str(by_zone.get(zone, "-")) for zone in ALL]
            lines.append(f"| {phase} | {event} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def words(title: str, cls: type) -> str:
    """The members of an enum with what their comments say."""
    lines = [f"| {title} | meaning |", "|---|---|"]
    lines += [f"| {name} | {says or 'an end' if cls is Phase else says} |" for name, says in meanings(cls).items()]
    return "\n".join(lines)


def page() -> str:
    """The whole page."""
    end = f"A release that is undoing ends as `{Phase.ABANDONED}` instead of `{Phase.ROLLED_BACK}` {ABANDONED[10:]}."
    return "\n".join(
        [
            HEAD,
            "## Phases: what the walker is doing\n",
            words("phase", Phase) + "\n",
            "## Zones: how far the fader is\n",
            words("zone", Zone) + "\n",
            "## Events\n",
            words("event", Event) + "\n",
            "## Picture\n",
            f"*must go back* stands for: {', '.join(TROUBLE)}.\n",
            f"```mermaid\n{diagram()}\n```\n",
            "## Table\n",
            "A dash: refused there.\n",
            table() + "\n",
            end + "\n",
            "The docstring of the module:\n",
            "\n".join(f"> {line}".rstrip() for line in (inspect.getdoc(walker) or "").splitlines()) + "\n",
        ]
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
