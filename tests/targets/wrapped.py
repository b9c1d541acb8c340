"""Tasks whose coroutine only runs what it was given, in the ways in which
libraries do so, and tasks that look alike and do not.

truth["bodies"]: tag -> the function that is run.  With anyio also
truth["groups"]: [{id, owner, tasks}], truth["deadlines"]: tag -> seconds.
"""
import asyncio
import functools
import sys

from truth import FOREVER, Truth, run

truth = Truth()
keep, bodies = [], {}
SOON = 5000.0


async def inner():
    await asyncio.sleep(FOREVER)


class Service:
    async def method(self):
        await asyncio.sleep(FOREVER)


async def runs_coroutine(coro):
    return await coro


async def runs_function(function, *args):
    return await function(*args)


def traced(function):
    @functools.wraps(function)
    async def around(*args, **kw):
        return await function(*args, **kw)
    around.__qualname__ = around.__name__ = "around"
    return around


async def on_its_own():
    made = inner()
    await made


async def calls():
    await inner()


def start(tag, coro, body):
    task = asyncio.ensure_future(coro)
    keep.append(task)
    truth.add(task, tag=tag)
    # Before 3.11 a code object has no qualified name.
    bodies[tag] = (body if sys.version_info >= (3, 11)
                   else body.rsplit(".", 1)[-1])


async def with_anyio():
    import anyio
    groups, deadlines = [], {}
    ready = asyncio.Event()

    async def owner():
        async with anyio.create_task_group() as group:
            for i in range(3):
                group.start_soon(inner, name="child-%d" % i)
            with anyio.move_on_after(SOON):
                async with anyio.create_task_group() as deep:
                    deep.start_soon(inner, name="timed")
                    groups.extend((group, deep))
                    ready.set()
                    await asyncio.sleep(FOREVER)
    task = asyncio.ensure_future(owner())
    keep.append(task)
    truth.add(task, tag="owner")
    await ready.wait()
    await asyncio.sleep(0.05)
    told = []
    for group, names in zip(groups, (("child-",), ("timed",))):
        kids = [t for t in asyncio.all_tasks()
                if t.get_name().startswith(names)]
        for t in kids:
            truth.add(t, tag=t.get_name())
            bodies[t.get_name()] = "inner"
        told.append({"id": hex(id(group)), "owner": hex(id(task)),
                     "tasks": sorted(hex(id(t)) for t in kids)})
    deadlines["timed"] = deadlines["owner"] = SOON
    return {"groups": told, "deadlines": deadlines}


async def main():
    truth.loop()
    start("coroutine", runs_coroutine(inner()), "inner")
    start("function", runs_function(inner), "inner")
    start("method", runs_function(Service().method), "Service.method")
    start("partial", runs_function(functools.partial(runs_coroutine, inner())),
          "inner")
    start("closure", traced(inner)(), "inner")
    start("twice", traced(traced(Service().method))(), "Service.method")
    start("own", on_its_own(), "on_its_own")
    start("calls", calls(), "calls")
    start("plain", inner(), "inner")
    more = {}
    if "--anyio" in sys.argv:
        more = await with_anyio()
    await asyncio.sleep(0.05)
    truth.tell(bodies=bodies, **more)
    await asyncio.sleep(FOREVER)


run(main())
