"""Keeps the lease and brings the database up to the spool, beside the walker's loop.

Rule: a database that hangs must not keep the loop from seeing that traffic has to come back; so whatever
waits for the database at intervals waits here, in a thread of its own. It decides nothing.
"""

from __future__ import annotations

import threading

from crossfade.model.errors import CrossfadeError
from crossfade.model.ports import Journal, Lease


class Keeper:
    """A thread that renews. Start it once the lease was acquired. Without a journal there is nothing to copy up."""

    def __init__(self, lease: Lease, journal: Journal | None, every_s: float) -> None:
        self._lease, self._journal, self._every_s = lease, journal, every_s
        self._stop = threading.Event()
        self.trouble = ""  # why the database could not be used last, empty where it could
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> None:
        """Stop renewing; the lease ends by itself unless it is given up."""
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self.once()

    def once(self) -> None:
        """Renew, then copy up. What fails is remembered and tried again."""
        if not self._lease.renew():
            self.trouble = "the lease could not be renewed"
            return
        try:
            if self._journal is not None and not self._journal.settled():
                self._journal.copy_up()
            self.trouble = ""
        except CrossfadeError as error:
            self.trouble = error.message
