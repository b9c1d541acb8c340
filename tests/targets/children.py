"""Waits for several futures of any kind, and awaits of what another task made.

truth["waits"]: name -> {kind, total, left, on (names)}; null where it is not told.
truth["awaited_by"]: name -> names.
"""
import asyncio
import threading

from truth import FOREVER, Truth, run

truth = Truth()
keep, named = [], {}
waits, awaited_by = {}, {}


def start(name, coro):
    task = asyncio.ensure_future(coro)
    keep.append(task)
    named[id(task)] = name
    truth.add(task, tag=name)
    return task


async def napping():
    await asyncio.sleep(FOREVER)


async def quick():
    pass


async def just(awaitable):
    await awaitable


async def gathering(*children):
    await asyncio.gather(*children)


async def waiting(*children, **kw):
    await asyncio.wait(children, **kw)


async def slow_semaphore(sem):
    await sem.acquire()


def told(name, coro, kind, total, left, on=()):
    start(name, coro)
    waits[name] = {"kind": kind, "total": total, "left": left,
                   "on": sorted(on)}


async def main():
    loop = truth.loop()
    future = loop.create_future
    stop = threading.Event()
    keep.append(stop)
    naps = [start("nap-%d" % i, napping()) for i in range(6)]
    done = start("done", quick())
    await done

    def thread():
        return loop.run_in_executor(None, stop.wait)
    twice = future()
    told("futures", gathering(future(), future()), "gather", 2, 2)
    told("threads", gathering(thread(), thread()), "gather", 2, 2)
    told("mixed", gathering(done, naps[0], future()), "gather", 3, 2,
         ["nap-0"])
    told("twice", gathering(twice, twice, future()), "gather", 2, 2)
    told("wait", waiting(future(), future(), done), "wait", 3, 2)
    told("wait-first", waiting(
        future(), naps[1], return_when=asyncio.FIRST_COMPLETED), "wait", 2, 2,
        ["nap-1"])
    told("shielded", gathering(asyncio.shield(future()),
                               asyncio.shield(naps[2])), "gather", 2, 2,
         ["nap-2"])
    told("nested", gathering(asyncio.gather(future(), future()),
                             asyncio.gather(naps[3], future())), "gather",
         2, 2, ["nap-3"])
    told("shield-gather", just(asyncio.shield(asyncio.gather(naps[4]))),
         "shield", None, None, ["nap-4"])
    bounded, plain = asyncio.BoundedSemaphore(2), asyncio.Semaphore(2)
    keep.extend((bounded, plain))
    for each in (bounded, bounded, plain, plain):
        await each.acquire()
    told("bounded", slow_semaphore(bounded), "semaphore", 2, 0)
    told("plain", slow_semaphore(plain), "semaphore", None, 0)
    full, empty, free = asyncio.Queue(3), asyncio.Queue(7), asyncio.Queue()
    for i in range(3):
        full.put_nowait(i)
    told("put", just(full.put(4)), "queue-put", 3, 0)
    told("get", just(empty.get()), "queue-get", 7, 7)
    told("get-unbound", just(free.get()), "queue-get", None, None)
    told("join", just(full.join()), "queue-join", None, 3)

    if hasattr(loop, "shutdown_default_executor"):
        told("shutdown", loop.shutdown_default_executor(), "shutdown", 2, 2)

    # Made by one task, awaited by another, or by none.
    made = {}

    async def maker():
        made["gather"] = asyncio.gather(naps[5], future())
        made["shield"] = asyncio.shield(naps[0])
        await asyncio.sleep(FOREVER)
    start("maker", maker())
    while "shield" not in made:
        await asyncio.sleep(0)
    start("awaiter", just(made["gather"]))
    start("shield-awaiter", just(made["shield"]))
    awaited_by.update({"nap-5": ["awaiter"],
                       "nap-0": ["mixed", "shield-awaiter"],
                       "nap-3": ["nested"], "maker": []})
    await asyncio.sleep(0.1)
    truth.tell(waits=waits, awaited_by=awaited_by)
    await asyncio.sleep(FOREVER)


run(main())
