"""server.py [--uvloop]: an aiohttp server that counts what it served; prints its port."""
import asyncio
import sys

from aiohttp import web


async def quick(request):
    await asyncio.sleep(0.001)
    return web.json_response({"ok": True})


async def main():
    app = web.Application()
    app.router.add_get("/", quick)
    keep = [asyncio.ensure_future(asyncio.sleep(1e6)) for _ in range(35)]
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.wait(keep)


if "--uvloop" in sys.argv:
    import uvloop
    uvloop.install()
asyncio.run(main())
