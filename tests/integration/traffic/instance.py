"""One instance of a service, as a process of its own: says who it is, fails or waits on request.

Usage: instance.py NAME PORT. The paths: /fail/PERMILLE fails that many of 1000 (evenly), /wait/SECONDS
answers late, /headers shows what it was sent, /upgrade turns into an echo, /die ends the process, all else
answers the name.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

NAME, PORT = sys.argv[1], int(sys.argv[2])
asked = 0


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    global asked
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            request, *rows = head.decode("latin-1").split("\r\n")
            path = request.split(" ")[1].partition("?")[0]
            headers = {k.lower(): v.strip() for k, _, v in (row.partition(":") for row in rows if row)}
            await reader.readexactly(int(headers.get("content-length", "0")))
            status, body = "200 OK", NAME
            if path.startswith("/fail/"):
                asked += 1
                permille = int(path.split("/")[2])
                if asked * permille // 1000 != (asked - 1) * permille // 1000:
                    status = "500 Failed"
            elif path.startswith("/wait/"):
                await asyncio.sleep(float(path.split("/")[2]))
            elif path == "/headers":
                body = json.dumps(headers)
            elif path == "/die":
                os._exit(3)
            elif path == "/upgrade":
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
                while line := await reader.readline():
                    writer.write(NAME.encode() + b" heard " + line)
                    await writer.drain()
                return
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", PORT)
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main())
