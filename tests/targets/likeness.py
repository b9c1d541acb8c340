"""likeness.py handshake|hello: tasks that are alike those of a pool, and hold nothing.

handshake: a context manager gives its permit back before its body runs. hello: one takes an
item out of a queue, which it keeps."""
import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager


class Client:
    def __init__(self):
        self.sem = asyncio.BoundedSemaphore(1)

    @asynccontextmanager
    async def session(self, seconds=0):
        await self.sem.acquire()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.sem.release()
        yield self


class Bus:
    def __init__(self):
        self.queue = asyncio.Queue()

    @asynccontextmanager
    async def subscribe(self):
        hello = await self.queue.get()
        yield hello


def start(coro, name):
    task = asyncio.ensure_future(coro)
    task.set_name(name)
    return task


async def child(client):
    async with client.session():
        pass


async def parent(client):
    async with client.session():
        slow = start(one(client, 3600), "slow")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waits = start(child(client), "child")
        tell({"slow": hex(id(slow)), "waits": [hex(id(waits))]})
        await waits


async def one(client, seconds):
    async with client.session(seconds):
        pass


async def sub(bus):
    async with bus.subscribe():
        await asyncio.sleep(3600)


def tell(truth):
    print(json.dumps(dict(truth, pid=os.getpid())), flush=True)


async def main():
    if sys.argv[1] == "handshake":
        await parent(Client())
    bus = Bus()
    subs = [start(sub(bus), "sub%d" % i) for i in range(3)]
    bus.queue.put_nowait("hello")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tell({"waits": [hex(id(t)) for t in subs[1:]]})
    await asyncio.sleep(3600)


asyncio.run(main())
