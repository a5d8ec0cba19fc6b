"""Ending what no supervisord watches any more.

Rule: after a program was stopped, nothing of it lives. supervisord's word is not enough for that: a process
it did not start (see `keep.py`) may outlive the launcher that stood in for it, and a crashed program may have
left children in its process group.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable

from crossfade.model.ports import Clock
from crossfade.runtime import procfs, record
from crossfade.runtime.record import Places, Program

POLL_S = 0.05


def end_left_over(places: Places, programs: Iterable[Program], clock: Clock) -> None:
    """Ask every living process of these programs to end, all at once, wait for each, then end it."""
    asked = []
    for program in programs:
        sighting = record.read_sighting(places.run, program.name)
        if sighting is not None:
            procfs.send(sighting.identity, signal.Signals[f"SIG{program.stop_signal}"])
            asked.append((program, sighting.identity, clock.monotonic_s() + program.stop_wait_s))
    for program, identity, deadline_s in asked:
        while identity.alive() and clock.monotonic_s() < deadline_s:
            clock.sleep(POLL_S)
        if identity.alive() or procfs.identify(identity.pid) is None:  # else the pid is another's by now
            procfs.kill_group(identity, (record.MARKER, places.marker(program.name)))
        while identity.alive():
            clock.sleep(POLL_S)
