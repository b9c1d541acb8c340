"""Tasks that end in every way that has a last stack, most of them after they awaited
something in their cleanup: tasks of _asyncio and those in Python. Waits until the agent is
in, does it all, and prints where each says it was: a line when it waits, one with the truth."""
import asyncio
import os
import sys

from agentside import Foreign, agent_is_in, say

said, expected = {}, {}
CancelledError = asyncio.CancelledError


def frames(tb):
    """Up to where it goes on into what was awaited: a task of others, functions of one in Python."""
    found = []
    while tb is not None:
        code = tb.tb_frame.f_code
        if code.co_name == "__wakeup" or code.co_name.startswith("other"):
            break
        found.append([os.path.basename(code.co_filename), code.co_name, tb.tb_lineno])
        tb = tb.tb_next
    return found


async def told(name, body):
    """The outermost coroutine of every task: what comes out of it says where it was."""
    try:
        return await body
    except BaseException as e:
        said[name] = frames(e.__traceback__)
        raise


async def sleeper():
    await asyncio.sleep(1000)


async def cleanup():
    await asyncio.sleep(0)
    await asyncio.sleep(0.001)


async def waits():
    await sleeper()


async def cleans_up():
    try:
        await sleeper()
    except CancelledError:
        await cleanup()
        raise


async def finally_():
    try:
        await sleeper()
    finally:
        await cleanup()


async def many_levels():
    try:
        await cleans_up()
    finally:
        await finally_within()


async def finally_within():
    try:
        await cleanup()
    finally:
        await cleanup()


class Session:
    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc):
        await cleanup()


async def session():
    async with Session():
        async with Session():
            await sleeper()


class Awaitable:
    def __await__(self):
        return (yield from sleeper().__await__())


async def by_generator():
    try:
        await Awaitable()
    finally:
        await cleanup()


async def handles():
    try:
        raise LookupError
    except LookupError:
        await cleans_up()


async def cleans_up_handling():
    try:
        await sleeper()
    except CancelledError:
        try:
            raise LookupError
        except LookupError:
            await cleanup()
        raise


async def keeps():
    """The exception outlives what became of it."""
    try:
        await sleeper()
    except CancelledError as e:
        keep.append(e)
        await cleanup()
        raise


keep = []


async def by_timeout():
    async with asyncio.timeout(1000):
        async with Session():
            await sleeper()


async def by_group():
    async with asyncio.TaskGroup() as group:
        group.create_task(cleans_up())
        await sleeper()


async def at_end_of_group():
    async with asyncio.TaskGroup() as group:
        group.create_task(cleans_up())


async def by_gather():
    try:
        await asyncio.gather(other(), other())
    finally:
        await cleanup()


async def by_wait_for():
    try:
        await asyncio.wait_for(sleeper(), 1000)
    finally:
        await cleanup()


async def other():
    await other_sleeper()


async def other_sleeper():
    await asyncio.sleep(1000)


async def other_cleans_up():
    try:
        await asyncio.sleep(1000)
    finally:
        await cleanup()


async def awaits_another():
    await start("", other())


async def awaits_another_cleans_up():
    try:
        await start("", other())
    finally:
        await cleanup()


async def awaits_another_that_cleans_up():
    try:
        await start("", other_cleans_up())
    finally:
        await cleanup()


async def swallow():
    try:
        await sleeper()
    except CancelledError:
        await cleanup()
    await cleanup()


async def asks_a_cancelled_one():
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await swallow()
    future.result()


async def raises():
    raise CancelledError


async def raises_later():
    await cleanup()
    await raises()


async def swallows_and_raises():
    await swallow()
    await raises()


async def another_in_cleanup():
    try:
        await sleeper()
    except CancelledError:
        await cleanup()
        await raises()


async def fails_in_cleanup():
    try:
        await sleeper()
    finally:
        await cleanup()
        raise LookupError("while cleaning up")


async def fails_after_cleanup():
    try:
        await cleanup()
        raise LookupError("before cleaning up")
    finally:
        await cleanup()


async def cancelled_again():
    try:
        await sleeper()
    finally:
        await sleeper()


async def returns():
    try:
        await sleeper()
    except CancelledError:
        await cleanup()
        asyncio.current_task().cancel()


make = asyncio.Task


def start(name, coro):
    loop = asyncio.get_running_loop()
    task = make(told(name, coro) if name else coro, loop=loop)
    task.set_name(name)
    return task

CASES = [waits, cleans_up, finally_, many_levels, session, by_generator, handles, keeps,
         cleans_up_handling, by_gather, by_wait_for, awaits_another,
         awaits_another_cleans_up, awaits_another_that_cleans_up, asks_a_cancelled_one, raises,
         raises_later, swallows_and_raises, another_in_cleanup, fails_in_cleanup,
         fails_after_cleanup, cancelled_again, returns]
if sys.version_info >= (3, 11):
    CASES += [by_timeout, by_group, at_end_of_group]


async def everything(kind):
    tasks = {body.__name__: start("%s %s" % (kind, body.__name__), body()) for body in CASES}
    before = start(kind + " before it began", sleeper())
    if make is not Foreign:
        before.cancel()
    await asyncio.sleep(0.1)
    for task in tasks.values():
        task.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks["cancelled_again"].cancel()
    before.cancel()
    done, pending = await asyncio.wait(list(tasks.values()) + [before], timeout=20)
    assert not pending, pending
    for task in done:
        outcome = "cancelled" if task.cancelled() else "failed" if task.exception() else "finished"
        expected[task.get_name()] = {"outcome": outcome}
    # 3.10 has no traceback of what did not begin.
    if before.get_name() not in said and sys.version_info[:2] != (3, 10):
        said[before.get_name()] = [[os.path.basename(__file__), "told", told.__code__.co_firstlineno]]


async def cleans_up_late(event):
    try:
        await sleeper()
    finally:
        await event.wait()


async def main():
    global make
    asyncio.current_task().set_name("main")
    event = asyncio.Event()
    early = start("early", cleans_up_late(event))
    await asyncio.sleep(0)
    early.cancel()
    await asyncio.sleep(0)
    say({"pid": os.getpid(), "tasks": []})
    while not agent_is_in():
        await asyncio.sleep(0.01)
    event.set()
    await asyncio.wait([early])
    expected["early"] = {"outcome": "cancelled"}
    for kind, make in (("C", asyncio.tasks._CTask), ("Python", asyncio.tasks._PyTask), ("own", Foreign)):
        await everything(kind)
    if sys.version_info >= (3, 12):
        make = lambda coro, loop: asyncio.Task(coro, loop=loop, eager_start=True)
        await everything("eager")
    for name, info in expected.items():
        info["stack"] = said.get(name, [])
    say(expected)
    await asyncio.sleep(1000)

if "uvloop" in sys.argv:
    import uvloop
    uvloop.install()
asyncio.run(main())
