"""A team's own load balancer, as far as a test needs one: remembers what it was told.

Usage: balancer.py STATE_FILE share|read|members|list|records|hang|fail|babble [arguments]
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

state_file, what, *rest = sys.argv[1:]
state = Path(state_file)
known = json.loads(state.read_text()) if state.exists() else {"new_share_bp": 0, "old": "left"}
env = {k: v for k, v in os.environ.items() if k.startswith("CROSSFADE_")}
if what == "share":
    new_share_bp = int(env["CROSSFADE_SHARE_BP"])
    state.write_text(json.dumps({"new_share_bp": new_share_bp, "old": env["CROSSFADE_OLD"], "args": rest, "env": env}))
elif what == "members":
    state.with_suffix(".members").write_text(json.dumps({"args": rest, "env": env}))
elif what == "read":
    print(json.dumps({key: known[key] for key in ("new_share_bp", "old")}))
elif what == "list":
    member = {"place": "a", "host": "127.0.0.1", "port": 7001, "state": "up", "in_flight": 2}
    flying = {"key": "k1", "slot": "left", "age_ms": 12}
    print(json.dumps({"members": {"left": [member]}, "in_flight": [flying], "requests_total": 5, "started_at": "x"}))
elif what == "records":
    start = {"t": 1795476717.5, "lane": "new", "share": 25, "path": "/orders?x=1", "method": "post", "ms": 41.5}
    print(json.dumps({**start, "status": 201, "unit": "ann"}), flush=True)
    print(json.dumps({**start, "lane": "left", "ok": False}), flush=True)
    print("not a record", flush=True)
    if rest != ["once"]:
        time.sleep(60)
elif what == "hang":
    time.sleep(60)
elif what == "fail":
    print("no such pool", file=sys.stderr)
    sys.exit(3)
elif what == "babble":
    print('{"new_share_bp": 20000, "old": "left"}')
