"""A task whose innermost await goes through an object that is no coroutine, and one
whose await is plain."""
import asyncio
import json
import os


class Reply:
    """Awaited as objects of Cython or C are: an iterator with frames of its own."""

    def __init__(self, future):
        self.inner = future.__await__()

    def __await__(self):
        return self

    __iter__ = __await__

    def __next__(self):
        return next(self.inner)

    def send(self, value):
        return self.inner.send(value)


async def ask(future):
    await Reply(future)


async def plain(future):
    await future


async def nested(future, n):
    if n:
        await nested(future, n - 1)
    else:
        await future


async def main():
    loop = asyncio.get_running_loop()
    tasks = {"foreign": loop.create_task(ask(loop.create_future())),
             "plain": loop.create_task(plain(loop.create_future())),
             "named": loop.create_task(plain(loop.create_future()))}
    shared = loop.create_future()
    many = [loop.create_task(plain(shared)) for _ in range(5000)]
    for k in range(200):
        tasks["plain"].add_done_callback(lambda t, k=k: None)
    timers = [loop.call_later(3600 + i, print) for i in range(100000)]
    await asyncio.sleep(0.2)
    print(json.dumps({"pid": os.getpid(), "many": len(many), "timers": len(timers),
                      **{k: hex(id(t)) for k, t in tasks.items()}}), flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
