"""The controller: the process that leads one service's releases, under the process manager.

Rule: it may be killed at any moment. Starting is resuming: bind the journal, take the lease, read the last
row, go on from there. Without the database it leads nothing, but it still watches, and the one thing it may do
is to move the fader to the old slot (I7). It ends by itself only when it was asked to, or when its journal
is not its own.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import replace

from crossfade.journal.binding import Outcome
from crossfade.model.errors import CrossfadeError
from crossfade.model.ports import RecordSource
from crossfade.walk.asks import MOVES, Ask, Asks
from crossfade.walk.begin import begin, make_maintenance
from crossfade.walk.compose import LEASE_TTL_S, Memory, Walking, memory, records_of, walking
from crossfade.walk.keeper import Keeper
from crossfade.walk.loop import Turn, plan_release, read_release
from crossfade.walk.show import idle_status, status_of
from crossfade.walk.site import Site
from crossfade.walk.status import Status, write_status

TURN_S = 0.1
IDLE_S = 0.3
RETRY_S = 0.5
QUIET_ERRORS = (
    "lease-held",
    "journal-unreachable",
    "journal-behind",
    "lease-lost",
    "journal-overtaken",
    "act-lock-held",
)


class Controller:
    """Leads the releases of one service until `stop` is set."""

    def __init__(
        self,
        site: Site,
        stop: threading.Event,
        *,
        reload: Callable[[], Site],
        wait_for_lease: bool = True,
        die_after_row: int | None = None,
        die_after_act: int | None = None,
    ) -> None:
        self._site = site
        self._reload = reload
        self._stop = stop
        self._tolerated = QUIET_ERRORS if wait_for_lease else QUIET_ERRORS[1:]
        self._asks = Asks(site.state_dir)
        self._held: Memory = memory(site, die_after_row, die_after_act)
        self._proxy = site.proxy()
        self._keeper: Keeper | None = None
        self._ask_again_s = 0.0  # not before this the database is asked for the lease
        self._records: RecordSource | None = None
        self._walking: Walking | None = None
        self._reply = ""
        self._waits = ""
        self._behind = ""

    def run(self) -> None:
        """Lead until asked to stop. Raises `journal-foreign`: then nothing of this service is ours to touch."""
        try:
            while not self._stop.is_set():
                try:
                    self._once()
                except CrossfadeError as error:
                    if error.id not in self._tolerated:
                        raise
                    self._waits = error.message
                    self._forget()  # read the journal again before the next act
                    if error.id == "journal-behind":
                        self._held.lease.release()  # a failover in mid-release: bind again before leading on
                    if error.id == "lease-held":
                        self._stand_aside()
                    else:
                        self._write(idle_status(self._site, self._held, self._waits))
                    self._stop.wait(RETRY_S)
        finally:
            if self._keeper is not None:
                self._keeper.stop()
            self._held.close()

    def _stand_aside(self) -> None:
        """Another leads: the status and the records are the leader's."""
        if self._records is not None:
            self._records.close()
            self._records = None

    def _forget(self) -> None:
        """Let the walker go, with what it has begun; the next one reads the journal."""
        walking_now, self._walking = self._walking, None
        if walking_now is not None:
            walking_now.acts.let_go()

    def _once(self) -> None:
        self._lead()
        if self._walking is None:
            self._resume()
        self._answer_asks()
        walking_now = self._walking
        if walking_now is None:
            self._write(idle_status(self._site, self._held, self._waits or self._behind))
        else:
            turn = walking_now.walker.turn()
            self._write(self._status(walking_now, turn))
        self._stop.wait(TURN_S if walking_now is not None and not walking_now.walker.ended else IDLE_S)

    # -- leading ----------------------------------------------------------------------------------

    def _lead(self) -> None:
        """Bind and take the lease where we do not hold it; without the database only watch.

        A database that hangs is left alone for twice as long as it kept us waiting: whoever waits watches nobody.
        """
        began_s = self._site.clock.monotonic_s()
        if self._held.lease.leading() or (self._walking is not None and began_s < self._ask_again_s):
            return
        try:
            finding = self._held.durable.bind()
            self._behind = finding.reason if finding.outcome is Outcome.BEHIND else ""
            if self._behind and self._site.config.service.on_failover == "continue":
                self._held.durable.adopt("on_failover = continue")
                self._behind = ""
                self._forget()  # another walker looks at the schema anew
            if self._behind:
                return  # a failover or a restored database: only the fader to old may move until adopted
            if self._keeper is None or not self._held.lease.renew():
                self._held.lease.acquire()
                self._forget()
                with self._held.guard():
                    pass  # the lock names this process from here on: overtaken walkers stop, a successor need not wait
            self._held.journal.copy_up()
        except CrossfadeError as error:
            if error.id != "journal-unreachable":
                raise
            if self._records is None and self._held.spool.last is None:
                raise
            self._waits = error.message  # watch without leading: only the fader to old may move
            now_s = self._site.clock.monotonic_s()
            self._ask_again_s = now_s + 2 * (now_s - began_s)
            return
        if self._keeper is None:
            self._keeper = Keeper(self._held.lease, self._held.journal, LEASE_TTL_S / 3)
            self._keeper.start()
        self._waits = ""

    def _resume(self) -> None:
        if self._records is None:
            self._records = records_of(self._site, self._proxy)
        release = read_release(list(self._held.spool.rows()))
        if release is not None:
            self._walking = walking(self._site, release, self._held, self._proxy, self._records, lambda: self._behind)

    # -- asks that are the controller's ------------------------------------------------------------

    def _answer_asks(self) -> None:
        """A release that may not begin now is refused now: an ask never begins one hours later."""
        for ask in self._asks.pending():
            if ask.what == "adopt":
                self._answer(ask, self._adopt)
            elif ask.what == "release" and self._held.lease.leading():
                self._answer(ask, self._begin)
            elif ask.what in MOVES and self._held.lease.leading():
                self._answer(ask, self._begin_move)
            elif self._walking is None:
                self._answer(ask, lambda ask: f"refused: there is no release to {ask.what}")

    def _answer(self, ask: Ask, act: Callable[[Ask], str]) -> None:
        try:
            self._reply = act(ask)
        except CrossfadeError as error:
            if error.id in QUIET_ERRORS:
                raise  # the ask stays, and is answered when the journal is back
            self._reply = f"refused: {error.render()}"
        self._asks.answer(ask, self._reply)

    def _begin(self, ask: Ask) -> str:
        self._site = self._reload()  # the file as it is now; the proxy keeps what it was installed with
        plan = begin(self._site, self._held.spool, str(ask.data["version"]), str(ask.data["path_digest"]))
        data = {**plan.data, "salt": secrets.token_hex(8), "asked_by": ask.who, "asked_at": ask.at}
        release = plan_release(self._held.journal, str(ask.data["release"]), plan.path, data)
        assert self._records is not None
        self._walking = walking(self._site, release, self._held, self._proxy, self._records, lambda: self._behind)
        return f"began {release.id}"

    def _begin_move(self, ask: Ask) -> str:
        """A purge or an undo: walked like a release, while one version serves throughout."""
        self._site = self._reload()
        move = make_maintenance(self._site, self._held.spool, MOVES[ask.what], str(ask.data["change"]))
        data = {**move.data, "salt": secrets.token_hex(8), "asked_by": ask.who, "asked_at": ask.at}
        release = plan_release(self._held.journal, str(ask.data["release"]), move.path, data)
        assert self._records is not None
        self._walking = walking(self._site, release, self._held, self._proxy, self._records, lambda: self._behind)
        return f"began {release.id}"

    def _adopt(self, ask: Ask) -> str:
        self._held.durable.adopt(ask.who)
        self._behind = ""
        self._forget()
        return "the database is this service's journal from here on"

    # -- telling ----------------------------------------------------------------------------------

    def _status(self, walking_now: Walking, turn: Turn) -> Status:
        status = status_of(self._site, self._held, walking_now, turn)
        behind = f"{self._behind}; crossfade resume --adopt accepts it" if self._behind else ""
        trouble = behind or self._waits or (self._keeper.trouble if self._keeper else "")
        reply = walking_now.observer.reply or self._reply
        return replace(status, journal=trouble or "reachable", reply=reply)

    def _write(self, status: Status) -> None:
        write_status(self._site.state_dir, replace(status, reply=status.reply or self._reply))
