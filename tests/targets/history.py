"""Tasks that are created, cancelled and ended in every way the agent tells apart. Waits
until the agent is in (injected, or from the start), does it all, and prints what it knows
of it: one line when it waits, one with the truth."""
import asyncio
import functools
import os
import signal
import sys

from agentside import agent_is_in, say

live, ended = {}, {}


def line():
    return sys._getframe(2).f_lineno


def make(coro, name):
    """A task; who made it and where is noted before it runs."""
    current = asyncio.current_task()
    live[name] = {"by": current.get_name() if current else None, "line": line(),
                  "coro": coro.__qualname__, "cancels": []}
    task = asyncio.get_running_loop().create_task(coro)
    task.set_name(name)
    task.add_done_callback(note_end)
    live[name]["id"] = hex(id(task))
    return task


def note_end(task):
    info = live.pop(task.get_name())
    if task.cancelled():
        info["outcome"] = "cancelled"
    else:
        e = task.exception()
        info["outcome"] = "failed" if e else "finished"
        info["exception"] = [type(e).__name__, str(e)] if e else None
    ended[task.get_name()] = info


def cancel(task, origin, by, message=None):
    """Cancels it; the agent is to say the same of who did it."""
    if sys.version_info < (3, 9):
        message = None
    live[task.get_name()]["cancels"].append({"origin": origin, "by": by, "message": message})
    return task.cancel(message) if message is not None else task.cancel()


async def sleeper(seconds=1000):
    await asyncio.sleep(seconds)


async def fails():
    await asyncio.sleep(0)
    raise LookupError("nothing there: \u00e4 \U0001f40d")


async def quick():
    return 1


class Holder:
    async def method(self):
        await asyncio.sleep(0)


async def cancels(task, message=None):
    await asyncio.sleep(0)
    cancel(task, "task", asyncio.current_task().get_name(), message)


async def swallows(seen):
    for _ in range(2):
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            seen.append(1)


async def grandparent(done):
    done.append(make(parent(done), "parent"))
    await asyncio.sleep(1000)


async def parent(done):
    done.append(make(sleeper(), "grandchild"))
    # ends: its child goes on, and keeps it


async def suicide():
    cancel(asyncio.current_task(), "task", "suicide")
    await asyncio.sleep(0)


async def chain_victim():
    await asyncio.sleep(1000)


async def on_cancel(victim):
    try:
        await asyncio.sleep(1000)
    except asyncio.CancelledError:
        cancel(victim, "task", "middle")
        raise


async def timeouts():
    task = make(sleeper(), "timed out")
    live["timed out"]["cancels"].append(
        {"origin": "timeout", "by": "main" if sys.version_info < (3, 12) else "any", "message": None})
    try:
        await asyncio.wait_for(task, 0.02)
    except asyncio.TimeoutError:
        pass


async def signals(loop):
    task = make(sleeper(), "signalled")

    def handler():
        cancel(task, "signal", None)
    loop.add_signal_handler(signal.SIGUSR1, handler)
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait([task])


class Handlers:
    """Of signal.signal(), as functions and methods; the loop's own by the side."""

    def __init__(self, direct, soon):
        self.direct, self.soon = direct, soon

    def direct_one(self, number, frame):
        cancel(self.direct, "signal", None)

    def soon_one(self, number, frame):
        asyncio.get_running_loop().call_soon_threadsafe(cancel, self.soon, "signal", None)


async def plain_signals(loop):
    direct, soon, later, called = [make(sleeper(), name) for name in (
        "signalled directly", "signalled soon", "signalled later", "called like a handler")]
    handlers = Handlers(direct, soon)

    def later_one(number, frame):
        loop.call_later(0.01, cancel, later, "callback", None)

    def called_one(number, frame):
        cancel(called, "task", "main")
    for handler in (functools.partial(handlers.direct_one), handlers.soon_one, later_one, called_one):
        signal.signal(signal.SIGUSR2, handler)
        if handler is called_one:
            handler(signal.SIGUSR2, None)
        else:
            # It interrupts this task, whose doing it is not.
            os.kill(os.getpid(), signal.SIGUSR2)
    await asyncio.wait([direct, soon, later, called])


async def groups():
    if not hasattr(asyncio, "TaskGroup"):
        return

    async def bad():
        await asyncio.sleep(0.01)
        raise ValueError("one of the group")
    try:
        async with asyncio.TaskGroup() as group:
            for name, coro in (("member", sleeper()), ("bad member", bad())):
                info = live[name] = {"by": "main", "line": sys._getframe().f_lineno + 3,
                                     "coro": coro.__qualname__, "cancels": [],
                                     "id": None}
                task = group.create_task(coro)
                task.set_name(name)
                info["id"] = hex(id(task))
                task.add_done_callback(note_end)
            live["member"]["cancels"].append({"origin": "taskgroup", "by": None, "message": None})
    except BaseException as e:
        if type(e).__name__ != "ExceptionGroup":
            raise


async def everything():
    loop = asyncio.get_running_loop()
    keep = []
    keep.append(make(grandparent(keep), "grandparent"))
    keep.append(make(sleeper(), "n\u00e4me \U0001f40d with a longer text than a cell has room for"))
    keep.append(make(quick(), "quick"))
    keep.append(make(fails(), "fails"))
    keep.append(make(Holder().method(), "method"))
    victim = make(sleeper(), "victim")
    await asyncio.sleep(0.01)
    make(cancels(victim, "because \u00e9"), "killer")
    await asyncio.wait([victim])
    called = make(sleeper(), "called back")
    await asyncio.sleep(0)
    loop.call_soon(cancel, called, "callback", None)
    await asyncio.wait([called])
    seen = []
    stubborn = make(swallows(seen), "stubborn")
    keep.append(stubborn)
    await asyncio.sleep(0)
    cancel(stubborn, "task", "main")
    await asyncio.sleep(0.01)
    lone = make(suicide(), "suicide")
    await asyncio.wait([lone])
    last = make(chain_victim(), "last of chain")
    middle = make(on_cancel(last), "middle")
    await asyncio.sleep(0)
    make(cancels(middle), "first of chain")
    await asyncio.wait([last])
    await timeouts()
    await signals(loop)
    await plain_signals(loop)
    await groups()
    return keep


async def main():
    asyncio.current_task().set_name("main")
    early = asyncio.get_running_loop().create_task(sleeper())
    early.set_name("early")
    say({"pid": os.getpid(), "tasks": []})
    while not agent_is_in():
        await asyncio.sleep(0.01)
    keep = await everything()
    say({"live": live, "ended": ended})
    await asyncio.sleep(1000)
    return keep

if "uvloop" in sys.argv:
    import uvloop
    uvloop.install()
asyncio.run(main())
