"""Programs that are in trouble, one a name:

taskgroup  a service's event task, down with one child's error (3.11+)
scans      a scan started every interval that takes longer than it: 6,000 tasks on
           one executor of 32 threads
dangling   a library that leaves 4,000 callback tasks behind, from one line
misc       a cancel caught, exceptions nobody fetched, a task nothing refers to
hopping    a loop that never rests, in steps that are all short
quiet      nothing wrong: some of everything that resembles trouble
"""
import asyncio
import concurrent.futures
import gc
import sys
import threading
import time

from truth import FOREVER, Truth, run

truth = Truth()
keep = []


async def forever():
    await asyncio.get_running_loop().create_future()


async def napping():
    await asyncio.sleep(FOREVER)


def start(name, coro):
    task = asyncio.ensure_future(coro)
    if hasattr(task, "set_name"):
        task.set_name(name)
    keep.append(task)
    return task


# A TaskGroup in a loop that is to run for ever.

async def handle(number):
    if number == 7:
        raise ConnectionError("peer went away")
    try:
        await asyncio.sleep(FOREVER)
    except asyncio.CancelledError:
        if number == 3:
            await asyncio.sleep(FOREVER)
        raise


async def events(queue):
    async with asyncio.TaskGroup() as group:
        while True:
            number = await queue.get()
            group.create_task(handle(number), name="handle-%d" % number)


async def taskgroup(loop):
    for name, slow in (("events", True), ("metrics", False)):
        queue = asyncio.Queue()
        for number in range(10):
            if number != 3 or slow:
                queue.put_nowait(number)
        start(name, events(queue))
    await asyncio.sleep(0.2)


# Scans that pile up.

stop = threading.Event()


def read_volume(n):
    stop.wait()
    return n


async def scan(pool, n):
    return await asyncio.get_running_loop().run_in_executor(
        pool, read_volume, n)


async def scans(loop):
    pool = concurrent.futures.ThreadPoolExecutor(32, "scan")
    keep.append(pool)
    for n in range(6000):
        keep.append(asyncio.ensure_future(scan(pool, n)))
    await asyncio.sleep(0.1)


# A library's callbacks.

class Emitter:
    def __init__(self):
        self.tasks = set()
        self.answers = asyncio.Event()

    async def callback(self, event):
        await self.answers.wait()

    def emit(self, event):
        self.tasks.add(asyncio.ensure_future(self.callback(event)))


async def dangling(loop):
    emitter = Emitter()
    keep.append(emitter)
    for n in range(4000):
        emitter.emit(n)
    await asyncio.sleep(0.1)


async def stubborn():
    while True:
        try:
            await asyncio.sleep(FOREVER)
        except asyncio.CancelledError:
            pass


async def fails(n):
    raise KeyError("missing-%d" % n)


def lost():
    asyncio.ensure_future(forever())


async def misc(loop):
    gc.disable()    # it would take the lost task
    task = start("stubborn", stubborn())
    await asyncio.sleep(0)
    task.cancel()
    for n in range(2):
        start("failing-%d" % n, fails(n))
    lost()
    await asyncio.sleep(0.1)


async def hopping(loop):
    async def hop():
        while True:
            time.sleep(0.001)
            await asyncio.sleep(0)
    start("hopping", hop())


async def quiet(loop):
    """What resembles trouble and is none."""
    pool = concurrent.futures.ThreadPoolExecutor(2)
    keep.append(pool)
    for _ in range(2):
        start("busy", asyncio.wait_for(loop.run_in_executor(pool, stop.wait),
                                       FOREVER))
    task = start("failed-and-seen", fails(1))
    await asyncio.sleep(0.05)
    keep.append(repr(task.exception()))
    task = start("cancelled", napping())
    await asyncio.sleep(0)
    task.cancel()
    for n in range(900):
        start("few-%d" % n, napping())
    inner = start("inner", forever())
    start("outer", asyncio.wait_for(asyncio.shield(inner), FOREVER))
    start("gathering", asyncio.wait({start("a", napping()),
                                     start("b", forever())}))
    future = loop.create_future()
    keep.append(future)
    asyncio.ensure_future(asyncio.wait_for(future, FOREVER))

    async def ticking():
        while True:
            await asyncio.sleep(0.01)
            time.sleep(0.001)
    start("ticking", ticking())
    await asyncio.sleep(0.1)


async def main():
    loop = truth.loop()
    loop.set_exception_handler(lambda *_: None)
    await globals()[sys.argv[1]](loop)
    truth.tell(named={(t.get_name() if hasattr(t, "get_name") else repr(t)):
                      hex(id(t)) for t in keep
                      if isinstance(t, asyncio.Task)})
    await forever()


if __name__ == "__main__":
    run(main(), sys.argv)
