"""Who is connected, and with which rights."""

from __future__ import annotations

from crossfade.model.catalogue.kind import Exit, Kind

ROWS: tuple[Kind, ...] = (
    Kind(
        "census-blind",
        Exit.INCONCLUSIVE,
        "who is still connected to the database cannot be seen",
        "asked:  {asked}\nreason: {reason}",
        "crossfade doctor",
    ),
    Kind(
        "old-version-still-connected",
        Exit.NOT_MET,
        "{version} still has {connections} to the database; its shape of the schema stays",
        "{listing}",
        "end what holds them, then: crossfade resume",
    ),
    Kind(
        "lane-role-may-alter",
        Exit.NOT_MET,
        "a role of the application could change the schema by itself",
        "{listing}",
        "take these rights away with the statements above, then: crossfade doctor",
    ),
    Kind(
        "lane-path-not-ours",
        Exit.NOT_MET,
        "the search path of {roles} cannot be set, so the new version would see the old shape; nothing was begun",
        "reason: {role} may not alter that role",
        "{grant}",
    ),
)
