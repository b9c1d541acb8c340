"""Tasks inside 0 to 5 nested context managers, entering, inside and leaving, with
exceptions in flight.  Every manager keeps account itself of whether it was entered;
for each task the target says which ones its frames are inside of, outermost first."""
import asyncio
import contextlib
import json
import os

account = {}            # task name -> [[id, mode, sync, line] ...] over all its frames


class Manager:
    """Says that it is entering, then inside, then nothing; may wait at either end."""

    def __init__(self, name, line, enter=None, leave=None):
        self.name, self.line, self.enter, self.leave = name, line, enter, leave

    async def __aenter__(self):
        mine = account.setdefault(self.name, [])
        mine.append([hex(id(self)), "entering", False, self.line])
        if self.enter:
            await self.enter.wait()
        mine[-1][1] = "inside"
        return self

    async def __aexit__(self, *exc):
        account[self.name].pop()
        if self.leave:
            await self.leave.wait()
        return True


class Plain:
    def __init__(self, name, line):
        self.name, self.line = name, line

    def __enter__(self):
        account.setdefault(self.name, []).append([hex(id(self)), "inside", True, self.line])
        return self

    def __exit__(self, *exc):
        account[self.name].pop()
        return True


def line():
    import sys
    return sys._getframe(1).f_lineno


def below():
    import sys
    return sys._getframe(1).f_lineno + 1


async def none(name, never):
    account[name] = []
    await never.wait()


async def nested(name, never):
    async with Manager(name, line()):
        for _ in range(1):
            with Plain(name, line()):
                try:
                    async with Manager(name, line()):
                        async for _ in once():
                            with Plain(name, line()), Plain(name, line()):
                                await never.wait()
                finally:
                    pass


async def once():
    yield 1


async def entering(name, never):
    with Plain(name, line()):
        async with Manager(name, line()):
            async with Manager(name, line(), enter=never):
                pass


async def leaving(name, never):
    async with Manager(name, line()):
        async with Manager(name, line(), leave=never):
            pass


async def leaving_by_exception(name, never):
    with Plain(name, line()):
        async with Manager(name, line(), leave=never):
            raise ValueError("in flight")


async def handling(name, never):
    async with Manager(name, line()):
        try:
            async with Manager(name, line()):
                raise_it()
            raise KeyError("x")
        except KeyError:
            with Plain(name, line()):
                await never.wait()
        finally:
            await asyncio.sleep(0)


def raise_it():
    raise ValueError("inner")


async def calls(name, never):
    """An exit method that is only an argument is no block."""
    other = Manager(name, 0)
    with Plain(name, line()):
        print(other.__aexit__, await never.wait())


async def deep(name, never):
    async with Manager(name, line()):
        await deeper(name, never)


async def deeper(name, never):
    with Plain(name, line()):
        await none_more(name, never)


async def none_more(name, never):
    async with Manager(name, line()):
        await never.wait()


async def names(name, never):
    a, b = Manager(name, 0), Manager(name, 0)
    a.line = b.line = below()
    async with a as x, b as y:
        assert x is a and y is b
        await never.wait()


async def many(name, never):
    """Blocks one after the other: what is left behind on the stack is not shown."""
    for _ in range(3):
        async with Manager(name, line()):
            with Plain(name, line()):
                await asyncio.sleep(0)
    with Plain(name, line()):
        await never.wait()


async def main():
    never = asyncio.Event()
    shapes = (none, nested, entering, leaving, leaving_by_exception, handling, calls, deep,
              names, many)
    tasks = [asyncio.ensure_future(f(f.__name__, never)) for f in shapes]
    for t, f in zip(tasks, shapes):
        if hasattr(t, "set_name"):
            t.set_name(f.__name__)
    for _ in range(50):
        await asyncio.sleep(0)
    assert not any(t.done() for t in tasks), [t for t in tasks if t.done()]
    print(json.dumps({"pid": os.getpid(), "contexts": account}), flush=True)
    await never.wait()


asyncio.run(main())
