"""A team's own load balancer, as small as one can be, run where its files are.

    balancer.py serve PORT | share OLD SHARE_BP | shown | members SLOT ADDRESSES | records

It reads its settings for each request, sends each on to one member, keeps the slot a request is pinned to,
names the slot in the answer, and writes one record a request.
"""

import json
import os
import random
import sys
import time
from pathlib import Path

SETTINGS, RECORDS = Path("balancer.json"), Path("records.jsonl")
EMPTY = {"old": "left", "share_bp": 0, "pin": "", "members": {"left": [], "right": []}}
OTHER = {"left": "right", "right": "left"}


def read():
    return json.loads(SETTINGS.read_text()) if SETTINGS.exists() else EMPTY


def write(**changes):
    partial = SETTINGS.with_suffix(f".{os.getpid()}")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps({**read(), **changes}))
    partial.replace(SETTINGS)


def serve(port):
    import aiohttp
    from aiohttp import web

    turn = {"left": 0, "right": 0}
    hidden = {"host", "connection", "transfer-encoding", "content-length", "x-crossfade-pin", "keep-alive"}

    async def handle(request):
        began, settings = time.time(), read()
        old, bp = settings["old"], settings["share_bp"]
        unit = request.cookies.get("shop_session", "")
        draw = random.Random(unit).random() if unit else random.random()
        slot = OTHER[old] if draw * 10_000 < bp else old
        pin, _, wanted = request.headers.get("x-crossfade-pin", "").partition(":")
        pinned = bool(pin) and pin == settings["pin"] and wanted in OTHER
        slot = wanted if pinned else slot
        members = settings["members"][slot]
        status, headers, body = 503, {}, b"no member"
        if members:
            turn[slot] += 1
            url = f"http://{members[turn[slot] % len(members)]}{request.path_qs}"
            sent = {k: v for k, v in request.headers.items() if k.lower() not in hidden}
            try:
                async with session.request(
                    request.method, url, headers=sent, data=await request.read(), allow_redirects=False
                ) as answer:
                    status, body = answer.status, await answer.read()
                    headers = [(k, v) for k, v in answer.headers.items() if k.lower() not in hidden]
            except aiohttp.ClientError:
                status, body = 502, b"no answer"
        record = {
            "t": began,
            "lane": slot,
            "share": bp / 100,
            "path": request.path,
            "method": request.method,
            "status": status,
            "ms": (time.time() - began) * 1000,
            "unit": unit,
            "pinned": pinned,
        }
        records.write(json.dumps(record) + "\n")
        records.flush()
        reply = web.Response(status=status, body=body, headers=headers)
        reply.headers["x-crossfade-slot"] = slot
        return reply

    async def application():
        nonlocal session
        # A connection of its own for each request: a member that ends never ends one that was kept.
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0), auto_decompress=False
        )
        app = web.Application()

        async def end(_):
            await session.close()

        app.on_cleanup.append(end)
        app.router.add_route("*", "/{rest:.*}", handle)
        return app

    session = None
    with RECORDS.open("a") as records:
        web.run_app(application(), host="127.0.0.1", port=port, print=None, access_log=None)


def follow():
    RECORDS.touch()
    with RECORDS.open() as records:
        records.seek(0, os.SEEK_END)
        rest = ""
        while True:
            rest += records.read()
            lines, _, rest = rest.rpartition("\n")
            if lines:
                print(lines, flush=True)
            time.sleep(0.1)


def main():
    match sys.argv[1:]:
        case ["serve", port]:
            serve(int(port))
        case ["share", old, share_bp]:
            write(old=old, share_bp=int(share_bp), pin=os.environ["CROSSFADE_PIN"])
        case ["shown"]:
            settings = read()
            print(json.dumps({"new_share_bp": settings["share_bp"], "old": settings["old"]}))
        case ["members", slot, addresses]:
            write(members={**read()["members"], slot: [one for one in addresses.split(",") if one]})
        case ["records"]:
            follow()


main()
