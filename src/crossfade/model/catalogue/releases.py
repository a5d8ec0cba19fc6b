"""Beginning a release, and asking its controller for something."""

from __future__ import annotations

from crossfade.model.catalogue.kind import Exit, Kind

ROWS: tuple[Kind, ...] = (
    Kind(
        "release-in-progress",
        Exit.HELD_BY_OTHER,
        "release {release} ({old} -> {new}) is under way",
        "it is {phase}",
        "crossfade status, then wait, crossfade rollback or crossfade abandon",
    ),
    Kind(
        "release-changes-nothing",
        Exit.USAGE,
        "{version} serves already",
        "digest: {digest}",
        "name another version: crossfade release VERSION",
    ),
    Kind(
        "plan-changed",
        Exit.NOT_MET,
        "the plan for {version} is not the one that was shown",
        "shown: {shown}\nfound: {found}",
        "crossfade plan {version}, look at it, then release again",
    ),
    Kind(
        "nothing-to-ask",
        Exit.USAGE,
        "there is nothing to {what}: {why}",
        "service: {service}",
        "crossfade status",
    ),
    Kind(
        "ask-refused",
        Exit.NOT_MET,
        "{what} was refused",
        "{reply}",
        "crossfade status",
    ),
    Kind(
        "ask-unanswered",
        Exit.UNREACHABLE,
        "nobody answered {what} within {waited_s} s; {stays}",
        "the controller: {controller}",
        "crossfade doctor",
    ),
)
