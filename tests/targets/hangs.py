"""Programs that hang, each in one way (the first argument); the target tells which tasks
are to blame."""
import asyncio
import concurrent.futures
import json
import os
import sys
import threading
import time

kept = []


def start(name, coro):
    t = asyncio.ensure_future(coro)
    if hasattr(t, "set_name"):
        t.set_name(name)
    kept.append(t)
    return t


async def both(first, second, gate=None):
    async with first:
        if gate:
            await gate.wait()
        else:
            await asyncio.sleep(0)
        async with second:
            pass


async def take(lock):
    async with lock:
        pass


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


async def ring(n):
    """Each holds one lock and waits for the next one's."""
    locks = [asyncio.Lock() for _ in range(n)]
    tasks = [start("t%d" % i, both(locks[i], locks[(i + 1) % n])) for i in range(n)]
    await settle()
    behind = [start("b%d" % i, take(locks[0])) for i in range(5)]
    await settle()
    return {"ring": tasks, "behind": behind, "rule": "deadlock"}


async def itself():
    lock = asyncio.Lock()
    t = start("t", both(lock, lock))
    await settle()
    return {"ring": [t], "behind": [], "rule": "deadlock"}


async def through_await():
    """A holds a lock and awaits B, which waits for the lock."""
    lock = asyncio.Lock()

    async def a():
        async with lock:
            await asyncio.gather(start("inner", take(lock)))
    t = start("outer", a())
    await settle()
    inner = [k for k in kept if k is not t]
    return {"ring": [t] + inner, "behind": [], "rule": "deadlock"}


async def with_timeout():
    """A ring that a timeout will break is no deadlock."""
    one, two = asyncio.Lock(), asyncio.Lock()
    start("t0", asyncio.wait_for(both(one, two), 3600))
    start("t1", both(two, one))
    await settle()
    return {"ring": [], "behind": [], "rule": None}


async def permits():
    """Two have both permits of a semaphore and each wants another."""
    sem = asyncio.BoundedSemaphore(2)
    tasks = [start("t%d" % i, both(sem, sem)) for i in range(2)]
    await settle()
    return {"stuck": tasks, "rule": "deadlock"}


async def spare_permit():
    """One of the holders of a semaphore only sleeps: it will give its permit back."""
    sem = asyncio.BoundedSemaphore(2)

    async def sleeper():
        async with sem:
            await asyncio.sleep(3600)
    start("sleeper", sleeper())
    await settle()
    start("t", both(sem, sem))
    await settle()
    return {"ring": [], "behind": [], "rule": None}


async def wait(thing):
    await (thing.wait() if hasattr(thing, "wait") else thing.get())


async def lost():
    """A lock is free, an event set, and a queue has an item, but nobody is woken."""
    lock, event, queue = asyncio.Lock(), asyncio.Event(), asyncio.Queue()
    await lock.acquire()
    tasks = [start("l", take(lock)), start("e", wait(event)), start("q", wait(queue))]
    await settle()
    lock._locked = False
    event._value = True
    queue._queue.append(1)
    return {"lost": tasks, "rule": "lost-wakeup"}


async def asleep():
    """Another thread completes a future without waking the loop."""
    future = asyncio.get_running_loop().create_future()

    async def waiter():
        await future
    t = start("waiter", waiter())

    def complete():
        time.sleep(0.5)
        future.set_result(1)
        tell({"asleep": [t], "rule": "asleep-with-work"})
    threading.Thread(target=complete, daemon=True).start()
    return None


async def healthy():
    """Locks passed on all the time, and a lock that one holds while it sleeps."""
    lock, slow = asyncio.Lock(), asyncio.Lock()

    async def hot():
        while True:
            async with lock:
                await asyncio.sleep(0)

    async def hold():
        while True:
            async with slow:
                await asyncio.sleep(3600)
    holder = start("holder", hold())
    for i in range(20):
        start("hot%d" % i, hot())
    await settle()
    behind = [start("w%d" % i, take(slow)) for i in range(5)]
    await settle()
    return {"root": [holder], "behind": behind, "rule": None}


async def gathered():
    """One gather whose children all wait for one holder, another whose children do not."""
    lock = asyncio.Lock()

    async def hold():
        async with lock:
            await asyncio.sleep(3600)

    async def together(*coros):
        await asyncio.gather(*coros)
    holder = start("holder", hold())
    await settle()
    behind = start("behind", together(take(lock), take(lock)))
    apart = start("apart", together(take(lock), asyncio.sleep(3600)))
    await settle()
    return {"root": [holder], "behind": [behind], "apart": [apart], "rule": None}


async def failing_child():
    """One child waits for the lock, but the other may fail and so end the gather."""
    lock = asyncio.Lock()

    async def fail():
        await asyncio.sleep(3600)
        raise ValueError

    async def outer():
        async with lock:
            await asyncio.gather(start("inner", take(lock)), start("failing", fail()))
    start("outer", outer())
    await settle()
    return {"ring": [], "behind": [], "rule": None}


async def own_loop():
    """The loop's thread waits for a coroutine that it would have to run itself."""
    loop = asyncio.get_running_loop()

    async def handler():
        future = asyncio.run_coroutine_threadsafe(settle(), loop)
        tell({"threads": [threading.get_native_id()], "tasks": [],
              "waiting": [t, asyncio.current_task()]})
        future.result(*map(float, sys.argv[2:]))
    t = asyncio.current_task()
    await start("handler", handler())


async def own_pool():
    """Both workers wait for tasks that need a worker."""
    loop, workers, subs = asyncio.get_running_loop(), [], []
    pool = concurrent.futures.ThreadPoolExecutor(2)

    async def sub():
        subs.append(asyncio.current_task())
        if len(subs) == 2:
            tell({"threads": workers, "tasks": subs})
        await loop.run_in_executor(pool, time.time)

    def job():
        workers.append(threading.get_native_id())
        asyncio.run_coroutine_threadsafe(sub(), loop).result()
    await asyncio.gather(*[loop.run_in_executor(pool, job) for _ in range(2)])


async def lock_and_loop():
    """A thread has a lock and waits for the loop, whose thread waits for the lock."""
    loop, lock = asyncio.get_running_loop(), threading.Lock()
    taken, go = threading.Event(), threading.Event()

    def worker():
        with lock:
            taken.set()
            go.wait()
            asyncio.run_coroutine_threadsafe(settle(), loop).result()

    async def handler():
        go.set()
        with lock:
            pass
    thread = threading.Thread(target=worker, daemon=True, name="w1")
    thread.start()
    taken.wait()
    tell({"threads": [threading.get_native_id(), thread.native_id], "tasks": []})
    await start("handler", handler())


async def other_thread():
    """A thread waits for a task that only sleeps, and a task for a call in a thread that
    waits for a lock which nobody is seen to have."""
    loop, lock = asyncio.get_running_loop(), threading.Lock()
    lock.acquire()

    def worker():
        asyncio.run_coroutine_threadsafe(asyncio.sleep(3600), loop).result()

    def call():
        with lock:
            pass
    threading.Thread(target=worker, daemon=True).start()
    start("caller", in_thread(call))
    await settle()
    return {"ring": [], "behind": [], "rule": None}


async def in_thread(call):
    await asyncio.get_running_loop().run_in_executor(None, call)


def paused():
    """The loop is left with a task whose timer comes due, and its thread does other things."""
    loop = asyncio.new_event_loop()

    async def sleeper():
        await asyncio.sleep(0.01)
    t = loop.create_task(sleeper())
    kept.append(t)
    loop.run_until_complete(asyncio.sleep(0))
    time.sleep(1.5)
    tell({"idle": [t], "rule": "loop-not-running"})
    threading.Event().wait()


def tell(truth):
    out = {k: [t if isinstance(t, int) else hex(id(t)) for t in v] if isinstance(v, list) else v
           for k, v in truth.items()}
    print(json.dumps(dict(out, pid=os.getpid())), flush=True)


async def main():
    kind = sys.argv[1]
    truth = await (ring(int(kind)) if kind.isdigit() else globals()[kind]())
    if truth:
        tell(truth)
    await asyncio.get_running_loop().create_future()


if sys.argv[1] == "paused":
    paused()
asyncio.run(main())
