"""Locks and semaphores held in every way, each waited for by one task; the target tells
who has which, and at which line."""
import asyncio
import contextlib
import json
import os
import sys

held = {}
kept = []


def here():
    return sys._getframe(1).f_lineno


def hold(name, obj, task=True, generator=None, line=None):
    h = held.setdefault(name, {"id": hex(id(obj)), "holders": []})
    h["holders"].append({
        "task": hex(id(me())) if task else None,
        "generator": hex(id(generator)) if generator is not None else None,
        "line": line})


def me():
    return asyncio.current_task() if hasattr(asyncio, "current_task") else None


async def plain(lock, never):
    async with lock:
        hold("plain", lock, line=here() + 1)
        await never.wait()


async def permits(sem, never):
    async with sem:
        hold("semaphore", sem, line=here() + 1)
        await never.wait()


async def in_condition(cond, lock, never):
    async with cond:
        hold("condition", lock, line=here() + 1)
        await never.wait()


@contextlib.asynccontextmanager
async def borrowed(lock, told):
    async with lock:
        told.append(here() + 1)
        yield


async def by_context_manager(lock, never):
    told = []
    cm = borrowed(lock, told)
    async with cm:
        hold("contextmanager", lock, generator=cm.gen, line=told[0])
        await never.wait()


async def by_exit_stack(lock, never):
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(lock)
        hold("exitstack", lock, line=here() + 1)
        await never.wait()


async def rows(lock, told):
    async with lock:
        told.append(here() + 1)
        yield 1
        yield 2


async def left_generator(lock, never):
    told = []
    g = rows(lock, told)
    async for _ in g:
        break
    hold("generator", lock, task=False, generator=g, line=told[0])
    await never.wait()


async def in_generator(lock, never):
    told = []
    g = rows(lock, told)
    async for _ in g:
        hold("consumed", lock, generator=g, line=told[0])
        await never.wait()


async def bare(lock, never):
    await lock.acquire()
    held["bare"] = {"id": hex(id(lock)), "holders": None}
    await never.wait()


async def free(lock):
    """A lock that is not locked any more, though somebody is inside of it."""
    async with lock:
        held["released"] = {"id": hex(id(lock)), "holders": []}
        await asyncio.sleep(3600)


async def wait_for(lock):
    async with lock:
        pass


async def main():
    never = asyncio.Event()
    locks = [asyncio.Lock() for _ in range(8)]
    kept.extend(locks)
    sem = asyncio.BoundedSemaphore(2)
    cond = asyncio.Condition(locks[1])
    tasks = {
        "plain": plain(locks[0], never),
        "in_condition": in_condition(cond, locks[1], never),
        "by_context_manager": by_context_manager(locks[2], never),
        "by_exit_stack": by_exit_stack(locks[3], never),
        "left_generator": left_generator(locks[4], never),
        "in_generator": in_generator(locks[5], never),
        "bare": bare(locks[6], never),
        "free": free(locks[7]),
        "permit-0": permits(sem, never),
        "permit-1": permits(sem, never),
    }

    def start(name, coro):
        t = asyncio.ensure_future(coro)
        if hasattr(t, "set_name"):
            t.set_name(name)
        return t
    kept.extend(start(n, c) for n, c in tasks.items())
    for _ in range(20):
        await asyncio.sleep(0)
    kept.extend(start("waits-" + n, wait_for(x)) for n, x in zip(tasks, locks))
    kept.append(start("waits-permit", wait_for(sem)))
    for _ in range(20):
        await asyncio.sleep(0)
    locks[7]._locked = False
    print(json.dumps({"pid": os.getpid(), "held": held}), flush=True)
    await never.wait()


asyncio.run(main())
