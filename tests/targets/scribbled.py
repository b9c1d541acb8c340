"""Tasks whose objects change to anything at any time: once the agent is in, a callback of
the loop writes random words over them, for good. Nothing of what it writes over is used
again, so the process lives on."""
import asyncio
import ctypes
import gc
import os
import random
import sys
import types

from agentside import agent_is_in, say

WORD = ctypes.sizeof(ctypes.c_uint64)


async def inner(lock, future):
    async with lock:
        await future


async def outer(lock, future):
    await asyncio.gather(inner(asyncio.Lock(), future), inner(lock, future))


def objects(loop, tasks):
    """What asyncmon reads, but for what this function and its callers run on."""
    for task in tasks:
        coro = task.get_coro()
        frame = coro.cr_frame
        yield from (task, coro, frame, frame.f_locals["future"], frame.f_locals["lock"],
                    coro.__qualname__, task.get_name())
    for table in ("_all_tasks", "_scheduled_tasks"):
        if hasattr(asyncio.tasks, table):
            weak = getattr(asyncio.tasks, table)
            yield from (weak, weak.data, vars(weak))
    yield from (inner.__code__, outer.__code__, inner.__code__.co_code, loop._scheduled,
                loop._ready, vars(asyncio.tasks))


def room(o):
    """The bytes of it that are its own, at its address: of containers not their tables, and
    not what a frame object of 3.11 on only leads to."""
    if isinstance(o, (dict, set, list, types.FrameType)) or hasattr(o, "popleft"):
        return type(o).__basicsize__
    return type(o).__sizeof__(o)


def scribble(loop, tasks):
    gc.disable()
    keep = list(objects(loop, tasks))
    addresses = [id(o) for o in keep]
    words = []
    for o in keep:
        n = room(o) // WORD
        words.append((ctypes.c_uint64 * n).from_address(id(o)))
    was = [list(w) for w in words]
    choice, bits, ready = random.choice, random.getrandbits, False
    while True:
        # A few words are wrong at a time, so that what leads to them can be followed.
        changed = []
        for _ in range(choice((1, 1, 3, 20))):
            i = bits(20) % len(words)
            k = bits(20) % len(was[i])
            words[i][k] = choice((bits(64), bits(8), was[i][k] ^ 1 << bits(6), choice(addresses),
                                  choice(was[i]), was[i][k] + 8 * bits(4)))
            changed.append((i, k))
        if not ready:
            sys.stdout.write('{"scribbling": %d}\n' % len(words))
            sys.stdout.flush()
            ready = True
        for _ in range(500):
            pass
        for i, k in changed:
            words[i][k] = was[i][k]


async def main():
    loop = asyncio.get_running_loop()
    lock = asyncio.Lock()
    tasks = []
    say({"pid": os.getpid(), "tasks": []})
    while not agent_is_in():
        await asyncio.sleep(0.01)
    for i in range(30):
        tasks.append(loop.create_task(outer(lock, loop.create_future())))
        tasks[-1].set_name("scribbled-%d" % i)
    for i in range(20):
        task = loop.create_task(inner(asyncio.Lock(), loop.create_future()))
        task.set_name("ended-%d" % i)
        await asyncio.sleep(0)
        task.cancel("over")
        await asyncio.wait([task])
    await asyncio.sleep(0.01)
    loop.call_soon(scribble, loop, tasks)
    await asyncio.sleep(1000)


asyncio.run(main())
