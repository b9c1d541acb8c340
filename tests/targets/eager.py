"""Eager tasks (3.12): one that has suspended, one running at the moment."""
import asyncio
import threading
import time

from truth import FOREVER, Truth, run

truth = Truth()
keep = []


async def napping():
    await asyncio.sleep(FOREVER)


async def at_once():
    return 1


async def on_task(task):
    await task


def blocked(ready):
    """A loop whose eager task is in its first step, and blocks."""
    async def first_step():
        me = asyncio.current_task()
        me.set_name("eager-running")
        keep.append(truth.add(me, state="running", tag="eager-running"))
        ready.set()
        time.sleep(FOREVER)

    async def main():
        # Will be inside create_task for ever: neither waiting nor current.
        truth.add(asyncio.current_task(), tag="starter", state=None)
        truth.loop().set_task_factory(asyncio.eager_task_factory)
        await asyncio.sleep(0)
        await asyncio.create_task(first_step())
    asyncio.run(main())


async def main():
    loop = truth.loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    ready = threading.Event()
    threading.Thread(target=blocked, args=(ready,), daemon=True).start()
    ready.wait(10)
    truth.add(asyncio.current_task(), kind="future", tag="main")
    inner = asyncio.create_task(napping(), name="eager-sleep")
    outer = asyncio.create_task(on_task(inner), name="eager-outer")
    keep.extend((inner, outer))
    truth.add(inner, kind="sleep", tag="eager-sleep", awaited_by=(outer,))
    truth.add(outer, kind="task", tag="eager-outer", on=(inner,),
              awaited_by=())
    done = asyncio.create_task(at_once(), name="eager-done")
    keep.append(done)
    truth.add(done, state="finished", tag="eager-done", coro=False)
    truth.tell_when_settled()
    await loop.create_future()


run(main())
