"""aiohttp's client with two connections: one task reads a response, one keeps one unread, and
others wait for a connection."""
import asyncio
import json
import os

import aiohttp
from aiohttp import web

kept = []


def start(coro, name):
    kept.append(asyncio.ensure_future(coro))
    kept[-1].set_name(name)
    return hex(id(kept[-1]))


async def main():
    asked = asyncio.Semaphore(0)

    async def endless(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x" * 100)
        asked.release()
        await asyncio.Event().wait()

    app = web.Application()
    app.router.add_get("/", endless)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = "http://127.0.0.1:%d/" % runner.addresses[0][1]
    connector = aiohttp.TCPConnector(limit=2)
    session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))

    async def reads():
        async with session.get(url) as response:
            await response.read()

    async def keeps():
        response = await session.get(url)
        await asyncio.Event().wait()
        return response

    have = [start(reads(), "reads"), start(keeps(), "keeps")]
    await asked.acquire()
    await asked.acquire()
    wait = [start(reads(), "waits-%d" % i) for i in range(3)]
    while sum(map(len, connector._waiters.values())) < 3 or len(connector._acquired) < 2:
        await asyncio.sleep(0.01)
    print(json.dumps({"pid": os.getpid(), "pool": hex(id(connector)), "have": have, "wait": wait}), flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
