"""Threads with loops of their own begin and end all the time."""
import asyncio
import threading

from truth import FOREVER, Truth, run

truth = Truth()


async def napping():
    await asyncio.sleep(FOREVER)


def brief():
    asyncio.run(asyncio.sleep(0.002))


def churn():
    while True:
        threads = [threading.Thread(target=brief) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()


async def main():
    truth.loop()
    truth.add(asyncio.current_task(), tag="main")
    task = asyncio.ensure_future(napping())
    task.set_name("always")
    truth.add(task, kind="sleep", tag="always", awaited_by=())
    await asyncio.sleep(0.05)
    truth.tell()
    threading.Thread(target=churn, daemon=True).start()
    await asyncio.get_running_loop().create_future()


run(main())
