"""What came with 3.11: task groups, timeouts, barriers."""
import asyncio

from truth import FOREVER, Truth, run

truth = Truth()
keep = []


async def napping():
    await asyncio.sleep(FOREVER)


async def member(name, group):
    return truth.add(group.create_task(napping(), name=name), kind="sleep",
                     tag=name)


async def owner():
    """Waits for its children in __aexit__."""
    me = asyncio.current_task()
    async with asyncio.TaskGroup() as group:
        kids = [await member("child-%d" % i, group) for i in range(2)]
        for kid in kids:
            truth.add(kid, kind="sleep", tag=kid.get_name(), awaited_by=(me,))
        truth.add(me, kind="taskgroup", tag="taskgroup", on=kids)


async def nested_owner():
    async with asyncio.TaskGroup() as outer:
        truth.add(outer.create_task(owner_of_one(), name="group-inner"),
                  kind="taskgroup", tag="group-inner",
                  awaited_by=(asyncio.current_task(),))


async def owner_of_one():
    async with asyncio.TaskGroup() as group:
        truth.add(group.create_task(napping(), name="grandchild"),
                  kind="sleep", tag="grandchild",
                  awaited_by=(asyncio.current_task(),))


async def body_waits():
    """Owns a group but is still in its body."""
    async with asyncio.TaskGroup() as group:
        truth.add(group.create_task(napping(), name="body-child"),
                  kind="sleep", tag="body-child")
        await asyncio.sleep(FOREVER)


async def in_timeout():
    async with asyncio.timeout(FOREVER):
        await asyncio.get_running_loop().create_future()


async def on_barrier(barrier):
    await barrier.wait()


def start(name, coro, **info):
    task = asyncio.create_task(coro, name=name)
    keep.append(task)
    return truth.add(task, tag=name, awaited_by=(), **info)


async def main():
    loop = truth.loop()
    truth.add(asyncio.current_task(), kind="future", tag="main")
    barrier = asyncio.Barrier(3)
    keep.append(barrier)
    start("taskgroup", owner())
    start("group-nested", nested_owner(), kind="taskgroup")
    start("group-body", body_waits(), kind="sleep")
    start("timeout", in_timeout(), kind="future")
    start("barrier", on_barrier(barrier), kind="barrier")
    truth.tell_when_settled()
    await loop.create_future()


run(main())
