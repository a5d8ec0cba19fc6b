"""A real HAProxy between a test's requests and small instances, all on free loopback ports."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from crossfade.embedded.haproxy import find_haproxy
from crossfade.host.ports import free_port
from crossfade.model.errors import CrossfadeError
from crossfade.model.ports import Address, Fader, ProxyFacts, Record, Slot
from crossfade.signals.ring import RingCollector
from crossfade.traffic.haproxy import HaproxyProxy
from crossfade.traffic.haproxy_settings import HaproxySettings
from crossfade.walk.clock import SystemClock

INSTANCE = Path(__file__).with_name("instance.py")


@dataclass
class Answer:
    """What a client saw."""

    status: int
    text: str


@dataclass
class Town:
    """The proxy, its instances and its collector, as a test handles them."""

    settings: HaproxySettings
    proxy: HaproxyProxy
    log: Path
    process: subprocess.Popen[bytes] | None = None
    instances: dict[str, tuple[subprocess.Popen[bytes], Address]] = field(default_factory=dict)
    collectors: list[RingCollector] = field(default_factory=list)
    kept: http.client.HTTPConnection | None = None

    def start_proxy(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.proxy.argv(), stdout=log, stderr=log)
        self.wait_for(self._proxy_answers, "the proxy answers")

    def _proxy_answers(self) -> bool:
        with contextlib.suppress(CrossfadeError):
            assert self.process is not None
            return self.proxy.pid() == self.process.pid
        return False

    def kill_proxy(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.forget_connection()

    def start_instance(self, name: str, port: int | None = None) -> Address:
        address = Address("127.0.0.1", port or free_port())
        process = subprocess.Popen([sys.executable, str(INSTANCE), name, str(address.port)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        self.instances[name] = (process, address)
        return address

    def kill_instance(self, name: str) -> None:
        process, _ = self.instances.pop(name)
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()

    def lanes(self, left: int = 1, right: int = 1) -> None:
        """Start instances left1, left2 ... and right1 ..., as members that are up."""
        for slot, count in ((Slot.LEFT, left), (Slot.RIGHT, right)):
            self.proxy.set_members(slot, [self.start_instance(f"{slot}{n}") for n in range(1, count + 1)])
        self.wait_up(left + right)

    def wait_up(self, count: int) -> None:
        self.wait_for(lambda: self.count_up() == count, f"{count} members are up")

    def count_up(self) -> int:
        return sum(m.state == "up" for members in self.proxy.observe().members.values() for m in members)

    def collector(self, **extra: int) -> RingCollector:
        collector = RingCollector("127.0.0.1", self.settings.collector_port, SystemClock(), self.proxy.pid, **extra)
        self.collectors.append(collector)
        return collector

    def records(self, collector: RingCollector, count: int) -> list[Record]:
        """The next `count` records; fails when they do not come."""
        got: list[Record] = []

        def enough() -> bool:
            got.extend(collector.take())
            return len(got) >= count

        self.wait_for(enough, f"{count} records", on_failure=lambda: f"got {len(got)}, {collector.health()}")
        assert len(got) == count, f"{len(got)} records instead of {count}"
        return got

    def wait_for(
        self,
        reached: Callable[[], bool],
        what: str,
        within_s: float = 15,
        on_failure: Callable[[], str] | None = None,
    ) -> None:
        until = time.monotonic() + within_s
        while not reached():
            if time.monotonic() > until:
                detail = on_failure() if on_failure else self.log.read_text()[-2000:]
                raise AssertionError(f"not within {within_s} s: {what}; {detail}")
            time.sleep(0.02)

    def get(
        self, path: str = "/", *, method: str = "GET", unit: str | None = None, fresh: bool = False, **headers: str
    ) -> Answer:
        """One request over a kept connection (or a fresh one); never retried here."""
        if fresh or self.kept is None:
            self.forget_connection()
            self.kept = http.client.HTTPConnection("127.0.0.1", self.settings.port, timeout=15)
        if unit is not None:
            headers["cookie"] = f"other=1; sid={unit}"
        all_headers = {key.replace("_", "-"): value for key, value in headers.items()}
        try:
            self.kept.request(method, path, headers=all_headers, body=b"x" if method == "POST" else None)
            response = self.kept.getresponse()
            answer = Answer(response.status, response.read().decode())
        except OSError as exc:
            self.forget_connection()
            return Answer(0, str(exc))
        if response.will_close:
            self.forget_connection()
        return answer

    def forget_connection(self) -> None:
        if self.kept is not None:
            self.kept.close()
            self.kept = None

    def fade(self, old: Slot, share_bp: int, **more: object) -> None:
        self.proxy.set_fader(replace(Fader(old, share_bp, "salt-1"), **more))  # type: ignore[arg-type]

    def facts(self) -> ProxyFacts:
        return self.proxy.observe()

    def close(self) -> None:
        self.forget_connection()
        for collector in self.collectors:
            collector.close()
        for name in list(self.instances):
            self.kill_instance(name)
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def make_town(tmp_path: Path) -> Iterator[Callable[..., Town]]:
    towns: list[Town] = []

    def make(**changes: object) -> Town:
        settings = HaproxySettings(
            binary=str(find_haproxy().path),
            state_dir=tmp_path / f"proxy{len(towns)}",
            host="127.0.0.1",
            port=free_port(),
            collector_port=free_port(),
            unit_cookie="sid",
            unit_header="x-account",
            health_interval_ms=200,
        )
        proxy = HaproxyProxy(replace(settings, **changes), SystemClock())  # type: ignore[arg-type]
        town = Town(proxy.settings, proxy, tmp_path / f"proxy{len(towns)}.log")
        towns.append(town)
        proxy.install()
        town.start_proxy()
        return town

    yield make
    for town in towns:
        town.close()


@pytest.fixture
def town(make_town: Callable[..., Town]) -> Town:
    return make_town()
