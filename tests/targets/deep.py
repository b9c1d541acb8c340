"""deep.py N [--tasks]: one task N awaits deep, or a chain of N tasks.

Coroutines this deep need a thread with a large C stack, and from 3.12 a warm
await (its C recursion is bounded, the specialised one does not recurse).
Says the depth that the interpreter allowed."""
import asyncio
import json
import os
import sys
import threading

from truth import FOREVER, await_stack


async def level(depth, fut):
    if depth > 1:
        await level(depth - 1, fut)
    else:
        await fut


async def link(tasks, i, fut):
    await (tasks[i - 1] if i else fut)


def tell(depth, **more):
    out = {"pid": os.getpid(), "python": sys.version.split()[0], "loops": [],
           "tasks": [], "depth": depth}
    out.update(more)
    print(json.dumps(out), flush=True)


async def coroutines(n):
    loop = asyncio.get_running_loop()
    for _ in range(200):
        fut = loop.create_future()
        loop.call_soon(fut.set_result, None)
        await level(20, fut)
    while True:
        task = asyncio.ensure_future(level(n, loop.create_future()))
        task.set_name("deep")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if not task.done():
            break
        task.exception()
        n //= 2
    stack = await_stack(task.get_coro())
    tell(len(stack), id=hex(id(task)), first=stack[0], last=stack[-1])
    await loop.create_future()


async def chain(n):
    fut = asyncio.get_running_loop().create_future()
    tasks = []
    for i in range(n):
        task = asyncio.ensure_future(link(tasks, i, fut))
        task.set_name("link-%d" % i)
        tasks.append(task)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tell(n, id=hex(id(tasks[-1])), count=n + 1)
    await fut


def main():
    n = int(sys.argv[1])
    asyncio.run(chain(n) if "--tasks" in sys.argv else coroutines(n))


sys.setrecursionlimit(10 ** 6)
threading.stack_size(1 << 30)
threading.Thread(target=main).start()
