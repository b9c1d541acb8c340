"""Stops itself with SIGSTOP once it has told."""
import asyncio
import os
import signal

from truth import FOREVER, Truth, run

truth = Truth()


async def napping():
    await asyncio.sleep(FOREVER)


async def main():
    loop = truth.loop()
    truth.add(asyncio.current_task(), tag="main")
    task = asyncio.ensure_future(napping())
    task.set_name("frozen")
    truth.add(task, kind="sleep", tag="frozen", awaited_by=())

    def stop():
        truth.tell()
        os.kill(os.getpid(), signal.SIGSTOP)
    loop.call_later(0.2, stop)
    await loop.create_future()


run(main())
