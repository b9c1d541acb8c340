"""Waits for the agent, then has tasks fail in many ways; prints str() and repr() of what
each failed with, by the task's name."""
import asyncio
import json
import os
import subprocess
import sys


class Own(Exception):
    def __str__(self):
        return "own text"


def exceptions():
    yield ValueError("plain")
    yield ValueError("a", 1, None)
    yield ValueError()
    yield KeyError("k")
    yield OSError(2, "no", "file")
    yield OSError(-5, "negative")
    yield ImportError("no such module")
    yield Own("x", 3)
    yield subprocess.CalledProcessError(3, "ls -l")
    yield UnicodeDecodeError("utf8", b"x", 0, 1, "why")
    yield ValueError([1])
    yield ValueError("x" * 2048)
    yield ValueError("x" * 2049)
    yield ValueError("\xe4" * 1500)
    yield ValueError("\U0001f40d" * 600)
    if sys.version_info >= (3, 11):
        yield ExceptionGroup("group", [ValueError(1)])
        yield ExceptionGroup("group", (ValueError(1), ValueError(2)))


async def fail(exc):
    raise exc


async def main():
    sys.stdout.write(json.dumps({"pid": os.getpid(), "tasks": []}) + "\n")
    sys.stdout.flush()
    while getattr(sys.modules.get("asyncmon_agent"), "running", int)() in (0, None):
        await asyncio.sleep(0.01)
    tasks = []
    for i, exc in enumerate(exceptions()):
        tasks.append(asyncio.get_running_loop().create_task(fail(exc)))
        tasks[-1].set_name("task %d" % i)
    await asyncio.wait(tasks)
    said = {t.get_name(): [str(t.exception()), repr(t.exception())] for t in tasks}
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    await asyncio.sleep(10000)

asyncio.run(main())
