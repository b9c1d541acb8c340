"""nested.py chain|cancel|eager N: what nests as deep as N, in a thread with a stack of 1 MiB.

chain: pending tasks, each held only by the coroutine of the next, are let go at once. cancel:
cancel() goes through N tasks that await one another. eager: N tasks start one inside the other.
Prints "survived" at the end."""
import asyncio
import gc
import sys
import threading

KIND, N = sys.argv[1], int(sys.argv[2])


async def awaits(before):
    if before is None:
        await asyncio.sleep(1000)
    else:
        await before


async def chained():
    task = None
    for _ in range(N):
        task = asyncio.ensure_future(awaits(task))
        if KIND == "cancel":
            await asyncio.sleep(0)
    return task


async def eager(depth):
    if depth:
        await asyncio.create_task(eager(depth - 1))


def chain(loop):
    task = loop.run_until_complete(chained())
    loop._ready.clear()
    loop._scheduled.clear()
    if KIND == "cancel":
        task.cancel()
    del task


def work():
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)
    if KIND == "eager":
        loop.set_task_factory(asyncio.eager_task_factory)
        loop.run_until_complete(eager(N))
    else:
        chain(loop)
    loop.close()
    del loop
    gc.collect()


sys.setrecursionlimit(100000)
threading.stack_size(1 << 20)
thread = threading.Thread(target=work)
thread.start()
thread.join()
print("survived", flush=True)
