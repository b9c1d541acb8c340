"""Says of itself what its tasks did: SIGUSR1 has it run a round, after which it prints, by
name, how often each task was run, who made it, who asked it to cancel, and how it ended.

traced.py [crowd N]: a round is N tasks that are suspended once; the first also makes one that
stays."""
import asyncio
import os
import signal
import sys
import threading

from agentside import say

truth = {}


class Counted:
    """Awaits a coroutine, and counts how often that is run."""

    def __init__(self, coro, name):
        self.coro, self.name = coro, name

    def __await__(self):
        inner = self.coro.__await__()
        thrown = None
        while True:
            truth[self.name]["steps"] += 1
            try:
                got = inner.send(None) if thrown is None else inner.throw(thrown)
            except StopIteration as e:
                return e.value
            thrown = None
            try:
                yield got
            except BaseException as e:
                thrown = e


def me():
    task = asyncio.current_task()
    return task.get_name() if task else None


async def life(coro, name, counted):
    try:
        await (Counted(coro, name) if counted else coro)
    except asyncio.CancelledError:
        truth[name]["outcome"] = "cancelled"
        raise
    except BaseException as e:
        truth[name].update(outcome="failed", type=type(e).__name__, message=str(e))
        raise
    truth[name]["outcome"] = "finished"


def make(coro, name, counted=True):
    truth[name] = {"steps": 0 if counted else None, "by": me(), "cancels": [], "outcome": None}
    return asyncio.get_running_loop().create_task(life(coro, name, counted), name=name)


def cancel(task):
    truth[task.get_name()]["cancels"].append(me())
    task.cancel()


async def waits_for(event):
    await event.wait()


async def sets(event):
    await asyncio.sleep(0)
    event.set()


async def sleeps(seconds):
    await asyncio.sleep(seconds)


async def yields(n):
    for _ in range(n):
        await asyncio.sleep(0)


async def fails():
    await asyncio.sleep(0.01)
    raise KeyError("naïve")


async def awaits(task):
    try:
        await task
    except KeyError:
        pass


async def cancels(task):
    await asyncio.sleep(0.01)
    cancel(task)
    await asyncio.wait([task])


async def is_told_by_a_thread():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(future.set_result, 1))
    thread.start()
    await future
    thread.join()


async def makes(n):
    await asyncio.wait([make(yields(1), "child-%d" % i) for i in range(n)])


async def round_of_all():
    event = asyncio.Event()
    failing = make(fails(), "failing")
    victim = make(sleeps(100), "victim")
    await asyncio.wait([
        make(waits_for(event), "waiter"), make(sets(event), "setter"), make(yields(5), "yielder"),
        failing, make(awaits(failing), "awaiter"), victim, make(cancels(victim), "canceller"),
        # Nothing stands between these and what they await.
        make(waits_for(event), "plain waiter", False), make(awaits(failing), "plain awaiter", False),
        make(yields(2), "plain yielder", False),
        make(is_told_by_a_thread(), "told"), make(makes(4), "parent"),
        make(sleeps(0.02), "sleeper \u00e9")])


stayers = []


async def crowd(n):
    if not stayers:
        stayers.append(make(sleeps(1000), "stayer"))
    await asyncio.wait([make(yields(1), "one-%d" % i) for i in range(n)])


async def main(args):
    loop = asyncio.get_running_loop()
    go = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, go.set)
    say({"pid": os.getpid(), "tasks": []})
    while True:
        await go.wait()
        go.clear()
        truth.clear()
        await (crowd(int(args[1])) if args else round_of_all())
        say(truth)

asyncio.run(main(sys.argv[1:]))
