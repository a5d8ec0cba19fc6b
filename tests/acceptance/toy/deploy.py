"""A team's own deploy tool, as small as one can be: `deploy.py start|stop|list|log`, run where its files are."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

HOME = Path("deployed")


def known(slot):
    file = HOME / f"{slot}.json"
    return json.loads(file.read_text()) if file.exists() else []


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def filled(text, facts):
    for name, value in facts.items():
        text = text.replace("{" + name + "}", str(value))
    return Path(text.removeprefix("file:")).read_text().strip() if text.startswith("file:") else text


def start():
    lane = json.load(sys.stdin)
    slot, digest = lane["slot"], lane["digest"]
    running = known(slot)
    if running and all(one["digest"] == digest and alive(one["pid"]) for one in running):
        return
    stop(slot)
    rows = []
    for process in lane["processes"]:
        for index in range(process["instances"]):
            port = free_port()
            facts = {"port": port, "slot": slot, "version": lane["version"], "index": index}
            with (HOME / f"{slot}.log").open("ab") as log:
                child = subprocess.Popen(
                    [filled(word, facts) for word in process["command"]],
                    cwd=process["directory"],
                    env={"PATH": os.environ["PATH"], **{k: filled(v, facts) for k, v in process["env"].items()}},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            rows.append(
                {
                    "slot": slot,
                    "version": lane["version"],
                    "digest": digest,
                    "name": f"{process['role']}-{index}",
                    "role": process["role"],
                    "host": "127.0.0.1",
                    "port": port,
                    "pid": child.pid,
                }
            )
    (HOME / f"{slot}.json").write_text(json.dumps(rows))


def stop(slot):
    pids = [one["pid"] for one in known(slot) if alive(one["pid"])]
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + 20
    while any(map(alive, pids)):
        if time.monotonic() > until:
            for pid in filter(alive, pids):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    (HOME / f"{slot}.json").unlink(missing_ok=True)


def main():
    HOME.mkdir(exist_ok=True)
    match sys.argv[1]:
        case "start":
            start()
        case "stop":
            stop(os.environ["CROSSFADE_SLOT"])
        case "list" if (HOME / "broken").exists():
            sys.exit("the tool has a bad day")
        case "list":
            rows = [*known("left"), *known("right")]
            print(json.dumps([{**one, "state": "running" if alive(one["pid"]) else "failed"} for one in rows]))
        case "log":
            file = HOME / f"{os.environ['CROSSFADE_SLOT']}.log"
            print(file.read_text() if file.exists() else "")


main()
