"""The machinery of one service on this machine: state directory, process manager, proxy, controller.

Rule: what carries the service (proxy, lanes) and what watches it (controller) run under the process manager
and outlive crossfade (I11). Putting the site up is idempotent; nothing that runs is restarted by it.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from crossfade.embedded.haproxy import find_haproxy
from crossfade.host.files import read_json, write_json
from crossfade.host.ports import free_port
from crossfade.model.ports import Clock, Proxy, Runtime
from crossfade.model.requirement import Config
from crossfade.runtime.command import CommandRuntime
from crossfade.runtime.supervisor import SupervisorRuntime
from crossfade.runtime.supervisord import Supervisord, ensure_supervisord, find_supervisord
from crossfade.traffic.command import CommandProxy, CommandSettings
from crossfade.traffic.haproxy import HaproxyProxy
from crossfade.traffic.haproxy_settings import HaproxySettings, Route

CONTROLLER = "controller"
PROXY = "proxy"


@dataclass(frozen=True)
class Site:
    """Where one service's release machinery lives. Building it touches nothing."""

    config: Config
    config_file: Path
    clock: Clock

    @property
    def state_dir(self) -> Path:
        """The state directory, absolute."""
        return (self.config_file.parent / self.config.service.state_dir).resolve()

    @property
    def front(self) -> tuple[str, int]:
        """Where customers' requests come in."""
        host, _, port = self.config.traffic.listen.rpartition(":")
        return host or "127.0.0.1", int(port)

    def put_up(self) -> Supervisord:
        """Start what is not running yet: process manager, proxy, controller."""
        self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignore = self.state_dir / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")  # state and worktrees never belong into the repository around them
        supervisord = ensure_supervisord(self.state_dir, self.clock)
        proxy = self.proxy()
        if isinstance(proxy, HaproxyProxy):
            argv = proxy.install()
            supervisord.add_part(PROXY, argv, directory=self.state_dir, env={}, stop_signal="USR1", priority=50)
        supervisord.add_part(
            CONTROLLER,
            [sys.executable, "-P", "-m", "crossfade.cli.main", "--config", str(self.config_file), "controller"],
            autorestart="unexpected",
            directory=self.config_file.parent,
            env=self._environment(),
            stop_wait_s=15,
            priority=200,
        )
        return supervisord

    def _environment(self) -> dict[str, str]:
        """What the controller needs of our environment: references to the variables that references name."""
        named = set(re.findall(r"env:([A-Za-z_][A-Za-z0-9_]*)", str(self.config)))
        return {name: f"env:{name}" for name in named if name in os.environ}

    def take_down(self) -> None:
        """Stop everything of this service on this machine: for the demo and for tests."""
        supervisord = find_supervisord(self.state_dir, self.clock)
        if supervisord is not None:
            supervisord.shutdown()

    def supervisord(self) -> Supervisord | None:
        """The process manager, where it runs."""
        return find_supervisord(self.state_dir, self.clock)

    def runtime(self) -> Runtime:
        """Where the lanes run."""
        runtime = self.config.runtime
        if runtime.driver == "command":
            tool = runtime.command
            assert tool is not None, "the configuration was checked"
            return CommandRuntime(
                tool.start,
                tool.stop,
                tool.list,
                timeout_s=tool.timeout_s,
                log_tail=tool.log or None,
                directory=str(self.config_file.parent),
            )
        return SupervisorRuntime(self.state_dir, self.clock)

    def proxy(self) -> Proxy:
        """What carries the traffic."""
        traffic = self.config.traffic
        if traffic.driver == "command":
            tool = traffic.command
            assert tool is not None, "the configuration was checked"
            here = str(self.config_file.parent)
            return CommandProxy(
                CommandSettings(
                    tool.set_share, tool.read_share, tool.set_members, tool.list, tool.timeout_s, directory=here
                )
            )
        return HaproxyProxy(self.haproxy_settings(), self.clock)

    def haproxy_settings(self) -> HaproxySettings:
        """HAProxy's settings from the requirement; the collector's port is chosen once and kept."""
        config, traffic = self.config, self.config.traffic
        host, port = self.front
        web = config.processes_of("web")
        longest_ms = max((e.hang_ms for e in config.endpoints), default=0)
        answer_s = max(traffic.answer_timeout_s, config.requirement.drain_s, longest_ms / 1000)
        routes: tuple[Route, ...] = ()
        return HaproxySettings(
            binary=str(find_haproxy(traffic.binary or None).path),
            state_dir=self.state_dir / "proxy",
            host=host,
            port=port,
            collector_port=self.collector_port(),
            health_path=web[0].alive if web else "/",
            unit_cookie=traffic.unit_cookie or None,
            unit_header=traffic.unit_header or None,
            server_timeout_s=answer_s,
            drain_cap_s=config.requirement.drain_s,
            fuse_window_s=traffic.fuse_window_s,
            routes=routes,
        )

    def collector_port(self) -> int:
        """Where the proxy sends its records; the same for every controller of this site."""
        file = self.state_dir / "collector.json"
        known = read_json(file)
        if known is None:
            write_json(file, {"port": free_port()}, durable=True)
            known = read_json(file)
        assert known is not None
        return int(str(known["port"]))
