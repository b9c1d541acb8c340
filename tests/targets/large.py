"""large.py MB: a few tasks beside that much memory, of which little was touched."""
import asyncio
import ctypes
import json
import mmap
import os
import sys

from truth import FOREVER

PR_SET_THP_DISABLE = 41


async def main():
    memory = mmap.mmap(-1, int(sys.argv[1]) << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    libc = ctypes.CDLL(None)  # huge pages would be dumped whole
    libc.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)
    for at in range(0, len(memory), 1 << 24):
        memory[at] = 1
    tasks = [asyncio.ensure_future(asyncio.sleep(FOREVER)) for _ in range(10)]
    await asyncio.sleep(0)
    print(json.dumps({"pid": os.getpid(), "count": len(tasks) + 1, "tasks": [], "loops": []}),
          flush=True)
    await asyncio.gather(*tasks)
    del memory


asyncio.run(main())
