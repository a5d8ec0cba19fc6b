"""The events of one release, kept beside the journal so that a verdict survives the death of who was judging.

Rule: what was fed to the judge is written first, in the same order, one JSON object a line:
`{"t", "lane", "share", "endpoint", "unit", "ok", "ms"}`, and `{"begin": t}` or `{"step": t}` where a position
begins. Replaying the file gives the same verdict, event for event. It is flushed, not fsynced: losing its last
moments with the machine costs evidence, never correctness. A torn last line is left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from crossfade.model.verdict import Event


class Judging(Protocol):
    """What takes events: the judge."""

    def begin(self, t_s: float) -> None:
        """The first share of this attempt is in force."""

    def mark_step(self, t_s: float) -> None:
        """A further position begins."""

    def feed(self, events: Sequence[Event]) -> None:
        """Take events, in order."""


class EventLog:
    """One release's event file. Hands everything on to the judge, after it was written."""

    def __init__(self, file: Path, judge: Judging) -> None:
        self._file, self._judge = file, judge
        file.parent.mkdir(parents=True, exist_ok=True)
        self.hung: list[str] = []  # keys of requests that were counted as hung before
        self.begun_s: float | None = None  # when the attempt began, where it did before
        self.last_step: int | None = None  # index of the position marked last
        self._replay()
        if file.exists() and file.stat().st_size and not _ends_whole(file):
            self._append("\n")

    def begin(self, t_s: float, index: int) -> None:
        """The attempt's first share is in force."""
        self._append(_line({"begin": t_s, "index": index}))
        self.begun_s, self.last_step = t_s, index
        self._judge.begin(t_s)

    def step(self, t_s: float, index: int) -> None:
        """A further position begins."""
        self._append(_line({"step": t_s, "index": index}))
        self.last_step = index
        self._judge.mark_step(t_s)

    def feed(self, events: Sequence[Event], hung_keys: Sequence[str] = ()) -> None:
        """Write events, then judge them."""
        if not events:
            return
        keys, text = iter(hung_keys), []
        for event in events:
            line: dict[str, object] = {
                "t": event.t_s,
                "lane": event.lane,
                "share": event.share_bp / 10_000,
                "endpoint": event.endpoint,
                "unit": event.unit,
                "ok": not event.failed,
                "ms": event.ms,
            }
            if event.hung:
                line["hung"] = next(keys, "")
            text.append(_line(line))
        self._append("".join(text))
        self._judge.feed(events)

    def _append(self, text: str) -> None:
        with self._file.open("a", encoding="utf-8") as out:
            out.write(text)

    def _replay(self) -> None:
        batch: list[Event] = []
        for line in read_lines(self._file):
            if "lane" in line:
                batch.append(event_of(line))
                if line.get("hung"):
                    self.hung.append(str(line["hung"]))
                continue
            if batch:
                self._judge.feed(batch)
                batch = []
            if "begin" in line:
                self.begun_s = float(str(line["begin"]))
                self._judge.begin(self.begun_s)
            elif "step" in line:
                self._judge.mark_step(float(str(line["step"])))
            self.last_step = int(str(line["index"]))
        if batch:
            self._judge.feed(batch)


def read_lines(file: Path) -> Iterator[dict[str, object]]:
    """The whole lines of an event file; a torn one is passed over."""
    if not file.exists():
        return
    with file.open(encoding="utf-8") as lines:
        for text in lines:
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict):
                yield line


def event_of(line: dict[str, object]) -> Event:
    """An event from its line."""
    lane = line["lane"]
    assert lane in ("old", "new"), line
    return Event(
        t_s=float(str(line["t"])),
        lane="new" if lane == "new" else "old",
        share_bp=round(float(str(line["share"])) * 10_000),
        endpoint=str(line["endpoint"]),
        unit=str(line["unit"]),
        failed=not line["ok"],
        ms=float(str(line["ms"])),
        hung="hung" in line,
    )


def _line(value: dict[str, object]) -> str:
    return json.dumps(value, separators=(",", ":")) + "\n"


def _ends_whole(file: Path) -> bool:
    with file.open("rb") as end:
        end.seek(-1, os.SEEK_END)
        return end.read(1) == b"\n"
