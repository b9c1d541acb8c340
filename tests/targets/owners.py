"""Tasks in code of files that lie in folders called asyncio, site-packages and so on. The
files are names only: code is compiled under them."""
import asyncio
import contextlib
import os

from agentside import say

MINE, POOL = "/srv/mylib/asyncio/tasks.py", "/srv/venv/lib/python3/site-packages/redis/asyncio/pool.py"
SOURCE = """
async def sleep(what, *more):
    await what(*more)
"""


def code_in(path):
    names = {}
    exec(compile(SOURCE, path, "exec"), names)
    return names["sleep"]


mine, pool = code_in(MINE), code_in(POOL)


async def user(what, *more):
    await what(*more)


async def main():
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    shapes = {"mine": mine(event.wait), "library": pool(event.wait), "library-by-user": user(pool, event.wait),
              "mine-by-library": pool(mine, event.wait), "asyncio-alone": event.wait()}
    # contextlib is the standard library's.
    @contextlib.asynccontextmanager
    async def context():
        await event.wait()
        yield

    async def enters():
        async with context():
            pass
    shapes["standard-library"] = enters()
    keep = []
    for name, coro in shapes.items():
        keep.append(loop.create_task(coro))
        keep[-1].set_name(name)
    await asyncio.sleep(0.01)
    say({"pid": os.getpid(), "tasks": []})
    await asyncio.sleep(1000)

asyncio.run(main())
