"""Programs that do not end, each in one way (the first argument)."""
import asyncio
import json
import os
import queue
import sys
import threading


def tell(**more):
    print(json.dumps(dict(more, pid=os.getpid())), flush=True)


async def swallow():
    """A task that does not heed asyncio.run()'s cancel."""
    async def stubborn():
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                tell(task=hex(id(t)))
    t = asyncio.ensure_future(stubborn())
    await asyncio.sleep(0)


async def executor():
    """A call that never comes back, for which the default executor's shutdown waits."""
    began = threading.Event()

    def reader():
        began.set()
        tell(thread=threading.get_native_id())
        queue.Queue().get()
    asyncio.get_running_loop().run_in_executor(None, reader)
    while not began.is_set():
        await asyncio.sleep(0)


async def thread():
    """A thread that is no daemon, and one that is."""
    def sleeper(daemon):
        started.release()
        if not daemon:
            tell(thread=threading.get_native_id())
        threading.Event().wait()
    started = threading.Semaphore(0)
    threading.Thread(target=sleeper, args=(True,), daemon=True, name="daemon").start()
    started.acquire()
    threading.Thread(target=sleeper, args=(False,), name="worker").start()


asyncio.run(globals()[sys.argv[1]]())
