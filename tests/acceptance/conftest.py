"""Given a shop that serves customers on real parts, and the installed command line beside it.

One stage (PostgreSQL, HAProxy, process manager, controller, the shop's versions) is set up for all tests and
handed on: a test begins with no release under way and may not rely on which of the two good versions serves,
so tests run in any order. A test that leaves the stage in ruins gets the next one a new stage.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from crossfade.demo.ledger import Ledger
from crossfade.demo.load import Load, LoadOptions
from crossfade.demo.stage import POSTGRES, Stage
from crossfade.journal.spool import Spool
from crossfade.model.ports import ProxyFacts, Row
from crossfade.model.walker import ENDED
from crossfade.runtime.supervisord import Supervisord
from crossfade.walk.asks import Asks
from crossfade.walk.begin import current, make_plan
from crossfade.walk.clock import SystemClock
from crossfade.walk.health import ask
from crossfade.walk.loop import read_release
from crossfade.walk.site import CONTROLLER, Site
from crossfade.walk.status import Status, read_status

sys.path.insert(0, str(Path(__file__).parent))
from shaped import Shaped, ShapedStages

CROSSFADE = str(Path(sys.executable).with_name("crossfade"))
GOOD = ("v1", "v2")
RATE_PER_S = 80.0
# Limits that few requests can show to hold, so that a release takes seconds at a rate two cores can carry.
EASY = {
    "availability = 0.98": "availability = 0.90",
    "error_ratio_max = 0.02": "error_ratio_max = 0.08",
    "slow_ratio_max = 0.1": "slow_ratio_max = 0.2",
    "keep_warm_s = 4": "keep_warm_s = 3",
    "fuse_ratio = 0.03": "fuse_ratio = 0.1",
}
HARD: Mapping[str, str] = {}  # the demo's own limits


@dataclass
class Shown:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """The last line of standard output, as data."""
        answer: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return answer


@dataclass
class Traffic:
    """The load of one test. `ledger` is there once the load has ended."""

    load: Load
    ledger: Ledger = field(default_factory=Ledger)


class Service:
    """The shop on its stage, as the person sees it who releases it."""

    EASY, HARD = EASY, HARD

    def __init__(self, base: Path) -> None:
        self.stage = Stage(base, SystemClock())
        self.edits: dict[str, str] = {}  # of every configuration of this service
        self.tail = ""
        self._loads = 0

    # -- the parts --------------------------------------------------------------------------------

    def set_up(self) -> None:
        """Everything, with v1 serving."""
        self.stage.set_up((50, 100))
        self.configure()
        told = self.crossfade("release", "v1", timeout_s=120)
        assert told.code == 0, told.err

    def configure(self, shares: Sequence[float] = (50, 100), edits: Mapping[str, str] = EASY) -> None:
        """Write crossfade.toml: the demo's, with these shares and edits."""
        self.stage.configure(shares)
        text = self.stage.config_file.read_text()
        for before, after in {**edits, **self.edits}.items():
            assert before in text, before
            text = text.replace(before, after)
        self.stage.config_file.write_text(text + self.tail)

    @property
    def site(self) -> Site:
        """The site, as the configuration is now."""
        return self.stage.site()

    @property
    def state_dir(self) -> Path:
        """Where the state is."""
        return self.stage.directory / "state"

    @property
    def supervisord(self) -> Supervisord:
        """The process manager."""
        found = self.site.supervisord()
        assert found is not None
        return found

    def proxy(self) -> ProxyFacts:
        """What the proxy says now."""
        return self.site.proxy().observe()

    def spool(self) -> Spool:
        """The local journal."""
        return Spool(self.state_dir / "spool.jsonl", self.stage.clock)

    def rows(self, release: str | None = None) -> list[Row]:
        """The journal's rows."""
        spool = self.spool()
        try:
            return list(spool.rows(release))
        finally:
            spool.close()

    def serving(self) -> str:
        """The version that serves alone now, by the journal."""
        spool = self.spool()
        try:
            lane = current(spool).lane
        finally:
            spool.close()
        assert lane is not None
        return lane.version

    def pair(self) -> tuple[str, str]:
        """The version that serves, and a good one that does not."""
        old = self.serving()
        return old, next(version for version in GOOD if version != old)

    # -- the command ------------------------------------------------------------------------------

    def crossfade(self, *arguments: str, timeout_s: float = 60, config: str = "") -> Shown:
        """The installed command, as a script runs it."""
        done = subprocess.run(
            [CROSSFADE, "--config", config or str(self.stage.config_file), *arguments],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            cwd=self.stage.directory,
            check=False,
        )
        return Shown(done.returncode, done.stdout, done.stderr)

    def begin(self, version: str) -> str:
        """Begin a release and leave it to itself."""
        told = self.crossfade("release", version, "--detach", "--output", "json")
        assert told.code == 0, told.err
        return str(told.data["release"])

    def status(self) -> Status:
        """What the walker said last."""
        found = read_status(self.state_dir)
        assert found is not None
        return found

    def until(self, release: str, *names: str, within_s: float = 120) -> Status:
        """Wait for a phase or a position."""

        def there() -> Status | None:
            status = read_status(self.state_dir)
            fits = status is not None and status.release == release and {status.phase, status.position} & set(names)
            return status if fits else None

        return wait_for(there, within_s, lambda: f"{' or '.join(names)}; {read_status(self.state_dir)}")

    def ended(self, release: str, within_s: float = 120) -> Status:
        """Wait for the end of a release."""
        return self.until(release, *map(str, ENDED), within_s=within_s)

    # -- the controller ---------------------------------------------------------------------------

    def controller(self) -> int:
        """The controller's pid."""
        pid = self.supervisord.part_state(CONTROLLER).pid
        assert pid is not None
        return pid

    def kill_controller(self) -> int:
        """SIGKILL it, and wait for the one that the process manager starts in its place; its pid."""
        before = self.controller()
        os.kill(before, signal.SIGKILL)

        def another() -> int | None:
            state = self.supervisord.part_state(CONTROLLER)
            return state.pid if state.state == "running" and state.pid not in (before, None) else None

        return wait_for(another, 30, "another controller")

    def run_controller(self, *options: str) -> subprocess.Popen[bytes]:
        """A controller beside the process manager's, with the same configuration."""
        log = (self.stage.directory / "second.log").open("ab")
        with log:
            return subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "crossfade.cli.main",
                    "--config",
                    self.stage.config_file,
                    "controller",
                    *options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.stage.directory,
            )

    def end_controller(self, process: subprocess.Popen[bytes]) -> int:
        """Ask it to end unless it has; its exit code."""
        if process.poll() is None:
            process.terminate()
        try:
            return process.wait(20)
        finally:
            process.kill()
            process.wait()

    def ask_release(self, version: str) -> str:
        """Ask for a release as the command does, without starting the process manager's controller."""
        now = self.stage.clock.now()
        release = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        spool = self.spool()
        try:
            digest = make_plan(self.site, spool, version).path.digest
        finally:
            spool.close()
        data = {"version": version, "path_digest": digest, "release": release}
        Asks(self.state_dir).put("release", now, data)
        return release

    def is_over(self, release: str) -> bool:
        """Whether the journal has the end of the release."""
        found = read_release(self.rows())
        return found is not None and found.id == release and found.state.phase in ENDED

    # -- customers --------------------------------------------------------------------------------

    @contextmanager
    def customers(self, rate_per_s: float = RATE_PER_S) -> Iterator[Traffic]:
        """Customers at this rate, half of them without a cookie, for as long as the block runs."""
        self._loads += 1
        options = LoadOptions(self.stage.base_url, rate_per_s=rate_per_s, users=60, max_s=600)
        traffic = Traffic(Load(options, self.stage.directory / f"load-{self._loads}"))
        with traffic.load:
            time.sleep(1.5)
            yield traffic
            traffic.ledger = traffic.load.stop()
        assert traffic.ledger.requests > rate_per_s, "customers came"

    def lost_writes(self, ledger: Ledger) -> list[Any]:
        """What was acknowledged and is not stored as it was."""
        return ledger.lost_writes(self.stage.admin_url)

    # -- mending ----------------------------------------------------------------------------------

    def mend(self) -> None:
        """What a test may have left: stopped parts, an unanswered ask, a release under way. Raises where it cannot."""
        self.configure()
        self.supervisord.start_part(POSTGRES)
        self.stage.cluster.wait_ready(60, self.stage.clock)
        asks = Asks(self.state_dir)
        for left in asks.pending():
            asks.withdraw(left)
        self.supervisord.start_part(CONTROLLER)
        with suppress(psutil.Error, AssertionError):
            psutil.Process(self.controller()).resume()
        release = read_release(self.rows())
        if release is not None and release.state.phase not in ENDED:
            self.crossfade("rollback")
            self.ended(release.id, within_s=60)
        self.answering()

    def answering(self) -> None:
        """Wait until the shop's pools have found the database again, which is not crossfade's business."""

        def ready() -> bool:
            instances = [one for lane in self.site.runtime().observe().values() for one in lane.instances]
            return bool(instances) and all(ask(one.address, "/readyz").ok for one in instances if one.address)

        wait_for(ready, 30, "the shop is ready")  # asked directly: the proxy would count what fails


def wait_for(look: Callable[[], Any], within_s: float, what: object) -> Any:
    """Wait until `look` finds something, and return it."""
    until_s = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < until_s, f"not within {within_s:g} s: {what() if callable(what) else what}"
        time.sleep(0.03)
    return found


@dataclass
class Stages:
    """The stage in use; replaced where it cannot be mended."""

    service: Service | None = None

    def ready(self) -> Service:
        """A stage without a release under way."""
        if self.service is not None:
            try:
                self.service.mend()
            except Exception as error:
                print(f"the stage is given up: {error!r}")
                self.strike()
        if self.service is None:
            self.service = made_service()
            self.service.set_up()
        return self.service

    def strike(self) -> None:
        """Stop everything and remove it."""
        service, self.service = self.service, None
        if service is not None:
            service.stage.strike(keep=False)


@pytest.fixture(scope="session")
def stages() -> Iterator[Stages]:
    """All tests' stage."""
    kept = Stages()
    yield kept
    if os.environ.get("CROSSFADE_KEEP_STAGE") and kept.service is not None:
        print(f"kept: {kept.service.stage.directory}")
        return
    kept.strike()


@pytest.fixture
def service(stages: Stages) -> Service:
    """The shop, with one version serving alone and no release under way."""
    return stages.ready()


def made_service() -> Service:
    """A service that is not set up yet, in a directory of its own."""
    base = Path(tempfile.mkdtemp(prefix="crossfade-acceptance-"))
    base.chmod(0o711)
    return Service(base.resolve())


@pytest.fixture(scope="session")
def shaped_stages() -> Iterator[ShapedStages]:
    """The stage of all tests whose releases change the schema and come back to the base."""
    kept = ShapedStages(made_service)
    yield kept
    if os.environ.get("CROSSFADE_KEEP_STAGE") and kept.shaped is not None:
        print(f"kept: {kept.shaped.service.stage.directory}")
        return
    kept.strike()


@pytest.fixture
def shaped(shaped_stages: ShapedStages) -> Shaped:
    """The shop on the base schema, with v1 or v1b serving alone and no release under way."""
    return shaped_stages.ready()


@pytest.fixture
def new_shaped() -> Iterator[Shaped]:
    """A shop with a stage of the test's own, which is not set yet."""
    shaped = Shaped(made_service())
    yield shaped
    if os.environ.get("CROSSFADE_KEEP_STAGE"):
        print(f"kept: {shaped.service.stage.directory}")
        return
    shaped.service.stage.strike(keep=False)


@pytest.fixture
def own_shaped(new_shaped: Shaped) -> Shaped:
    """The same, with v1 serving; it need not come back to the base schema."""
    new_shaped.set_up()
    return new_shaped


@pytest.fixture
def new_service() -> type[Service]:
    """Makes a service with a stage of its own, which the test strikes."""
    return Service


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Seeded; `--seed N` replays what a failure printed."""
    seed = request.config.getoption("--seed")
    seed = secrets.randbelow(2**32) if seed is None else seed
    print(f"replay with: pytest {request.node.nodeid} --seed {seed}")
    return random.Random(seed)


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """`wait_for`, for what no method of the service waits for."""
    return wait_for


@pytest.fixture
def own_directory() -> Iterator[Path]:
    """A directory that PostgreSQL's user may pass through."""
    base = Path(tempfile.mkdtemp(prefix="crossfade-acceptance-"))
    base.chmod(0o711)
    yield base.resolve()
    shutil.rmtree(base, ignore_errors=True)
