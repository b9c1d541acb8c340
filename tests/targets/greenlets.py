"""A coroutine that runs sync code in a greenlet and awaits on its behalf, as SQLAlchemy
does; the target tells the frames of the greenlet as the greenlet itself gives them."""
import asyncio
import functools
import json
import os
import signal

try:
    import greenlet
except ImportError:
    print(json.dumps({"pid": os.getpid(), "greenlet": None}), flush=True)
    signal.pause()

Base = greenlet.greenlet


class Own(Base):
    """SQLAlchemy derives its own class."""


def await_only(awaitable):
    return greenlet.getcurrent().parent.switch(awaitable)


async def spawn(kind, kept, fn, *args):
    g = kind(fn)
    kept.append(g)
    result = g.switch(*args)
    while not g.dead:
        value = await result
        result = g.switch(value)
    return result


def query(event):
    return execute(event)


def execute(event):
    with Session():
        return await_only(event.wait())


class Session:
    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass


def through_c(event):
    """Between these two frames lies a function of C."""
    return functools.reduce(lambda a, b: execute(b), [None, event])


def frames(g):
    out, f = [], g.gr_frame
    while f is not None:
        out.append([f.f_code.co_name, f.f_lineno])
        f = f.f_back
    return out[::-1]


async def main():
    event, kept, told = asyncio.Event(), [], {}
    plain = asyncio.ensure_future(spawn(Base, kept, query, event))
    derived = asyncio.ensure_future(spawn(Own, kept, query, event))
    c = asyncio.ensure_future(spawn(Base, kept, through_c, event))
    for _ in range(10):
        await asyncio.sleep(0)
    for name, task, g in zip(("plain", "derived", "c"), (plain, derived, c), kept):
        told[name] = {"task": hex(id(task)), "frames": frames(g)}
    print(json.dumps({"pid": os.getpid(), "greenlet": told}), flush=True)
    await event.wait()


asyncio.run(main())
