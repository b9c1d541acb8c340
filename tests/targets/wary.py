"""Moments and programs that a text put in from outside must not break. `audit`: a hook
forbids to compile anything; `deep`: the main thread is busy for some seconds, a few calls
below the recursion limit; `memory`: it may have next to none more; `user`: it is
another user, who may write nowhere; `files`: it may open none more."""
import asyncio
import json
import os
import resource
import sys
import time

armed = False


def hook(event, args):
    if armed and event in ("compile", "exec"):
        raise RuntimeError("nothing is compiled here")


def tell():
    sys.stdout.write(json.dumps({"pid": os.getpid(), "tasks": []}) + "\n")
    sys.stdout.flush()


def descend(n, then):
    return descend(n - 1, then) if n else then()


def deepest():
    n = 10
    try:
        while True:
            descend(n, int)
            n += 1
    except RecursionError:
        return n - 1


def busy():
    end = time.monotonic() + 4
    while time.monotonic() < end:
        pass


async def main():
    global armed
    if sys.argv[1] == "deep":
        n = deepest() - 2
        tell()
        descend(n, busy)
    elif sys.argv[1] == "memory":
        resource.setrlimit(resource.RLIMIT_AS, (1 << 20, resource.RLIM_INFINITY))
        tell()
    elif sys.argv[1] == "files":
        tell()
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 1 << 10))
    elif sys.argv[1] == "user":
        os.setgid(12345)
        os.setuid(12345)
        tell()
    else:
        sys.addaudithook(hook)
        armed = True
        tell()
    await asyncio.sleep(10000)

asyncio.run(main())
