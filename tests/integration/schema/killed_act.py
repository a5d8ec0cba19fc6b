"""A process of its own that does one act of a change, and kills itself at the first row where it was not killed yet.

Reads from standard input what to do; writes the moment and the unit before it dies, so that the next one gets past it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parent))
from lifecycle import engine_on

from crossfade.model.change import Change


def main() -> None:
    given = json.load(sys.stdin)
    seen = {tuple(one) for one in given["seen"]}

    def die(moment: str, unit: str) -> None:
        if (moment, unit) not in seen:
            print(json.dumps([moment, unit]), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

    engine, change = engine_on(SimpleNamespace(admin_url=given["url"]), die), Change.from_json(given["change"])
    act = {"expand": lambda *rest: engine.expand(change, "v7", *rest)}.get(given["act"])
    (act or (lambda *rest: getattr(engine, given["act"])(change, *rest)))(lambda: True, lambda _text: None)


if __name__ == "__main__":
    main()
