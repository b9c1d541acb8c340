"""Tasks and threads that stand at the same places: crowds of workers, a parent each with
children that are alike, and some that are not."""
import asyncio
import json
import os
import threading

N = 412
kept = []
stop = threading.Event()


def start(name, coro):
    t = asyncio.ensure_future(coro)
    kept.append((name, t))
    return t


async def take(lock):
    async with lock:
        pass


async def sleep_long():
    await asyncio.sleep(10000)


async def forever():
    await asyncio.get_event_loop().create_future()


async def family(n):
    """Awaits n children, of which one sleeps."""
    await asyncio.gather(*[start("child", forever()) for _ in range(n)], start("sleeper", sleep_long()))


async def one(of):
    await of


def stand():
    stop.wait()


async def main():
    locks = [asyncio.Lock(), asyncio.Lock()]
    for lock in locks:
        await lock.acquire()
    for _ in range(N):
        start("first", take(locks[0]))
    for _ in range(3):
        start("second", take(locks[1]))
    for _ in range(5):
        start("family", family(4))
    start("larger", family(5))
    shared = start("shared", forever())
    for _ in range(2):
        start("one", one(shared))
    for _ in range(7):
        threading.Thread(target=stand, daemon=True).start()
    await asyncio.sleep(0.05)
    tags = {}
    for name, t in kept:
        tags.setdefault(name, []).append(hex(id(t)))
    print(json.dumps({"pid": os.getpid(), "n": N, "tags": tags,
                      "tids": [t.native_id for t in threading.enumerate() if t is not threading.main_thread()]}),
          flush=True)
    await asyncio.get_event_loop().create_future()


asyncio.run(main())
