"""multiplied.py KIND N: what is there once, and N tasks refer to. chain: their coroutines
all await one chain of 20,000, by forged pointers. name: one name of a megabyte. whole: N
names of 300,000 letters of their own."""
import asyncio
import ctypes
import gc
import json
import os
import sys

DEPTH = 20000
gc.disable()
kept = []


class Link:
    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return None


async def link(x):
    await x


def relink(coro, old, new):
    """The last of its words that is `old` is what it awaits."""
    words = (ctypes.c_uint64 * (sys.getsizeof(coro) // 8)).from_address(id(coro))
    words[max(i for i, v in enumerate(words) if i > 1 and v == id(old))] = id(new)
    kept.append((old, new))


def chain():
    links = [Link() for _ in range(DEPTH)]
    coros = [link(x) for x in links]
    for c in coros:
        c.send(None)
    for i in range(DEPTH - 1):
        relink(coros[i], links[i], coros[i + 1])
    kept.append((links, coros))
    return coros[0]


async def main():
    kind, n = sys.argv[1], int(sys.argv[2])
    tasks = [asyncio.create_task(link(asyncio.sleep(10000))) for _ in range(n)]
    await asyncio.sleep(0.1)
    name = "N" * (1 << 20)
    first = chain() if kind == "chain" else None
    for i, t in enumerate(tasks):
        if kind == "chain":
            c = t.get_coro()
            relink(c, c.cr_await, first)
        else:
            t.set_name(name if kind == "name" else "%06d" % i * 50000)
    print(json.dumps({"pid": os.getpid(), "count": n + 1}), flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
