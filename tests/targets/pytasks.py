"""Tasks that are no _asyncio.Task: the pure-Python one, subclasses of it, a class of its own
making; and a task whose cancel was replaced, which holds requests back as aiotools' scopes
do. Waits for the agent, does it all, prints
what it knows: a line when it waits, one with the truth."""
import asyncio
import os
import sys

from agentside import Foreign, agent_is_in, say

PyTask = asyncio.tasks._PyTask
MESSAGES = sys.version_info >= (3, 9)
ORIGINALS = {name: vars(PyTask)[name] for name in ("cancel", "__del__")}
ORIGINALS.update((n, f) for n, f in vars(asyncio.tasks).items() if n.startswith("_py_"))


class Derived(PyTask):
    def cancel(self, *args, **kwargs):
        return super().cancel(*args, **kwargs)


class Scope:
    """Within it, requests to cancel the task are kept for its end."""

    def __enter__(self):
        self.task = asyncio.current_task()
        self.kept = []
        self.before = self.task.cancel
        self.task.cancel = self.cancel
        return self

    def cancel(self, msg=None):
        self.kept.append(msg)
        return True

    def __exit__(self, *exc):
        self.task.cancel = self.before
        for msg in self.kept:
            self.task.cancel(*([msg] if msg and MESSAGES else []))


class Open(Scope):
    """Passes them on."""

    def cancel(self, msg=None):
        return self.before(*([msg] if msg and MESSAGES else []))


async def sleeper():
    await asyncio.sleep(1000)


async def quick():
    await asyncio.sleep(0)


async def fails():
    await asyncio.sleep(0)
    raise LookupError("nothing there")


async def at_once():
    return 1


async def maker(name):
    asyncio.get_running_loop().create_task(sleeper()).set_name("of " + name)
    await asyncio.sleep(1000)


async def canceller(tasks):
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel(*(["please"] if MESSAGES else []))


async def scoped(kind, event):
    with kind():
        await event.wait()
    await asyncio.sleep(1000)


def as_it_was():
    """Whether what the agent replaced is what it was."""
    return "cancel" in vars(Foreign) and type(vars(Foreign)["cancel"]) is type(say) and all(
        (vars(PyTask) if name in ("cancel", "__del__") else vars(asyncio.tasks))[name] is f
        for name, f in ORIGINALS.items())


async def main():
    loop = asyncio.get_running_loop()
    asyncio.current_task().set_name("main")
    keep = []

    def start(cls, coro, called, **kw):
        task = cls(coro, loop=loop, **kw)
        task.set_name(called)
        keep.append(task)
        return task
    early = PyTask(sleeper(), loop=loop)
    early.set_name("early")
    held = loop.create_task(scoped(Scope, asyncio.Event()))
    held.set_name("held from before")
    await asyncio.sleep(0)
    say({"pid": os.getpid(), "tasks": []})
    while not agent_is_in():
        await asyncio.sleep(0.01)
    for cls in (PyTask, Derived, Foreign):
        victim = start(cls, sleeper(), cls.__name__ + " victim")
        for coro in (sleeper, quick, fails):
            start(cls, coro(), "%s %s" % (cls.__name__, coro.__name__))
        start(cls, maker(cls.__name__), cls.__name__)
        start(cls, canceller([victim]), cls.__name__ + " canceller")
    gone = PyTask(sleeper(), loop=loop)
    gone.set_name("gone")
    gone._log_destroy_pending = False
    if sys.version_info >= (3, 12):
        for coro in (sleeper, at_once, quick):
            name = "eager " + coro.__name__
            start(PyTask, coro(), name, eager_start=True, name=name)
        start(PyTask, maker("eager"), "eager", eager_start=True)
    events = [asyncio.Event() for _ in range(2)]
    scopes = []
    for kind, event in zip((Scope, Open), events):
        scopes.append(loop.create_task(scoped(kind, event)))
        scopes[-1].set_name(kind.__name__)
    still = loop.create_task(scoped(Scope, asyncio.Event()))
    still.set_name("still held")
    await asyncio.sleep(0)
    who = loop.create_task(canceller(scopes + [early, still, held]))
    who.set_name("canceller")
    await asyncio.sleep(0.05)
    events[0].set()
    # Its loop had it in a handle and in a set of weak references only.
    del gone, victim
    if sys.version_info < (3, 14):
        import gc
        gc.collect()
    await asyncio.sleep(0.05)
    say({"done": True})
    while agent_is_in():
        await asyncio.sleep(0.01)
    say({"as_it_was": as_it_was(), "held": type(still.cancel).__name__})
    await asyncio.sleep(1000)
    return keep

asyncio.run(main())
