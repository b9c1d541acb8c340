"""bigheap.py MB: so much memory that is none of asyncio's, and a few tasks that
make others all the time."""
import asyncio
import json
import os
import sys

ballast = bytearray(b"x" * (1 << 20)) * int(sys.argv[1])


async def wait():
    await asyncio.sleep(3600)


async def churn():
    while True:
        await asyncio.gather(*[asyncio.sleep(0.001) for _ in range(100)])


async def main():
    tasks = [asyncio.ensure_future(f()) for f in (wait, churn, churn, churn)]
    await asyncio.sleep(0.1)
    print(json.dumps({"pid": os.getpid(), "waiting": hex(id(tasks[0]))}),
          flush=True)
    await asyncio.gather(*tasks)

asyncio.run(main())
