"""Waits for the agent, then asks two tasks to cancel a hundred times, which one outlives;
and has tasks end that are called like numbers."""
import asyncio
import json
import os
import sys


def tell(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def stubborn(times):
    while True:
        try:
            await asyncio.sleep(10000)
        except asyncio.CancelledError:
            times -= 1
            if not times:
                raise


async def nothing():
    pass


def make(coro, name):
    task = asyncio.get_running_loop().create_task(coro)
    task.set_name(name)
    return task


async def main():
    tell(pid=os.getpid(), tasks=[])
    while getattr(sys.modules.get("asyncmon_agent"), "running", int)() in (0, None):
        await asyncio.sleep(0.01)
    tasks = [make(stubborn(0), "lives"), make(stubborn(100), "dies")]
    await asyncio.sleep(0)
    for _ in range(100):
        for task in tasks:
            task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    for name in ("0x7777", "#7777", "7777"):
        await make(nothing(), name)
    tell(done=True)
    await asyncio.sleep(10000)

asyncio.run(main())
