"""One PostgreSQL cluster of crossfade's own, for the demo, for tests and for scratch copies.

Rule: `create` may be killed and called again at any moment; it prepares beside the final place and moves
there at the end, so a `data` directory is always a complete one. What was decided for it (as whom it runs,
whether its programs were copied) is read back from the files, so any later process can go on with the same
directory, port and programs. Nothing here keeps a server as its child: `argv` is for a process manager.

A process manager stops it with SIGINT: PostgreSQL ends its sessions and shuts down clean. SIGTERM would
wait until every client has left by itself.

Layout of `directory`: data/, crossfade.conf, password (0600, the superuser's), server.log, programs-VERSION/.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg.conninfo import make_conninfo

from crossfade.embedded import as_user, postmaster
from crossfade.embedded.as_user import RunAs
from crossfade.embedded.files import COPIED_BIN, copy_wheel
from crossfade.embedded.postgres_conf import LOOPBACK, render_settings
from crossfade.embedded.program import PostgresPrograms
from crossfade.host.files import write_private
from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.ports import Clock

SUPERUSER = "postgres"
STOP_SIGNAL = "INT"

_INITDB_TIMEOUT_S = 120
_TAIL_LINES = 15
_POLL_S = 0.05
_MISLEADING = ("PG", "LC_", "LANG")  # variables that would steer initdb and pg_ctl
_BUILTIN_LOCALE_SINCE = 17


def data_major(directory: Path) -> int | None:
    """The major version of the cluster in this directory, which its programs must have; None before `create`."""
    try:
        return int((directory / "data" / "PG_VERSION").read_text(encoding="ascii"))
    except FileNotFoundError:
        return None


@dataclass(frozen=True)
class Cluster:
    """A cluster by its directory, the port it listens on at 127.0.0.1, and the programs that run it."""

    directory: Path
    port: int
    programs: PostgresPrograms

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.directory.absolute() / "data"

    @property
    def log_path(self) -> Path:
        """Where the server's output goes; a process manager is told to write there, too."""
        return self.directory.absolute() / "server.log"

    def create(self, settings: Mapping[str, str], new_token: Callable[[], str]) -> None:
        """Make the cluster unless it exists; its settings are those given, from the next start on."""
        directory = self.directory.absolute()
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.geteuid() == 0:  # another user will have to pass through; what is inside guards itself
            directory.chmod(directory.stat().st_mode & 0o7777 | 0o711)
        exists = self.data.exists()
        if exists:
            self._check_major()
        ways = [self.run_as()] if exists else as_user.ways_here(directory)
        decision = as_user.decide(
            ways, directory, self._program("postgres"), self.programs.source == "wheel", as_user.try_to_run
        )
        if decision.copy_programs:
            copy_wheel(self.programs.bin_dir, self._copied_programs())
        run_as = decision.run_as
        write_private(directory / "crossfade.conf", render_settings(self.port, settings), give=run_as.give)
        if not (directory / "password").exists():
            write_private(directory / "password", new_token())
        if not self.log_path.exists():
            write_private(self.log_path, "", give=run_as.give)
        if not exists:
            self._initdb(run_as)

    def run_as(self) -> RunAs:
        """As whom the server runs; the cluster must exist."""
        return as_user.decided_earlier(self.data)

    def argv(self) -> list[str]:
        """The complete command that runs the server in the foreground; the process id stays the server's."""
        server = [str(self._program("postgres")), "-D", str(self.data), "-p", str(self.port)]
        return self.run_as().argv(self.directory.absolute(), server)

    def admin_url(self) -> str:
        """The superuser's URL. It holds the password: never for argv, logs or the journal."""
        password = (self.directory / "password").read_text(encoding="utf-8")
        return f"postgresql://{SUPERUSER}:{quote(password, safe='')}@{LOOPBACK}:{self.port}/postgres"

    def is_running(self) -> bool:
        """Whether a server runs on this data directory, ready or not, started by whomever."""
        return postmaster.postmaster_pid(self.data) is not None

    def wait_ready(self, timeout_s: float, clock: Clock) -> None:
        """Wait until the server answers a query with this cluster's password; raises `part-did-not-start`."""
        deadline_s = clock.monotonic_s() + timeout_s
        while not self._answers():
            if clock.monotonic_s() >= deadline_s:
                raise self._did_not_start(timeout_s)
            clock.sleep(_POLL_S)

    def clear_stale_pid(self) -> None:
        """Remove a postmaster.pid whose number now belongs to another program, which would prevent a start."""
        if postmaster.stale_pid_file(self.data):
            (self.data / postmaster.PID_FILE).unlink(missing_ok=True)

    def start(self, clock: Clock, timeout_s: int = 60) -> None:
        """Start it without a process manager and wait until it is ready; nothing to do where it runs."""
        deadline_s = clock.monotonic_s() + timeout_s
        while not self._answers():
            if clock.monotonic_s() >= deadline_s:
                raise self._did_not_start(timeout_s)
            # Asked at every turn: a server that was just killed still looks alive, and its children end moments later.
            if not self.is_running() and not any(postmaster.server_processes(self.data)):
                self.clear_stale_pid()
                options = ["-o", f"-p {self.port}", "-l", str(self.log_path)]
                if self._pg_ctl("start", timeout_s, options) != 0:
                    raise self._did_not_start(timeout_s)
            clock.sleep(_POLL_S)

    def stop(self, timeout_s: int = 60) -> None:
        """Shut it down clean, ending its sessions; nothing to do where it does not run."""
        if self.is_running() and self._pg_ctl("stop", timeout_s, ["-m", "fast"]) != 0 and self.is_running():
            raise fail(
                "part-did-not-stop",
                part="PostgreSQL",
                waited_s=timeout_s,
                log=self.log_path,
                tail=self._log_tail(),
            )

    # -- preparation ----------------------------------------------------------------------------------

    def _initdb(self, run_as: RunAs) -> None:
        directory, fresh = self.directory.absolute(), self.directory.absolute() / "data.new"
        if fresh.exists():
            shutil.rmtree(fresh)  # an earlier preparation was killed
        fresh.mkdir(mode=0o700)
        run_as.give(fresh)
        with self._lent_password(run_as) as password_file:
            made = self._run(run_as, "initdb", ["-D", str(fresh), f"--pwfile={password_file}", *self._initdb_options()])
        if made.returncode != 0:
            raise fail(
                "cluster-not-created", directory=directory, tail=_last_lines((made.stderr or made.stdout).strip())
            )
        with (fresh / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.write("\ninclude '../crossfade.conf'\n")
        fresh.rename(self.data)

    def _initdb_options(self) -> list[str]:
        common = ["--no-sync", "--username", SUPERUSER, "--encoding=UTF8"]
        common += ["--auth-host=scram-sha-256", "--auth-local=reject"]
        if self.programs.major >= _BUILTIN_LOCALE_SINCE:  # needs no locale of the machine
            return [*common, "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        return [*common, "--locale=C.UTF-8"]

    @contextmanager
    def _lent_password(self, run_as: RunAs) -> Iterator[Path]:
        """The password in a file of the server's user, for as long as initdb reads it."""
        lent = self.directory.absolute() / "password.initdb"
        write_private(lent, (self.directory / "password").read_text(encoding="utf-8"), give=run_as.give)
        try:
            yield lent
        finally:
            lent.unlink()

    def _check_major(self) -> None:
        found = data_major(self.directory)
        if found != self.programs.major:
            raise fail(
                "cluster-other-version",
                directory=self.directory,
                found=found,
                version=self.programs.version,
                bin_dir=self.programs.bin_dir,
            )

    # -- running --------------------------------------------------------------------------------------

    def _copied_programs(self) -> Path:
        return self.directory.absolute() / f"programs-{self.programs.version}"

    def _program(self, name: str) -> Path:
        copied = self._copied_programs() / COPIED_BIN / name
        return copied if copied.exists() else self.programs.bin_dir / name

    def _pg_ctl(self, action: str, timeout_s: int, options: Sequence[str]) -> int:
        arguments = [action, "-D", str(self.data), "-w", "-t", str(timeout_s), *options]
        return self._run(self.run_as(), "pg_ctl", arguments, timeout_s + _INITDB_TIMEOUT_S, quiet=True).returncode

    def _run(
        self,
        run_as: RunAs,
        name: str,
        arguments: Sequence[str],
        timeout_s: float = _INITDB_TIMEOUT_S,
        quiet: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as the server's user. A server started by it keeps its output open: then be quiet."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_MISLEADING)}
        output = subprocess.DEVNULL if quiet else subprocess.PIPE
        return subprocess.run(
            run_as.argv(self.directory.absolute(), [str(self._program(name)), *arguments]),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            text=True,
            errors="replace",
            env=inherited | {"LC_ALL": "C"},
            timeout=timeout_s,
            start_new_session=True,  # a server must not end with the process group of who started it
            check=False,
        )

    def _answers(self) -> bool:
        target = make_conninfo(self.admin_url(), hostaddr=LOOPBACK, sslmode="disable", connect_timeout=2)
        try:  # whatever PGHOSTADDR and PGSSLMODE say
            with psycopg.connect(target, autocommit=True) as connection:
                connection.execute("select 1")
        except psycopg.Error:
            return False
        return True

    def _did_not_start(self, waited_s: float) -> CrossfadeError:
        return fail(
            "part-did-not-start",
            part="PostgreSQL",
            waited_s=f"{waited_s:g}",
            log=self.log_path,
            tail=self._log_tail(),
        )

    def _log_tail(self) -> str:
        try:
            return _last_lines(self.log_path.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return "(nothing)"


def _last_lines(text: str) -> str:
    return "\n".join(text.splitlines()[-_TAIL_LINES:]) or "(nothing)"
