"""forks.py N: a process with a loop, and N children with one each."""
import asyncio
import ctypes
import json
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


async def main(ready):
    ready()
    await asyncio.Event().wait()


def child(out):
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    asyncio.run(main(lambda: os.write(out, b"r")))


n = int(sys.argv[1])
back, out = os.pipe()
children = []
for _ in range(n):
    pid = os.fork()
    if pid == 0:
        child(out)
    children.append(pid)
got = 0
while got < n:
    got += len(os.read(back, 100))
asyncio.run(main(lambda: print(json.dumps({"pid": os.getpid(), "children": children}), flush=True)))
