"""aioserver.py [--uvloop]: an aiohttp server and its own load, a few requests
held open for ever."""
import asyncio

from aiohttp import ClientSession, web

from truth import FOREVER, Truth, run

truth = Truth()


async def quick(request):
    await asyncio.sleep(0.002)
    return web.Response(text="ok")


async def hold(request):
    request.app["held"].append(asyncio.current_task())
    await asyncio.sleep(FOREVER)


async def load(session, url):
    while True:
        async with session.get(url) as answer:
            await answer.text()


async def main():
    loop = truth.loop()
    truth.add(asyncio.current_task(), kind="future", tag="main")
    app = web.Application()
    app["held"] = []
    app.router.add_get("/", quick)
    app.router.add_get("/hold", hold)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    base = "http://127.0.0.1:%d" % port
    session = ClientSession()
    keep = []
    for i in range(4):
        task = asyncio.ensure_future(load(session, base + "/"))
        task.set_name("load-%d" % i)
        keep.append(task)
    for i in range(3):
        task = asyncio.ensure_future(session.get(base + "/hold")._coro)
        task.set_name("held-%d" % i)
        keep.append(truth.add(task, tag="held-client"))
    while len(app["held"]) < 3:
        await asyncio.sleep(0.01)
    for task in app["held"]:
        truth.add(task, kind="sleep", tag="held-server")
    truth.tell(port=port, stable=[hex(id(t)) for t in keep[4:]]
               + [hex(id(t)) for t in app["held"]])
    await loop.create_future()


run(main())
