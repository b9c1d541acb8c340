"""A crowd of tasks, as many as connections of a server; one that stands, comes and goes, or
grows."""
import asyncio
import itertools
import os
import sys

from agentside import say

HOW, MANY = sys.argv[1], 400


async def connection(seconds):
    await asyncio.sleep(seconds)


async def main():
    loop = asyncio.get_running_loop()
    keep = {loop.create_task(connection(1000)) for _ in range(MANY)}
    await asyncio.sleep(0)
    for n in itertools.count():
        # By then as many go as come.
        if n == 10:
            say({"pid": os.getpid(), "tasks": []})
        await asyncio.sleep(0.01)
        if HOW != "stands":
            for _ in range(5):
                task = loop.create_task(connection(0.02 if HOW == "goes" else 1000))
                keep.add(task)
                task.add_done_callback(keep.discard)

asyncio.run(main())
