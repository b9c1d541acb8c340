"""Tasks of every odd make: pure-Python, subclasses, eager, of other threads' loops, in a
forked child. Waits for the agent, makes them, prints their names and what became of them.
"""
import asyncio
import json
import os
import sys
import threading

from agentside import agent_is_in, say

PyTask = asyncio.tasks._PyTask


class Plain(asyncio.Task):
    pass


class Own(asyncio.Task):
    def __init__(self, coro, **kwargs):
        self.mark = 1
        super().__init__(coro, **kwargs)


async def sleeper():
    await asyncio.sleep(1000)


async def quick():
    await asyncio.sleep(0)


async def fails():
    await asyncio.sleep(0)
    raise OSError(2, "No such file", "somewhere")


async def at_once():
    return 1


async def maker(name):
    asyncio.get_running_loop().create_task(sleeper()).set_name("of " + name)
    await asyncio.sleep(1000)


def other_thread(ready):
    async def run():
        task = asyncio.get_running_loop().create_task(maker("threaded"))
        task.set_name("threaded")
        await asyncio.sleep(0.01)
        ready.set()
        await task
    asyncio.run(run())


class Later(asyncio.Task):
    """Defined before the agent comes, with __init__ of its own class only later."""


async def main():
    loop = asyncio.get_running_loop()
    asyncio.current_task().set_name("main")
    keep = []

    say({"pid": os.getpid(), "tasks": []})
    while not agent_is_in():
        await asyncio.sleep(0.01)

    def start(cls, coro, name, **kw):
        task = cls(coro, loop=loop, **kw)
        task.set_name(name)
        keep.append(task)
        return task
    for cls in (PyTask, Plain, Own, Later):
        for coro in (sleeper, quick, fails):
            start(cls, coro(), "%s %s" % (cls.__name__, coro.__name__))
    start(PyTask, maker("pure"), "pure")
    start(Plain, sleeper(), "cancelled").cancel()
    if sys.version_info >= (3, 12):
        loop.set_task_factory(asyncio.eager_task_factory)
        for coro in (sleeper, quick, fails, at_once):
            task = loop.create_task(coro(), name="eager " + coro.__name__)
            keep.append(task)
        keep.append(loop.create_task(maker("eager"), name="eager"))
        loop.set_task_factory(None)
    ready = threading.Event()
    threading.Thread(target=other_thread, args=(ready,), daemon=True).start()
    while not ready.is_set():
        await asyncio.sleep(0.01)
    abandoned = asyncio.new_event_loop()
    task = abandoned.create_task(sleeper())
    task.set_name("abandoned")
    task._log_destroy_pending = False
    del task
    abandoned._ready.clear()
    abandoned.close()
    await asyncio.sleep(0.05)
    child = os.fork()
    if child == 0:
        asyncio.events._set_running_loop(None)

        async def in_child():
            t = asyncio.get_running_loop().create_task(quick())
            t.set_name("quick in child")
            await t
            asyncio.current_task().set_name("child main")
            sys.stdout.write(json.dumps({"child": os.getpid()}) + "\n")
            sys.stdout.flush()
            await asyncio.sleep(1000)
        if sys.version_info >= (3, 14):
            import _asyncio
            try:
                _asyncio._swap_current_task(loop, None)
            except Exception:
                pass
        new = asyncio.new_event_loop()
        new.run_until_complete(in_child())
    await asyncio.sleep(1000)

asyncio.run(main())
