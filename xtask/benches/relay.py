"""A registry at a distance: passes bytes on, each so much later, whatever they are.

    relay.py HOST:PORT MILLISECONDS     listens, prints its own HOST:PORT, and ends with its standard input

A process of its own, so that its work is not that of whoever measures. A connection takes one round trip more, as TCP
does. Invariant: the order and the rate of the bytes stay what they were.
"""

import asyncio
import collections
import os
import sys


async def main():
    host, port = sys.argv[1].rsplit(":", 1)
    delay = int(sys.argv[2]) / 1000

    async def connected(reader, writer):
        await asyncio.sleep(2 * delay)
        upstream = await asyncio.open_connection(host, port, limit=1 << 20)
        await asyncio.gather(pass_on(reader, upstream[1], delay), pass_on(upstream[0], writer, delay))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1 << 20, backlog=1024)
    print(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)  # connections that are open are nobody's loss, and no reason to say so


async def pass_on(reader, writer, delay):
    loop = asyncio.get_running_loop()
    pieces = collections.deque()  # (when to send, bytes), until the end, which is empty
    arrived = asyncio.Event()

    async def send():
        while True:
            while not pieces:
                arrived.clear()
                await arrived.wait()
            when, piece = pieces.popleft()
            await asyncio.sleep(max(0, when - loop.time()))
            if not piece:
                break
            writer.write(piece)
            await writer.drain()
        writer.close()

    sender = asyncio.create_task(send())
    try:
        while piece := await reader.read(256 * 1024):
            pieces.append((loop.time() + delay, piece))
            arrived.set()
    except ConnectionError:
        pass
    pieces.append((loop.time() + delay, b""))
    arrived.set()
    try:
        await sender
    except ConnectionError:
        pass


asyncio.run(main())
