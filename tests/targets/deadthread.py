"""Tasks whose thread has ended, their loop neither closed nor running."""
import asyncio
import threading

from truth import FOREVER, Truth, run

truth = Truth()
keep = []


async def orphan():
    await asyncio.sleep(FOREVER)


def short():
    loop = asyncio.new_event_loop()

    async def begin():
        for i in range(3):
            task = asyncio.ensure_future(orphan())
            task.set_name("orphan-%d" % i)
            keep.append(truth.add(task, kind="sleep", awaited_by=(),
                                  tag="orphan-%d" % i))
        await asyncio.sleep(0.01)
    loop.run_until_complete(begin())
    keep.append(loop)


async def main():
    truth.loop()
    truth.add(asyncio.current_task(), kind="future", tag="main")
    thread = threading.Thread(target=short)
    thread.start()
    thread.join()
    truth.tell_when_settled()
    await asyncio.get_running_loop().create_future()


run(main())
