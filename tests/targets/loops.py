"""Loops that share a thread: one inside a step of another, one entered again, and those of a
process that was forked inside a step. Tells of the process to look at."""
import asyncio
import os
import sys
import threading
import time

from agentside import say

HOW = sys.argv[1]


async def ticks():
    while True:
        await asyncio.sleep(0.02)


async def idle():
    asyncio.current_task().set_name("idle")
    tell(running=asyncio.get_running_loop(), task=None)
    await asyncio.sleep(1000)


def tell(running, task, outer=None):
    say({"pid": os.getpid(), "tasks": [], "tid": threading.get_native_id(),
         "running": running and hex(id(running)), "task": task and hex(id(task)),
         "outer": outer and hex(id(outer))})


def inside(outer):
    """Runs a loop of its own in a callback of that one."""
    asyncio._set_running_loop(None)
    loop = asyncio.new_event_loop()

    async def main():
        tell(running=loop, task=None, outer=outer)
        await asyncio.sleep(1000)
    loop.run_until_complete(main())


def again(loop, future):
    """What nest_asyncio does: goes on with the loop inside a step of it."""
    task = asyncio.current_task()
    asyncio.tasks._leave_task(loop, task)
    while not future.done():
        loop._run_once()


async def main():
    loop = asyncio.get_running_loop()
    keep = [loop.create_task(ticks())]
    await asyncio.sleep(0.05)
    if HOW == "inside":
        loop.call_soon(inside, loop)
    elif HOW == "again":
        loop.call_later(0.05, lambda: tell(running=loop, task=None))
        again(loop, loop.create_future())
    elif os.fork():
        os.wait()
    elif HOW == "forked, own loop":
        asyncio.run(idle())
    else:
        tell(running=None, task=None)
        time.sleep(1000)
    await asyncio.sleep(1000)
    return keep


if HOW.startswith("forked"):
    # The parent is nobody's target: it ends with its child.
    import ctypes
    parent = os.getpid()
    os.register_at_fork(after_in_child=lambda: ctypes.CDLL(None).prctl(1, 9))
asyncio.run(main())
