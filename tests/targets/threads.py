"""threads.py N M: N threads that sleep, and M more with a loop each."""
import asyncio
import sys
import threading

from truth import FOREVER, Truth, run

truth = Truth()


async def napping():
    await asyncio.sleep(FOREVER)


def with_loop(i, ready):
    async def main():
        loop = truth.loop()
        task = asyncio.ensure_future(napping())
        task.set_name("in-thread-%d" % i)
        truth.add(task, kind="sleep", tag="in-thread", awaited_by=())
        truth.add(asyncio.current_task(), tag="thread-main")
        await asyncio.sleep(0)
        ready.release()
        await loop.create_future()
    asyncio.run(main())


async def main():
    truth.loop()
    truth.add(asyncio.current_task(), tag="main")
    ready = threading.Semaphore(0)
    for _ in range(int(sys.argv[1])):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    count = int(sys.argv[2])
    for i in range(count):
        threading.Thread(target=with_loop, args=(i, ready), daemon=True,
                         name="loop-%d" % i).start()
    for _ in range(count):
        ready.acquire()
    truth.tell_when_settled()
    await asyncio.get_running_loop().create_future()


run(main())
