"""Starts processes all the time (posix_spawn uses vfork); after each hundred
says how many failed."""
import asyncio
import json
import os
import threading

from truth import FOREVER, Truth, run


def spawner():
    count = failed = 0
    while True:
        pid = os.posix_spawn("/bin/true", ["true"], os.environ)
        failed += os.waitpid(pid, 0)[1] != 0
        count += 1
        if count % 100 == 0:
            print(json.dumps({"count": count, "failed": failed}), flush=True)


async def main():
    truth = Truth()
    truth.loop()
    truth.add(asyncio.current_task(), tag="main")
    truth.tell()
    threading.Thread(target=spawner, daemon=True).start()
    await asyncio.sleep(FOREVER)


run(main())
