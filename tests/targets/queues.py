"""Waits at queues; the target tells who is at the other end of each."""
import asyncio
import json
import os

GLOBAL = []                      # queues that a module has, as soon as there is a loop
kept = []


class App:
    def __init__(self):
        self.full = asyncio.Queue(1)
        self.full.put_nowait(1)


class Part:
    """Has the queue two attributes away."""

    def __init__(self, app):
        self.app = app

    async def consume(self, lock):
        async with lock:
            await self.app.full.get()


async def gets(queue):
    await queue.get()


async def puts(queue, never):
    await never.wait()
    await queue.put(1)


async def joins_global():
    await GLOBAL[0].join()


async def joins(queue):
    await queue.join()


async def ends(queue):
    await queue.get()


def start(coro, name):
    kept.append(asyncio.ensure_future(coro))
    if hasattr(kept[-1], "set_name"):
        kept[-1].set_name(name)
    return hex(id(kept[-1]))


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def begin(never):
    lock, app, empty, lost = asyncio.Lock(), App(), asyncio.Queue(), asyncio.Queue()
    await lock.acquire()
    wakers = {}
    consumer = start(Part(app).consume(lock), "consumer")
    wakers[start(app.full.put(2), "producer")] = [consumer]
    getters = [start(gets(empty), "getter") for _ in range(2)]
    putter = start(puts(empty, never), "putter")
    wakers.update((g, [putter]) for g in getters)
    lost.put_nowait(1)
    start(ends(lost), "ended")
    await settle()
    alone = start(joins(lost), "alone")
    wakers[alone] = []
    GLOBAL.append(asyncio.Queue())
    GLOBAL[0].put_nowait(1)
    wakers[start(joins_global(), "global")] = None
    await settle()
    return {"pid": os.getpid(), "wakers": wakers, "alone": alone, "consumer": consumer}


async def main():
    never = asyncio.Event()
    print(json.dumps(await begin(never)), flush=True)
    await never.wait()


asyncio.run(main())
