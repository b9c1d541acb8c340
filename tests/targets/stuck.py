"""Its main thread is blocked in C for as many seconds as the first argument says, before
any loop sees it; `thread`: the loop is in another thread, which the main one joins.
`hidden`: names of __main__ hide built-in ones."""
import asyncio
import json
import os
import sys
import threading
import time


async def main(announce):
    t = asyncio.get_running_loop().create_task(asyncio.sleep(10000))
    t.set_name("other")
    await asyncio.sleep(0)
    announce()
    if sys.argv[1] != "thread":
        time.sleep(float(sys.argv[1]))
    await asyncio.sleep(10000)


def announce():
    sys.stdout.write(json.dumps({"pid": os.getpid(), "tasks": []}) + "\n")
    sys.stdout.flush()

if "hidden" in sys.argv:
    exec = compile = open = str = BaseException = None
if "uvloop" in sys.argv:
    import uvloop
    uvloop.install()
if sys.argv[1] == "thread":
    thread = threading.Thread(target=lambda: asyncio.run(main(announce)))
    thread.start()
    thread.join()
else:
    asyncio.run(main(announce))
