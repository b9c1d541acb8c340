"""flames.py: tasks that wait at known places, some below others, one of a function with a
name that would break out of every format. Tells how many wait at each end: the names of
the functions from the outermost on, and the kind of wait."""
import asyncio
import json
import os
import sys

EVIL = "</script><script>alert(1)</script>;a b\n<!--&\u2028\x9b31m"


async def leaf(seconds):
    await asyncio.sleep(seconds)


async def locked(lock):
    await lock.acquire()


async def fan(n):
    await asyncio.gather(*[leaf(3600) for _ in range(n)])


async def outer(n):
    await fan(n)


async def named(fut):
    await fut

named.__code__ = named.__code__.replace(co_name=EVIL)
if sys.version_info >= (3, 11):
    named.__code__ = named.__code__.replace(co_qualname=EVIL)


async def grouped(n):
    async with asyncio.TaskGroup() as group:
        for _ in range(n):
            group.create_task(leaf(3600))


async def main():
    loop = asyncio.get_running_loop()
    lock = asyncio.Lock()
    await lock.acquire()
    want = {"main>future": 1}
    tasks = []

    def start(path, coro, n=1):
        tasks.append(loop.create_task(coro))
        want[path] = want.get(path, 0) + n
    for _ in range(5):
        start("locked>acquire>lock", locked(lock))
    start("outer>fan", outer(7))
    want["outer>fan>leaf>sleep>sleep"] = 7
    start(EVIL + ">future", named(loop.create_future()))
    if sys.version_info >= (3, 11):
        end = "grouped>__aexit__" + (">_aexit" if sys.version_info >= (3, 14) else "")
        start(end, grouped(3))
        want[end + ">leaf>sleep>sleep"] = 3
    for _ in range(5):
        await asyncio.sleep(0)
    # Told once this task waits too.
    loop.call_soon(lambda: print(json.dumps({
        "pid": os.getpid(), "want": want, "evil": EVIL, "total": sum(want.values())}), flush=True))
    await loop.create_future()

asyncio.run(main())
