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
    Kind(
        "change-open",
        Exit.HELD_BY_OTHER,
        "{version} wants the schema change {name}, and another one is open",
        "open: {open} of {opener}, at '{stage}'",
        "finish it: crossfade release {opener}; or take it back: crossfade schema undo",
    ),
    Kind(
        "change-queued",
        Exit.HELD_BY_OTHER,
        "{version} changes {tables}, where the old shape of an earlier change still waits for its purge",
        "waiting: {queued}, since {since}",
        "crossfade schema purge, then {again}",
    ),
    Kind(
        "nothing-to-move",
        Exit.USAGE,
        "there is no schema change to {what}",
        "{found}",
        "crossfade schema status",
    ),
    Kind(
        "purge-too-early",
        Exit.NOT_MET,
        "{name} may not be purged yet: its old shape was hidden {age} ago, and is kept in place for {wanted}",
        "requirement.purge_after_s = {seconds}",
        "wait until {until}, then: crossfade schema purge",
    ),
    Kind(
        "purge-unproven",
        Exit.NOT_MET,
        "{name} may not be purged: nothing shows that its data could be brought back",
        "restore proof: {proof}\nwanted:        restored, not older than {days} days",
        "crossfade drill",
    ),
    Kind(
        "purge-unarchived",
        Exit.NOT_MET,
        "{name} may not be purged: this version of crossfade sets no restore point and sees none archived",
        "no waiver {waiver!r} is in force",
        'set a restore point by hand, then write it down: [[waiver]] what = "{waiver}" with name, reason and expiry',
    ),
)
