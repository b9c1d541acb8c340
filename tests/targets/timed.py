"""Commands for `run --timeout`. Each says in JSON, a line for each process, what there is,
and then hangs: the first argument says how."""
import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
import time

PTRACE_SEIZE = 0x4206


def say(**more):
    text = json.dumps(dict(more, pid=os.getpid(), ppid=os.getppid()))
    os.write(1, text.encode() + b"\n")


async def both(first, second):
    async with first:
        await asyncio.sleep(0)
        async with second:
            pass


async def fails():
    raise ValueError("told by the report")


async def hang(**more):
    a, b = asyncio.Lock(), asyncio.Lock()
    tasks = [asyncio.ensure_future(both(a, b)), asyncio.ensure_future(both(b, a)),
             asyncio.ensure_future(fails())]
    while not (a.locked() and b.locked()):
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    say(**more)
    await asyncio.gather(*tasks[:2])


def child(*args, **kw):
    return subprocess.Popen([sys.executable, os.path.abspath(__file__)] + list(args), **kw)


def tree():
    """A child in a session of its own, one whose parent has ended, a shell, and one that
    never imported asyncio."""
    child("deadlock", start_new_session=True)
    subprocess.Popen(["sh", "-c", '"$0" "$1" deadlock & exit 0', sys.executable, os.path.abspath(__file__)],
                     start_new_session=True).wait()
    shell = subprocess.Popen(["sh", "-c", "sleep 1000; :"])
    plain = subprocess.Popen([sys.executable, "-S", "-c", "import time\ndef stands_here():\n"
                              "    print('', end='', flush=True)\n    time.sleep(1000)\nstands_here()"])
    asyncio.run(hang(shell=shell.pid, plain=plain.pid))


def traced():
    """A child that this one traces: nobody else can stop it."""
    traced = child("deadlock", stdout=subprocess.PIPE)
    traced.stdout.readline()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long] * 4
    if libc.ptrace(PTRACE_SEIZE, traced.pid, 0, 0) != 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    asyncio.run(hang(traced=traced.pid))


def orphans(n):
    """Ends the processes that stand between this one and asyncmon, n of them."""
    lost = []
    for _ in range(n):
        lost.append(os.getppid())
        os.kill(lost[-1], signal.SIGKILL)
        while os.getppid() == lost[-1]:
            time.sleep(0.001)
    asyncio.run(hang(lost=lost))


def ignores():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child("deadlock")
    asyncio.run(hang())


def status():
    def on_signal(signum, frame):
        say(signal=signum)
        sys.exit(40 + signum)
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(s, on_signal)
    say(stdin=sys.stdin.readline())
    while True:
        signal.pause()


if __name__ == "__main__":
    how = sys.argv[1]
    if how == "deadlock":
        asyncio.run(hang())
    elif how == "orphan":
        orphans(int(sys.argv[2]))
    else:
        {"tree": tree, "traced": traced, "ignores": ignores, "status": status}[how]()
