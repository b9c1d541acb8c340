"""Holds its loop for known times in known ways, once SIGUSR1 came. Prints {"pid"}, after each
hold a line {"kind", "began", "ended"} by its own time.monotonic(), and {"done"}.
Arguments: LOOP (asyncio, uvloop, thread) KIND=MILLISECONDS..."""
import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time


def tell(**what):
    print(json.dumps(what), flush=True)


def spin(seconds):
    end = time.monotonic() + seconds
    n = 0
    while time.monotonic() < end:
        n += 1
    return n


def doze(seconds):
    time.sleep(seconds)


def search(seconds):
    """One call of C that takes about that long, and keeps the GIL."""
    data = bytes(1 << 20)
    began = time.monotonic()
    data.count(b"\x00\x01")
    once = max(time.monotonic() - began, 1e-6)
    return bytes(int((1 << 20) * seconds / once)).count(b"\x00\x01")


def read(seconds):
    with subprocess.Popen(["sleep", str(seconds)], stdout=subprocess.PIPE) as p:
        return os.read(p.stdout.fileno(), 1)


def collect(seconds):
    """Garbage in circles, as much as takes about so long to collect."""
    gc.disable()
    junk = []

    def some(n):
        for _ in range(n):
            a = []
            a.append(a)
            junk.append(a)
    some(20000)
    began = time.monotonic()
    gc.collect()
    once = max(time.monotonic() - began, 1e-4)
    some(int(20000 * seconds / once))
    return gc.collect


KINDS = {"python": spin, "sleep": doze, "read": read, "native": search}


async def step(kind, seconds):
    """One step of a task that takes so long."""
    if kind == "gc":
        began = time.monotonic()
        work = collect(seconds)
        tell(kind="prepare", began=began, ended=time.monotonic())
        await asyncio.sleep(0.15)
        began = time.monotonic()
        work()
    elif kind == "gil":
        t = threading.Thread(target=search, args=(seconds,), name="hog")
        began = time.monotonic()
        t.start()
        time.sleep(0.02)
        t.join()
    else:
        began = time.monotonic()
        KINDS[kind](seconds)
    tell(kind=kind, began=began, ended=time.monotonic())


async def busy(seconds):
    """Many turns of the loop, none of which waits."""
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        await asyncio.sleep(0)
    tell(kind="busy", began=began, ended=time.monotonic())


async def ticks():
    while True:
        await asyncio.sleep(0.005)


async def main(holds):
    ticker = asyncio.ensure_future(ticks())
    tell(pid=os.getpid())
    while not BEGIN.is_set():
        await asyncio.sleep(0.05)
    for hold in holds:
        kind, ms = hold.split("=")
        seconds = float(ms) / 1e3
        await asyncio.get_running_loop().create_task(busy(seconds) if kind == "busy" else step(kind, seconds))
        await asyncio.sleep(0.15)
    tell(done=True)
    await asyncio.sleep(60)
    ticker.cancel()


def run(loop, holds):
    if loop == "uvloop":
        import uvloop
        uvloop.install()
    if loop == "thread":
        t = threading.Thread(target=asyncio.run, args=(main(holds),), name="looper")
        t.start()
        t.join()
    else:
        asyncio.run(main(holds))


BEGIN = threading.Event()

if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, lambda *_: BEGIN.set())
    run(sys.argv[1], sys.argv[2:])
