"""A loop in a subinterpreter and, from 3.12, one in the main interpreter."""
import asyncio
import json
import os
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
INNER = r"""
import sys
sys.path.insert(0, %r)
import asyncio, json, os
import truth
t = truth.Truth()

async def inside():
    await asyncio.sleep(truth.FOREVER)

async def main():
    loop = t.loop()
    t.add(asyncio.current_task(), tag="sub-main")
    task = asyncio.ensure_future(inside())
    task.set_name("in-subinterpreter")
    t.add(task, kind="sleep", tag="in-subinterpreter", awaited_by=())
    def tell():
        text = json.dumps({"loops": [{"id": hex(id(l)), "thread": n}
                           for l, n, _ in t.loops], "tasks": t.snapshot()})
        os.write(%d, (text + "\n").encode())
    loop.call_later(0.3, tell)
    await loop.create_future()
asyncio.run(main())
"""


def run_sub(code):
    try:
        import _interpreters as interp
    except ImportError:
        import _xxsubinterpreters as interp
    if sys.version_info >= (3, 13):
        which = interp.create("legacy") if "--legacy" in sys.argv \
            else interp.create()
        failed = interp.exec(which, code)
        if failed:
            sys.stderr.write(str(failed) + "\n")
            os._exit(1)
    else:
        if sys.version_info >= (3, 10):
            which = interp.create(isolated=False)
        else:
            which = interp.create()
        interp.run_string(which, code)


def main():
    from truth import Truth, FOREVER
    truth = Truth()
    read, write = os.pipe()
    threading.Thread(target=run_sub, args=(INNER % (HERE, write),),
                     daemon=True).start()
    with os.fdopen(read) as f:
        line = f.readline()
    inner = json.loads(line)
    if sys.version_info < (3, 12):
        # _asyncio's statics are common to all interpreters there: a second
        # running loop would be taken for the first.
        inner.update(pid=os.getpid(), python=sys.version.split()[0])
        print(json.dumps(inner), flush=True)
        threading.Event().wait()

    async def outside():
        await asyncio.sleep(FOREVER)

    async def top():
        loop = truth.loop()
        truth.add(asyncio.current_task(), tag="main")
        task = asyncio.ensure_future(outside())
        task.set_name("in-main")
        truth.add(task, kind="sleep", tag="in-main", awaited_by=())

        def tell():
            tasks = truth.snapshot() + inner["tasks"]
            loops = [{"id": hex(id(l)), "thread": n}
                     for l, n, _ in truth.loops] + inner["loops"]
            print(json.dumps({"pid": os.getpid(), "loops": loops,
                              "python": sys.version.split()[0],
                              "tasks": tasks}), flush=True)
        loop.call_later(0.3, tell)
        await loop.create_future()
    asyncio.run(top())


main()
