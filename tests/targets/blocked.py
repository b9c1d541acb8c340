"""blocked.py [--spin]: the only loop is inside a task that blocks it, in a C
function or in Python code that never ends."""
import asyncio
import sys
import time

from truth import FOREVER, Truth, run

truth = Truth()


def spin():
    n = 0
    while True: n += 1  # noqa: E701 (one line: the stack never changes)


async def deeper():
    if "--spin" in sys.argv:
        spin()
    time.sleep(FOREVER)


async def blocker():
    await deeper()


async def napping():
    await asyncio.sleep(FOREVER)


async def main():
    truth.loop()
    truth.add(asyncio.current_task(), tag="main")
    for name, coro, state in (("waits", napping(), "waiting"),
                              ("blocks", blocker(), "running")):
        task = asyncio.ensure_future(coro)
        task.set_name(name)
        truth.add(task, tag=name, state=state,
                  kind="sleep" if state == "waiting" else None, awaited_by=())
    truth.tell_when_settled()
    await asyncio.get_running_loop().create_future()


run(main())
