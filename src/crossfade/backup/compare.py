"""Whether a copy holds what its source held. Pure.

Rule: tables and objects must be exactly the same. A sequence moves while the dump is taken, and no snapshot holds
it still; so it is read before and after, and the copy's must lie in between. One that is behind would give out a
number twice.
"""

from __future__ import annotations

from collections.abc import Mapping

from crossfade.backup.content import Content, SequenceAt

SHOWN = 20  # problems of one kind; more would hide the first


def differences(source: Content, after: Mapping[str, SequenceAt], copy: Content) -> list[str]:
    """What the copy has otherwise than the source, a sentence each; `after`: the sequences after the dump."""
    return [*_tables(source, copy), *_sequences(source, after, copy), *_objects(source, copy)]


def _tables(source: Content, copy: Content) -> list[str]:
    said = []
    for name, held in source.tables.items():
        found = copy.tables.get(name)
        if found is None:
            said.append(f"{name} is not in the copy")
        elif found.rows != held.rows:
            said.append(f"{name} has {found.rows} rows in the copy and {held.rows} in the source")
        elif found.digest != held.digest:
            said.append(f"{name} has {held.rows} rows in both, and other values in the copy")
    said += [f"{name} is only in the copy" for name in copy.tables if name not in source.tables]
    return _short(said, "tables")


def _sequences(source: Content, after: Mapping[str, SequenceAt], copy: Content) -> list[str]:
    said = []
    for name, before in source.sequences.items():
        found = copy.sequences.get(name)
        if found is None:
            continue  # it is one of the objects
        if before.cycles:
            continue  # it may have begun anew meanwhile
        ahead = 1 if before.step > 0 else -1
        if (found.next - before.next) * ahead < 0:
            said.append(f"sequence {name} is behind: the copy gives {found.next} next, the source {before.next}")
        last = after.get(name)
        if last is not None and (found.next - last.next) * ahead > 0:
            said.append(f"sequence {name} is ahead: the copy gives {found.next} next, the source {last.next}")
    return _short(said, "sequences")


def _objects(source: Content, copy: Content) -> list[str]:
    missing = [f"{what} is not in the copy" for what in sorted(source.objects - copy.objects)]
    return _short(missing, "objects") + _short(
        [f"{what} is only in the copy" for what in sorted(copy.objects - source.objects)], "objects"
    )


def _short(said: list[str], what: str) -> list[str]:
    return said if len(said) <= SHOWN else [*said[:SHOWN], f"and {len(said) - SHOWN} more {what}"]
