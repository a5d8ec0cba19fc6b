"""A load balancer of the team's own, driven by programs the team names.

Rule: each program is asked in two ways at once. Its arguments may hold `{old}`, `{new}`, `{percent}`,
`{share_bp}`, `{slot}` and `{addresses}` (`host:port,host:port`); the same facts are in its environment as
CROSSFADE_OLD, CROSSFADE_NEW, CROSSFADE_SHARE_BP, CROSSFADE_PERCENT, CROSSFADE_SALT, CROSSFADE_SLOT and
CROSSFADE_ADDRESSES. A pin's secret is in CROSSFADE_PIN only, never in an argument, where everyone could read it.

What they print, as JSON on standard output:
- `read_share`: {"new_share_bp": 2500, "old": "left"}
- `list` (optional): {"members": {"left": [{"place", "host", "port", "state", "in_flight"}]},
  "in_flight": [{"key", "slot", "age_ms"}], "requests_total": 0, "started_at": ""}

What such a balancer cannot give is said, not pretended: it has no fuse (`has_fuse`), and it may not know
marks. A program that fails, hangs or prints something else is an error with its own words in it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from crossfade.model.errors import CrossfadeError, fail
from crossfade.model.ports import FULL_BP, Address, Fader, InFlight, Member, ProxyFacts, Slot

TAIL_LINES = 8
SHARE_EXPECTED = '{"new_share_bp": 0 to 10000, "old": "left" or "right"}'
LIST_EXPECTED = '{"members": {"left": [{"place", "host", "port", "state", "in_flight"}]}, ...}'


@dataclass(frozen=True)
class CommandSettings:
    """The programs, each as a list of arguments; an empty one is not there."""

    set_share: Sequence[str]
    read_share: Sequence[str]
    set_members: Sequence[str] = ()
    list: Sequence[str] = ()
    timeout_s: float = 10.0
    directory: str | None = None  # where they run: beside crossfade.toml


class CommandProxy:
    """`Proxy` over the team's programs."""

    has_fuse = False

    def __init__(self, settings: CommandSettings) -> None:
        self._settings = settings
        self._asked: Fader | None = None  # salt and pin as asked for: read_share need not know them
        self._set: dict[Slot, Sequence[Member]] = {slot: [] for slot in Slot}
        self._mark = ""

    @property
    def knows_members(self) -> bool:
        """Whether `observe` can tell members; without `list` it repeats, as up, what was set last."""
        return bool(self._settings.list)

    def set_fader(self, fader: Fader) -> None:
        """Run `set_share`. A fuse that is asked for is not armed: there is none."""
        fader.check_invariants()
        self._asked = replace(fader, fuse=None)
        self._run("set_share", self._settings.set_share, self._facts(fader))

    def set_members(self, slot: Slot, addresses: Sequence[Address]) -> None:
        """Run `set_members`; without one the team's deploy tool does that."""
        self._set[slot] = [Member("", address, "up", 0) for address in addresses]
        if self._settings.set_members:
            joined = ",".join(f"{at.host}:{at.port}" for at in addresses)
            self._run("set_members", self._settings.set_members, {"slot": str(slot), "addresses": joined})

    def set_mark(self, mark: str) -> None:
        """Kept for the programs' environment (CROSSFADE_MARK); records carry it only if the balancer does."""
        self._mark = mark

    def in_force(self) -> tuple[Fader, str]:
        """The fader as asked for last (read where it never was) and the mark: for records that do not say them."""
        return self._asked or self.observe().fader, self._mark

    def observe(self) -> ProxyFacts:
        """Run `read_share`, and `list` where there is one."""
        name, argv = "read_share", self._settings.read_share
        raw = self._json(name, argv, SHARE_EXPECTED)
        try:
            share, old = raw["new_share_bp"], Slot(str(raw["old"]))
            if not isinstance(share, int) or isinstance(share, bool) or not 0 <= share <= FULL_BP:
                raise ValueError(share)
        except (KeyError, ValueError) as exc:
            raise self._garbled(name, argv, SHARE_EXPECTED, json.dumps(raw)) from exc
        base = self._asked if self._asked is not None else Fader(old, share, "")
        facts = ProxyFacts(replace(base, old=old, new_share_bp=share), False, dict(self._set), (), 0, "")
        return self._listed(facts) if self._settings.list else facts

    def _listed(self, facts: ProxyFacts) -> ProxyFacts:
        name, argv = "list", self._settings.list
        raw = self._json(name, argv, LIST_EXPECTED)
        try:
            return replace(
                facts,
                members={slot: [_member(m) for m in raw["members"].get(str(slot), [])] for slot in Slot},
                in_flight=[
                    InFlight(str(one["key"]), Slot(one["slot"]), int(one["age_ms"])) for one in raw.get("in_flight", [])
                ],
                requests_total=int(raw.get("requests_total", 0)),
                started_at=str(raw.get("started_at", "")),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise self._garbled(name, argv, LIST_EXPECTED, json.dumps(raw)) from exc

    # -- running them -----------------------------------------------------------------------------

    def _facts(self, fader: Fader) -> dict[str, str]:
        return {
            "old": str(fader.old),
            "new": str(fader.old.other),
            "share_bp": str(fader.new_share_bp),
            "percent": f"{fader.new_share_bp / 100:g}",
            "salt": fader.salt,
            "pin": fader.pin,
        }

    def _run(self, name: str, argv: Sequence[str], facts: Mapping[str, str]) -> str:
        known = {**facts, "mark": self._mark}
        env = {f"CROSSFADE_{key.upper()}": value for key, value in known.items()}
        open_facts = {key: value for key, value in facts.items() if key != "pin"}
        told = [_fill(word, open_facts) for word in argv]
        shown = " ".join(told)
        names = ", ".join(sorted(env))
        try:
            done = subprocess.run(
                told,
                capture_output=True,
                text=True,
                timeout=self._settings.timeout_s,
                cwd=self._settings.directory,
                env={**os.environ, **env},
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            ended = f"not within {self._settings.timeout_s:g} s"
            raise fail("traffic-command-failed", name=name, argv=shown, ended=ended, tail="", env=names) from exc
        except OSError as exc:
            ended = f"not started: {exc.strerror}"
            raise fail("traffic-command-failed", name=name, argv=shown, ended=ended, tail="", env=names) from exc
        if done.returncode != 0:
            tail = "\n".join(done.stderr.strip().splitlines()[-TAIL_LINES:])
            ended = f"exit code {done.returncode}"
            raise fail("traffic-command-failed", name=name, argv=shown, ended=ended, tail=tail, env=names)
        return done.stdout

    def _json(self, name: str, argv: Sequence[str], expected: str) -> dict[str, Any]:
        printed = self._run(name, argv, {})
        try:
            raw = json.loads(printed)
        except ValueError as exc:
            raise self._garbled(name, argv, expected, printed) from exc
        if not isinstance(raw, dict):
            raise self._garbled(name, argv, expected, printed)
        return raw

    def _garbled(self, name: str, argv: Sequence[str], expected: str, found: str) -> CrossfadeError:
        first = found.strip().splitlines()[0][:200] if found.strip() else "nothing"
        return fail("traffic-command-garbled", name=name, argv=" ".join(argv), expected=expected, found=first)


def _fill(word: str, facts: Mapping[str, str]) -> str:
    for key, value in facts.items():
        word = word.replace("{" + key + "}", value)
    return word


def _member(raw: Mapping[str, object]) -> Member:
    address = Address(str(raw["host"]), int(str(raw["port"])))
    return Member(str(raw.get("place", "")), address, str(raw["state"]), int(str(raw.get("in_flight", 0))))
