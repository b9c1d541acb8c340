"""Tasks that are asked to cancel by signals, by their task groups, by timeouts, and one that
swallows a request; each waits on. Waits for the agent before it does so."""
import asyncio
import functools
import os
import signal
import sys

from agentside import agent_is_in, say

GROUPS = sys.version_info >= (3, 11)


async def lasts():
    """Lives on for one request."""
    try:
        await asyncio.sleep(1000)
    except asyncio.CancelledError:
        await asyncio.sleep(1000)


async def cleans_up():
    try:
        await asyncio.sleep(1000)
    finally:
        await asyncio.sleep(1000)


async def swallows():
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass


async def fails():
    await asyncio.sleep(0)
    raise KeyError("x")


async def in_body(start):
    try:
        async with asyncio.TaskGroup() as group:
            start(None, "sibling", group.create_task(cleans_up()))
            start(None, "bad", group.create_task(fails()))
            await asyncio.sleep(1000)
    finally:
        await asyncio.sleep(1000)


async def times_out():
    async with asyncio.timeout(0.01):
        await lasts()


async def main():
    loop = asyncio.get_running_loop()
    say({"pid": os.getpid(), "tasks": []})
    while not agent_is_in():
        await asyncio.sleep(0.01)
    tasks = {}

    def start(coro, name, task=None):
        tasks[name] = task or loop.create_task(coro)
        tasks[name].set_name(name)
        return tasks[name]
    usr1, usr2, term = (start(lasts(), n) for n in ("usr1", "usr2", "term"))
    cleaner, swallower, asked = start(cleans_up(), "cleaner"), start(swallows(), "swallower"), start(swallows(), "asked")
    if GROUPS:
        start(in_body(start), "owner")
        start(times_out(), "timed out")
    await asyncio.sleep(0.05)
    loop.add_signal_handler(signal.SIGUSR1, usr1.cancel)
    loop.add_signal_handler(signal.SIGTERM, functools.partial(term.cancel))
    signal.signal(signal.SIGUSR2, lambda number, frame: usr2.cancel())
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGUSR2):
        os.kill(os.getpid(), number)
    await asyncio.sleep(0.05)
    for task in (cleaner, swallower, asked):
        task.cancel()
    # What takes its request back has answered it.
    if GROUPS:
        await asyncio.sleep(0)
        asked.uncancel()
    await asyncio.sleep(0.05)
    say({"tasks": {n: hex(id(t)) for n, t in tasks.items() if not t.done()}})
    await asyncio.sleep(1000)

asyncio.run(main())
