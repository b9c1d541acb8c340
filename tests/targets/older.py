"""Tasks that are older than the agent: one that ends and one that lives on after it came.
Says how long they had lived by then."""
import asyncio
import os
import time

from agentside import agent_is_in, say


async def worker(stop):
    await stop.wait()


async def ticker():
    while True:
        await asyncio.sleep(0.01)


async def main():
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    made = time.time()
    tasks = [loop.create_task(worker(stop)), loop.create_task(ticker())]
    for task, name in zip(tasks, ("worker", "ticker")):
        task.set_name(name)
    await asyncio.sleep(0)
    say({"pid": os.getpid(), "tasks": [], "made": made})
    while not agent_is_in():
        await asyncio.sleep(0.01)
    came = time.time()
    younger = loop.create_task(worker(stop))
    younger.set_name("younger")
    await asyncio.sleep(0.1)
    stop.set()
    await asyncio.wait([tasks[0], younger])
    say({"came": came, "ended": time.time()})
    await asyncio.sleep(1000)

asyncio.run(main())
