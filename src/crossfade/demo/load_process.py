"""The process that sends the load: open loop, so a slow service is asked no less often.

Rule: the time of each request is fixed by the schedule alone, and its latency counts from that time. A
generator that waited for answers would send less to a service that hangs and report that all is well.
Nothing is retried: what a client library would hide from its user counts here as seen.

Orders arrive on standard input, one JSON object a line; its end means stop.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from crossfade.demo.ledger import REQUESTS, WRITES, Sent
from crossfade.demo.load import LoadOptions
from crossfade.demo.load_shopper import Ask, Shoppers
from crossfade.demo.load_wire import Wire

FLUSH_EVERY_S = 0.5


class Generator:
    """Sends on schedule and writes both ledgers."""

    def __init__(
        self, options: LoadOptions, wire: Wire, shoppers: Shoppers, out: tuple[TextIO, TextIO], rng: random.Random
    ) -> None:
        self._options = options
        self._wire = wire
        self._shoppers = shoppers
        self._requests, self._writes = out
        self._rng = rng
        self._rate_per_s = options.rate_per_s
        self._changed = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._sent = 0
        loop = asyncio.get_running_loop()
        self._now: Callable[[], float] = loop.time
        self._epoch = time.time() - loop.time()  # ledger times are loop times on the wall clock, so they never jump

    def set_rate(self, rate_per_s: float) -> None:
        """Put another rate in force."""
        self._rate_per_s = max(0.0, rate_per_s)
        self._changed.set()

    def long_request(self, seconds: float) -> None:
        """Send one long request now."""
        self._send(self._shoppers.long_ask(seconds), self._now(), self._options.long_timeout_s)

    async def run(self, until: float) -> None:
        """Send on schedule until cancelled or until the loop's time says so."""
        due = self._now()
        while True:
            if self._rate_per_s == 0:
                await self._wait(until)
                due = self._now()
            else:
                gap = 1 / self._rate_per_s
                due += gap if self._options.arrivals == "constant" else self._rng.expovariate(1 / gap)
                if due > self._now():
                    await self._wait(min(due, until))
                    if self._changed.is_set():
                        due = self._now()
            self._changed.clear()
            if self._now() >= until:
                return
            if self._rate_per_s and self._now() >= due:
                self._send(self._shoppers.next_ask(), due, self._options.timeout_s)

    async def _wait(self, until: float) -> None:
        try:
            async with asyncio.timeout_at(until):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def finish(self) -> None:
        """Wait for what is under way; every request has a timeout, so this ends."""
        while self._under_way:
            await asyncio.wait(tuple(self._under_way))

    def flush(self) -> None:
        """Hand what was written to the system, orders first: an order on file has its request on file later."""
        self._writes.flush()
        self._requests.flush()

    def _send(self, ask: Ask, due: float, timeout_s: float) -> None:
        self._sent += 1
        task = asyncio.get_running_loop().create_task(self._one(ask, due, timeout_s, self._sent))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _one(self, ask: Ask, due: float, timeout_s: float, number: int) -> None:
        request_id = f"{self._shoppers.run}-{number}"
        keep_alive = ask.long or self._rng.random() >= self._options.close_share
        sent_at = self._now()
        answer = await self._wire.send(ask, request_id, timeout_s, keep_alive)
        done_at = self._now()
        try:
            problem = answer.error or self._shoppers.judge(ask, answer)
            if ask.body is not None and ask.key and not problem:
                order = self._shoppers.acknowledged(ask, answer, round(self._epoch + sent_at, 4))
                _write(self._writes, asdict(order))
        except (AttributeError, KeyError, TypeError, ValueError):
            problem = f"status {answer.status} with another body than expected"
        finally:
            self._shoppers.ended(ask)
        _write(
            self._requests,
            asdict(
                Sent(
                    request_id,
                    round(self._epoch + due, 4),
                    round(self._epoch + sent_at, 4),
                    ask.endpoint,
                    ask.path,
                    ask.user,
                    bool(ask.cookie),
                    keep_alive,
                    answer.status,
                    problem,
                    answer.version,
                    answer.slot,
                    round((done_at - due) * 1000, 2),
                    bool(problem),
                )
            ),
        )


def _write(file: TextIO, row: dict[str, Any]) -> None:
    file.write(json.dumps(row, separators=(",", ":")) + "\n")


async def _control(generator: Generator, reader: asyncio.StreamReader) -> None:
    while line := await reader.readline():
        order = json.loads(line)
        if "rate_per_s" in order:
            generator.set_rate(float(order["rate_per_s"]))
        if "long_seconds" in order:
            generator.long_request(float(order["long_seconds"]))


async def _flush(generator: Generator) -> None:
    while True:
        await asyncio.sleep(FLUSH_EVERY_S)
        generator.flush()


async def _run(directory: Path) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    first = await reader.readline()
    if not first:
        return
    options = LoadOptions(**json.loads(first)["options"])
    rng = random.Random(options.seed)  # noqa: S311 - a schedule, not a secret
    run = f"{time.time_ns():x}"
    with (directory / REQUESTS).open("w") as requests, (directory / WRITES).open("w") as writes:
        async with Wire(options.base_url) as wire:
            generator = Generator(options, wire, Shoppers(run, options.users, rng), (requests, writes), rng)
            for at_s in options.long_at_s:
                loop.call_later(at_s, generator.long_request, options.long_seconds)
            background = asyncio.create_task(_flush(generator))
            sending = asyncio.create_task(generator.run(loop.time() + options.max_s))
            control = asyncio.create_task(_control(generator, reader))
            loop.add_signal_handler(signal.SIGTERM, control.cancel)
            await asyncio.wait({sending, control}, return_when=asyncio.FIRST_COMPLETED)
            for task in (sending, control):
                task.cancel()
            await asyncio.gather(sending, control, return_exceptions=True)
            await generator.finish()
            background.cancel()
            generator.flush()
        if sending.done() and not sending.cancelled():
            sending.result()


def main() -> None:
    """Send until told to stop."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a service that hangs holds many connections open
    asyncio.run(_run(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
