"""Makes and ends tasks without pause; each one's name says how it ends. Its argument: how
many threads do so."""
import asyncio
import json
import os
import sys
import threading

THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 1
BATCH = 60


async def fine():
    await asyncio.sleep(0)


async def bad():
    await asyncio.sleep(0)
    raise ValueError("bad one")


async def gone():
    await asyncio.sleep(1000)


async def family(prefix):
    t = asyncio.get_running_loop().create_task(fine())
    t.set_name(prefix + " child")
    await t


KINDS = [fine, bad, gone]


async def run(thread):
    loop = asyncio.get_running_loop()
    asyncio.current_task().set_name("main %d" % thread)
    while True:
        tasks = []
        for i in range(BATCH):
            kind = KINDS[i % 3]
            task = loop.create_task(kind())
            task.set_name("%s of %d, a name that takes some cells" % (kind.__name__, thread))
            tasks.append(task)
        task = loop.create_task(family("family"))
        task.set_name("family")
        tasks.append(task)
        await asyncio.sleep(0)
        for t in tasks[2:BATCH:3]:
            t.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def main(thread):
    asyncio.run(run(thread))

for n in range(1, THREADS):
    threading.Thread(target=main, args=(n,), daemon=True).start()
sys.stdout.write(json.dumps({"pid": os.getpid(), "tasks": []}) + "\n")
sys.stdout.flush()
main(0)
