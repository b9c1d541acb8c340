"""crowd.py N: N tasks that wait on one line, six that wait for a lock elsewhere, and a
few whose names are not ASCII or have blanks."""
import asyncio
import json
import os
import sys

STUCK = 6
NAMED = ("café", "任务", "résumé prüfen", "nightly report")


def start(coro, name):
    task = asyncio.ensure_future(coro)
    task.set_name(name)
    return task


async def wait_for_work(queue):
    await queue.get()


async def settle(lock):
    async with lock:
        pass


async def hold(lock, forever):
    async with lock:
        await forever


async def main():
    count = int(sys.argv[1])
    queue, lock = asyncio.Queue(), asyncio.Lock()
    forever = asyncio.get_running_loop().create_future()
    tasks = [start(hold(lock, forever), "holder")]
    await asyncio.sleep(0)
    tasks += [start(wait_for_work(queue), "worker-%d" % i) for i in range(count)]
    tasks += [start(settle(lock), "settle-%d" % i) for i in range(STUCK)]
    tasks += [start(forever_after(forever), name) for name in NAMED]
    await asyncio.sleep(0.1)
    print(json.dumps({"pid": os.getpid(), "stuck": STUCK, "named": NAMED,
                      "count": len(tasks) + 1}), flush=True)
    await forever


async def forever_after(future):
    await asyncio.shield(future)


if __name__ == "__main__":
    asyncio.run(main())
