"""many.py N [DEPTH]: N tasks, each DEPTH coroutines deep.  Tells counts and
the sum of the ids, not each task."""
import asyncio
import json
import os
import sys

from truth import FOREVER, await_stack


async def leaf(fut):
    await fut


async def level(depth, fut):
    if depth > 1:
        await level(depth - 1, fut)
    else:
        await fut


async def main():
    count = int(sys.argv[1])
    depth = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    loop = asyncio.get_running_loop()
    fut = loop.create_future()
    tasks = []
    for i in range(count):
        task = asyncio.ensure_future(level(depth, loop.create_future()))
        task.set_name("many-%d" % i)
        tasks.append(task)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    print(json.dumps({
        "pid": os.getpid(), "python": sys.version.split()[0],
        "count": count + 1, "depth": depth, "loops": [], "tasks": [],
        "id_sum": hex(sum(map(id, tasks))),
        "stack": await_stack(tasks[0].get_coro()) if tasks else []}),
        flush=True)
    await fut


asyncio.run(main())
