"""Cancel requests of every odd way: from other threads, in circles, taken back, by cancellers
that are no longer remembered; tasks by factories. Waits for the agent, does it all, says
so; then makes a task more each time that the agent comes."""
import asyncio
import os
import sys
import threading

from agentside import agent_is_in, say

PYTHON = sys.version_info


class Mine(asyncio.Task):
    pass


async def sleeper():
    await asyncio.sleep(1000)


async def at_once():
    return 1


async def cancels(*tasks):
    for task in tasks:
        task.cancel()


async def answers_with_cancel(other):
    """Cancels the one that cancelled it, and goes on to its end."""
    try:
        await asyncio.sleep(1000)
    finally:
        other[0].cancel()


async def begins_circle(other):
    other[0].cancel()
    await asyncio.sleep(1000)


async def takes_back(n, event):
    while n:
        try:
            await event.wait()
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            n -= 1
            if PYTHON >= (3, 11):
                asyncio.current_task().uncancel()
    await asyncio.sleep(1000)


async def swallows():
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass


def in_thread(f, *args):
    thread = threading.Thread(target=f, args=args)
    thread.start()
    thread.join()


def other_loop(loop, task):
    """A task of another thread's loop has this one's cancelled."""
    async def far():
        asyncio.current_task().set_name("far")
        loop.call_soon_threadsafe(task.cancel)
    asyncio.run(far())


async def factories(loop, start):
    made = []
    loop.set_task_factory(lambda loop, coro, **kw: Mine(coro, loop=loop, **kw))
    made.append(start(sleeper(), "by a factory"))
    if PYTHON >= (3, 12):
        loop.set_task_factory(asyncio.create_eager_task_factory(Mine))
        made.append(start(sleeper(), "by an eager factory"))
        made.append(start(at_once(), "at once by an eager factory"))
    loop.set_task_factory(None)
    if PYTHON >= (3, 14):
        made.append(loop.create_task(sleeper(), name="eager by argument", eager_start=True))
        made.append(loop.create_task(at_once(), name="at once by argument", eager_start=True))
    await asyncio.sleep(0)
    return made


async def main():
    loop = asyncio.get_running_loop()
    asyncio.current_task().set_name("main")

    def start(coro, name):
        task = loop.create_task(coro)
        task.set_name(name)
        return task
    say({"pid": os.getpid(), "tasks": []})
    while not agent_is_in():
        await asyncio.sleep(0.01)
    keep = [await factories(loop, start)]
    direct, soon, far = start(sleeper(), "by thread"), start(sleeper(), "by thread, soon"), start(sleeper(), "by far")
    await asyncio.sleep(0)
    in_thread(direct.cancel)
    in_thread(loop.call_soon_threadsafe, soon.cancel)
    in_thread(other_loop, loop, far)
    # The loop does not know of the first until something wakes it.
    await asyncio.wait([direct, soon, far])

    other = []
    second = start(answers_with_cancel(other), "second of circle")
    await asyncio.sleep(0)
    first = start(begins_circle([second]), "first of circle")
    other.append(first)
    await asyncio.wait([first, second])

    event = asyncio.Event()
    back = start(takes_back(2, event), "takes back")
    stubborn = start(swallows(), "swallows")
    await asyncio.sleep(0)
    for _ in range(2):
        back.cancel()
        stubborn.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    lasting = start(takes_back(2, event), "outlives its canceller")
    await asyncio.sleep(0)
    await start(cancels(lasting), "forgotten")
    for _ in range(40):
        await start(at_once(), "later one")
    ends = start(sleeper(), "ends after its canceller")
    await asyncio.sleep(0)
    ends.cancel()
    await asyncio.wait([ends])
    keep += [back, stubborn, lasting]
    say({"done": True})
    n = 0
    while True:
        while agent_is_in():
            await asyncio.sleep(0.01)
        while not agent_is_in():
            await asyncio.sleep(0.01)
        n += 1
        keep.append(start(sleeper(), "again %d" % n))
        await asyncio.sleep(0)
        say({"again": n})

asyncio.run(main())
