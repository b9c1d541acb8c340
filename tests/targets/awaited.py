"""awaited.py N: one task that N others wait for by shield and N by gather.
Tells its id and the sum of theirs."""
import asyncio
import json
import os
import sys

MANY = int(sys.argv[1])


async def wait():
    await asyncio.sleep(3600)


async def by_shield(task):
    await asyncio.shield(task)


async def by_gather(task):
    await asyncio.gather(task)


async def main():
    task = asyncio.ensure_future(wait())
    tasks = [asyncio.ensure_future(f(task))
             for _ in range(MANY) for f in (by_shield, by_gather)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    print(json.dumps({"pid": os.getpid(), "id": hex(id(task)),
                      "sum": sum(id(t) for t in tasks)}), flush=True)
    await task
    return tasks

asyncio.run(main())
