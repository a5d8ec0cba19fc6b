"""Proving that the ready check sees what it must see, before anything relies on it.

Rule: a deep check is accepted only if it turns red when a declared dependency is cut. One scratch instance
is started beside the service, each critical dependency reached through a relay; the check must be green,
turn red when the relay is cut, and green again when it is mended. A check that stays green proves only
that a process runs, and is refused by the dependency's name.

The answer is kept by what it depends on (version digest, command, check, dependencies): unchanged means proven.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

from crossfade.host.files import read_json, write_json
from crossfade.model.errors import fail
from crossfade.model.ports import Address, LaneSpec
from crossfade.model.requirement import Dependency
from crossfade.walk.health import ask
from crossfade.walk.relay import Relay
from crossfade.walk.scratch_instance import digest_of, environment, scratch_instance, web_process
from crossfade.walk.site import Site

RED_WITHIN_S = 10.0
GREEN_AGAIN_WITHIN_S = 20.0
POLL_S = 0.2
DEFAULT_PORTS = {"postgresql": 5432, "postgres": 5432, "redis": 6379, "http": 80, "https": 443}


class ReadyCheck:
    """The proof for one version's web process."""

    def __init__(self, site: Site, lane: LaneSpec) -> None:
        self._site, self._lane = site, lane
        self._web = site.config.processes_of("web")[0]
        self._process = web_process(lane)
        self._dependencies = [d for d in site.config.dependencies if d.critical]

    @property
    def key(self) -> str:
        """What the answer depends on."""
        return digest_of(self._lane.digest, self._process, self._web.ready, *self._dependencies)

    def prove(self) -> str:
        """Prove it, or read the proof. Raises `ready-check-blind`, `ready-check-red`."""
        file = self._site.state_dir / "proofs" / f"ready-check-{self.key}.json"
        known = read_json(file)
        if known is not None:
            return str(known["said"])
        if not self._dependencies:
            said = "no critical dependency is declared; the ready check is unproven"
        else:
            self._try()
            names = ", ".join(d.name for d in self._dependencies)
            said = f"{self._web.ready} turned red when cut from: {names}"
        at = self._site.clock.now().isoformat(timespec="seconds")
        write_json(file, {"said": said, "at": at, "version": self._lane.version}, durable=True)
        return said

    def _try(self) -> None:
        env = environment(self._process)
        relays: dict[str, Relay] = {}
        for dependency in self._dependencies:
            text = env.get(dependency.env, "")
            url = urlsplit(text if "//" in text else f"//{text}")  # host:port is an address, too
            port = url.port or DEFAULT_PORTS.get(url.scheme)
            if not url.hostname or port is None:
                raise fail("dependency-unreadable", dependency=dependency.name, variable=dependency.env, wanted="a URL")
            relay = Relay(url.hostname, port)
            relays[dependency.name] = relay
            user, at, _ = url.netloc.rpartition("@")
            cut = urlunsplit(url._replace(netloc=f"{user}{at}127.0.0.1:{relay.port}"))
            env[dependency.env] = cut if "//" in text else cut.removeprefix("//")
        log = self._site.state_dir / "logs" / "scratch.log"
        with _all(list(relays.values())), scratch_instance(self._lane, env, log) as instance:
            address = instance.address
            self._wait(address, ok=True, within_s=self._web.start_timeout_s, dependency=None)
            for dependency in self._dependencies:
                relays[dependency.name].cut()
                self._wait(address, ok=False, within_s=RED_WITHIN_S, dependency=dependency)
                relays[dependency.name].mend()
                self._wait(address, ok=True, within_s=GREEN_AGAIN_WITHIN_S, dependency=dependency)

    def _wait(self, address: Address, *, ok: bool, within_s: float, dependency: Dependency | None) -> None:
        """Wait until the check is green (or red). Raises what it means when it does not come."""
        clock = self._site.clock
        until_s = clock.monotonic_s() + within_s
        last = "nothing"
        while clock.monotonic_s() < until_s:
            answer = ask(address, self._web.ready)
            last = f"{answer.status or answer.text}"
            if answer.ok is ok:
                return
            clock.sleep(POLL_S)
        name = dependency.name if dependency else ""
        facts = {"version": self._lane.version, "check": self._web.ready, "within_s": f"{within_s:g}"}
        if not ok:
            raise fail("ready-check-blind", dependency=name, **facts)
        when = f"after {name} was cut and mended" if name else "with every dependency reachable"
        raise fail("ready-check-red", when=when, answer=last, log="logs/scratch.log", **facts)


@contextmanager
def _all(relays: list[Relay]) -> Iterator[None]:
    for relay in relays:
        relay.__enter__()
    try:
        yield
    finally:
        for relay in relays:
            relay.__exit__(None, None, None)
