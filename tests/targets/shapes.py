"""Every shape a task can have, one task each."""
import asyncio
import os
import socket
import sys
import threading
import time
import types

from truth import FOREVER, Truth, run

truth = Truth()
keep = []


async def forever():
    await asyncio.get_running_loop().create_future()


async def napping():
    await asyncio.sleep(FOREVER)


async def on_future(fut):
    await fut


async def on_task(task):
    return await task


async def on_gather(tasks):
    await asyncio.gather(*tasks)


async def on_wait(tasks):
    await asyncio.wait(tasks)


async def on_wait_for(fut):
    await asyncio.wait_for(fut, FOREVER)


async def on_shield(task):
    await asyncio.shield(task)


async def on_lock(lock):
    async with lock:
        pass


async def on_event(event):
    await event.wait()


async def on_condition(condition):
    async with condition:
        await condition.wait()


async def on_semaphore(sem):
    async with sem:
        pass


async def on_get(queue):
    return await queue.get()


async def on_put(queue):
    await queue.put("one too many")


async def on_join(queue):
    await queue.join()


class Awaitable:
    """__await__ is a generator."""

    def __init__(self, fut):
        self.fut = fut

    def __await__(self):
        return (yield from self.fut)


class Delegating:
    """__await__ gives the coroutine_wrapper of a coroutine."""

    def __await__(self):
        return napping().__await__()


class Iterating:
    """__await__ gives an iterator that is no generator."""

    def __init__(self, fut):
        self.it = iter(fut)

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.it)


async def on_object(obj):
    await obj


async def ticks():
    await asyncio.sleep(FOREVER)
    yield 1


async def on_async_for():
    async for _ in ticks():
        pass


async def on_asend():
    agen = ticks()
    keep.append(agen)
    await agen.asend(None)


@types.coroutine
def old_style(fut):
    yield from fut


async def on_old_style(fut):
    await old_style(fut)


async def nested(depth):
    if depth:
        await nested(depth - 1)
    else:
        await asyncio.sleep(FOREVER)


async def stubborn():
    try:
        await asyncio.sleep(FOREVER)
    except asyncio.CancelledError:
        await asyncio.sleep(FOREVER)


async def returns():
    return 42


async def raises():
    raise ValueError("as meant")


async def on_read(reader):
    await reader.read(1)


async def on_drain(writer):
    writer.write(b"x" * 16777216)
    await writer.drain()


async def on_recv(sock):
    await asyncio.get_running_loop().sock_recv(sock, 1)


async def on_executor(stop):
    await asyncio.get_running_loop().run_in_executor(None, stop.wait)


async def on_process(proc):
    await proc.wait()


class OwnTask(asyncio.Task):
    pass


NAMES = {
    "latin1": "caf\u00e9 \u00fc\u00df",
    "bmp": "\u4efb\u52a1 \u2014 \u017elu\u0165",
    "astral": "rocket \U0001f680 \U0001d518",
    "control": "line\nfeed\ttab\rreturn\x07bell\x00nul\x7fdel\x85nel\u202erlo",
    "escape": "\x1b[31mred\x1b[0m\x1b]0;title\x07 \x9b2J",
    "surrogate": "lone \udc80 half",
    "empty": "",
    "long": "x" * 5000,
}


def start(name, coro, **info):
    task = asyncio.ensure_future(coro)
    task.set_name(name)
    keep.append(task)
    info.setdefault("awaited_by", ())
    return truth.add(task, tag=info.pop("tag", name), **info)


async def waits(loop):
    """One task for each way to wait."""
    start("sleep", napping(), kind="sleep", on=())
    start("future", on_future(loop.create_future()), kind="future", on=())

    inner = start("inner", napping(), kind="sleep")
    outer = start("outer", on_task(inner), kind="task", on=(inner,))
    truth.add(inner, kind="sleep", awaited_by=(outer,), tag="inner")

    for kind, func in (("gather", on_gather), ("wait", on_wait)):
        kids = [start("%s-%d" % (kind, i), napping()) for i in range(3)]
        owner = start(kind, func(kids), kind=kind, on=kids)
        for kid in kids:
            truth.add(kid, kind="sleep", awaited_by=(owner,),
                      tag=kid.get_name())

    start("wait_for", on_wait_for(loop.create_future()), kind="future", on=())
    inner = start("shielded", napping())
    owner = start("shield", on_shield(inner), kind="shield", on=(inner,))
    truth.add(inner, kind="sleep", awaited_by=(owner,), tag="shielded")

    lock, event, condition = asyncio.Lock(), asyncio.Event(), asyncio.Condition()
    await lock.acquire()
    sem = asyncio.Semaphore(1)
    await sem.acquire()
    start("lock", on_lock(lock), kind="lock")
    start("event", on_event(event), kind="event")
    start("condition", on_condition(condition), kind="condition")
    start("semaphore", on_semaphore(sem), kind="semaphore")
    full = asyncio.Queue(1)
    await full.put(1)
    empty = asyncio.Queue()
    keep.extend((lock, event, condition, sem, full, empty))
    start("queue-get", on_get(empty), kind="queue-get")
    start("queue-put", on_put(full), kind="queue-put")
    start("queue-join", on_join(full), kind="queue-join")


async def outside(loop):
    """Waits for what comes from outside the loop."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    keep.extend((theirs, writer))
    start("stream-read", on_read(reader), kind="stream-read")
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    keep.extend((theirs, writer, reader))
    start("stream-write", on_drain(writer), kind="stream-write")
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    keep.extend((ours, theirs))
    start("socket", on_recv(ours), kind="socket")
    stop = threading.Event()
    keep.append(stop)
    start("executor", on_executor(stop), kind="executor")
    # Ends with this process: its standard input closes then.
    proc = await asyncio.create_subprocess_exec(
        "cat", stdin=asyncio.subprocess.PIPE)
    keep.append(proc)
    start("subprocess", on_process(proc), kind="subprocess")


async def coroutines(loop):
    """One task for each kind of link in an await chain."""
    start("custom-await", on_object(Awaitable(loop.create_future())))
    start("wrapper", on_object(Delegating()), kind="sleep")
    start("iterator", on_object(Iterating(loop.create_future())))
    start("async-for", on_async_for(), kind="sleep")
    start("asend", on_asend(), kind="sleep")
    start("types.coroutine", on_old_style(loop.create_future()))
    start("nested", nested(30), kind="sleep")


async def identities(loop):
    for tag, name in NAMES.items():
        start(name, napping(), kind="sleep", tag="name-" + tag)
    # Unnamed ones are numbered one after the other, and asking a task for
    # its name makes a string of the number: so the one before is asked.
    before = asyncio.ensure_future(napping())
    deferred = asyncio.ensure_future(napping())
    number = int(before.get_name().split("-")[1])
    truth.add(before, kind="sleep")
    truth.add(deferred, kind="sleep", name="Task-%d" % (number + 1),
              tag="deferred")
    keep.extend((before, deferred))
    for tag, cls in (("subclass", OwnTask), ("python", asyncio.tasks._PyTask)):
        task = cls(napping(), loop=loop)
        task.set_name(tag)
        keep.append(task)
        truth.add(task, kind="sleep", tag=tag, awaited_by=())


async def ends(loop):
    count = 1 if hasattr(asyncio.Task, "cancelling") else None
    start("stubborn", stubborn(), kind="sleep", cancelling=count)
    start("finished", returns(), state="finished")
    start("failed", raises(), state="failed")
    start("cancelled", napping(), state="cancelled")
    await asyncio.sleep(0)
    for task in keep:
        if isinstance(task, asyncio.Task) and \
                task.get_name() in ("stubborn", "cancelled"):
            task.cancel()
    for _ in range(3):
        await asyncio.sleep(0)


def second_loop(ready):
    async def main():
        truth.loop()
        truth.add(asyncio.current_task(), tag="thread-main")
        start("thread-sleep", napping(), kind="sleep")
        await asyncio.sleep(0)
        ready.set()
        await forever()
    asyncio.run(main())


def blocked_loop(ready):
    """One running task, and others that wait for their turn."""
    async def yielding():
        while True:
            await asyncio.sleep(0)

    async def unstarted():
        pass

    async def inner_blocker():
        ready.set()
        time.sleep(FOREVER)

    async def blocker():
        await inner_blocker()

    async def main():
        truth.loop()
        truth.add(asyncio.current_task(), tag="blocked-main")
        start("runnable", yielding(), state="runnable")
        start("running", blocker(), state="running")
        start("unstarted", unstarted(), state="runnable")
        await forever()
    asyncio.run(main())


async def main():
    loop = truth.loop()
    loop.set_exception_handler(lambda *_: None)
    truth.add(asyncio.current_task(), tag="main", kind="future")
    for target in (second_loop, blocked_loop):
        ready = threading.Event()
        threading.Thread(target=target, args=(ready,), daemon=True,
                         name=target.__name__).start()
        ready.wait(10)
    await waits(loop)
    await outside(loop)
    await coroutines(loop)
    await identities(loop)
    await ends(loop)
    truth.tell_when_settled()
    await forever()


if __name__ == "__main__":
    assert os.path.basename(__file__) == "shapes.py"
    run(main(), sys.argv)
