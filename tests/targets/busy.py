"""busy.py HEARTBEAT: tasks made, cancelled and finished all the time.

A few tasks are always there and always wait the same way, so that an answer
without them is known to be wrong.  The file HEARTBEAT holds two 64-bit
numbers: ticks of the loop, and errors that anything met."""
import asyncio
import mmap
import os
import random
import struct
import sys

from truth import FOREVER, Truth, run

truth = Truth()


async def invariant():
    await asyncio.sleep(FOREVER)


async def on_task(task):
    await task


async def step(n):
    await asyncio.sleep(0)
    await asyncio.sleep(random.random() / 200)
    return n


async def parent(n):
    kids = [asyncio.ensure_future(step(i)) for i in range(n)]
    kids[0].cancel()
    await asyncio.gather(*kids, return_exceptions=True)
    await asyncio.wait([asyncio.ensure_future(step(1))])


async def churn(cell):
    alive = set()
    while True:
        for _ in range(5):
            task = asyncio.ensure_future(parent(random.randrange(1, 8)))
            alive.add(task)
            task.add_done_callback(alive.discard)
        if alive and random.random() < 0.5:
            random.choice(list(alive)).cancel()
        await asyncio.sleep(0)
        while len(alive) > 50:
            await asyncio.sleep(0.001)


async def tick(cell):
    n = 0
    while True:
        n += 1
        cell[0:8] = struct.pack("=Q", n)
        await asyncio.sleep(0.001)


async def main():
    loop = truth.loop()
    with open(sys.argv[1], "wb") as f:
        f.write(bytes(4096))
    with open(sys.argv[1], "r+b") as f:
        cell = mmap.mmap(f.fileno(), 4096)
    errors = [0]

    def trouble(loop, context):
        errors[0] += 1
        cell[8:16] = struct.pack("=Q", errors[0])
        loop.default_exception_handler(context)
    loop.set_exception_handler(trouble)
    keep = []
    for i in range(5):
        inner = asyncio.ensure_future(invariant())
        inner.set_name("always-%d" % i)
        outer = asyncio.ensure_future(on_task(inner))
        outer.set_name("awaits-%d" % i)
        keep.extend((inner, outer))
        truth.add(inner, kind="sleep", tag="always", awaited_by=(outer,))
        truth.add(outer, kind="task", tag="awaits", on=(inner,),
                  awaited_by=())
    await asyncio.sleep(0.05)
    truth.tell()
    await asyncio.gather(tick(cell), churn(cell))


run(main())
