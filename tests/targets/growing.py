"""growing.py: has some tasks of some coroutines; on SIGUSR1 makes and ends some, and prints
which, as ids before and after. Signals are taken by a thread, so that the loop sleeps."""
import asyncio
import json
import os
import signal
import sys

kept = {"scan": [], "steady": [], "brief": []}


async def scan(lock):
    async with lock:
        await asyncio.sleep(3600)


async def steady():
    await asyncio.Event().wait()


async def brief():
    await asyncio.sleep(3600)


def start(kind, n, *args):
    for _ in range(n):
        kept[kind].append(asyncio.ensure_future(globals()[kind](*args)))


def ids():
    return {kind: [hex(id(t)) for t in tasks] for kind, tasks in kept.items()}


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def main():
    loop = asyncio.get_running_loop()
    turn = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, turn.set)
    start("scan", 10, asyncio.Semaphore(1000))
    start("steady", 5)
    start("brief", 20)
    await settle()
    tell = lambda: print(json.dumps({"pid": os.getpid(), "ids": ids()}), flush=True)
    loop.call_soon(tell)
    while True:
        await turn.wait()
        turn.clear()
        start("scan", 30, asyncio.Semaphore(1000))
        for task in kept["brief"][:12]:
            task.cancel()
        await asyncio.gather(*kept["brief"][:12], return_exceptions=True)
        del kept["brief"][:12]
        await settle()
        loop.call_soon(tell)

asyncio.run(main())
