"""markup.py: tasks and coroutines whose names are HTML, quotes, control characters, and what
ends a label of a metric."""
import asyncio
import json
import os
import sys

NAMES = ["<script>alert(1)</script>", "\"><img src=x onerror=alert(2)>", "' onmouseover='alert(3)", "&lt;b&gt;",
         "a\nb\"} 1\nasyncmon_evil{x=\"", "back\\slash\\", "\x1b[31mred", "turned\u202earound", "\ud800", "</pre></main><h1>x",
         "${jndi:x}", "javascript:alert(4)", "x" * 5000, "../../etc", "?a=b&c=d#e"]


async def wait():
    await asyncio.get_running_loop().create_future()


async def main():
    tasks = []
    for name in NAMES:
        coro = wait()
        coro.__qualname__ = name
        task = asyncio.ensure_future(coro)
        task.set_name(name)
        tasks.append(task)
    await asyncio.sleep(0)
    print(json.dumps({"pid": os.getpid(), "python": sys.version.split()[0], "loops": [],
                      "tasks": [{"id": hex(id(t)), "name": t.get_name(), "state": "waiting"} for t in tasks]}), flush=True)
    await asyncio.gather(*tasks)


asyncio.run(main())
