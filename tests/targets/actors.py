"""Tasks that meet a cancel in different ways, for the commands that act.

actors.py [uvloop]. Prints its PID; goes on printing "tick N" when nobody acts.
SIGUSR1 blocks the loop for three seconds."""
import asyncio
import json
import os
import signal
import sys
import time


async def willing():
    await asyncio.sleep(1000)


async def swallow():
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass


async def raises():
    try:
        await asyncio.sleep(1000)
    except asyncio.CancelledError:
        raise ValueError("no \x1b[31m")


async def finishes():
    try:
        await asyncio.sleep(1000)
    except asyncio.CancelledError:
        return 1


def block():
    time.sleep(3)


async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, block)
    keep = []
    for f in (willing, swallow, raises, finishes):
        keep.append(loop.create_task(f()))
        keep[-1].set_name(f.__name__)
    n = 0
    await asyncio.sleep(0.05)
    print(json.dumps({"pid": os.getpid(), "tasks": []}), flush=True)
    while True:
        await asyncio.sleep(0.2)
        n += 1
        print("tick", n, flush=True)


if "uvloop" in sys.argv:
    import uvloop
    uvloop.install()
asyncio.run(main())
