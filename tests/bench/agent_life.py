"""What the agent costs a task's whole life: created, suspended once eight awaits deep,
ended. Runs inside the interpreter that is measured; prints one line of JSON.

    PYTHON agent_life.py DIRECTORY-OF-THE-AGENT [ROUNDS]

Without, with the agent, with the agent while somebody reads its events, and with a task factory in Python that does what aiomonitor's
does (the creation stack as text, by traceback.extract_stack, and a done callback) take
turns in one process, a batch each, so that a noisy machine is noisy for all; the fastest
batch of each counts. The agent's do when its history is full, as it is after the first
seconds of a program.
"""
import asyncio
import json
import re
import struct
import sys
import time
import traceback

BATCH = 250
FILL = 24          # batches that fill its history


async def level(n, future):
    if n:
        await level(n - 1, future)
    else:
        await future


async def batch(size):
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    begin = time.perf_counter()
    tasks = [loop.create_task(level(7, future)) for _ in range(size)]
    await asyncio.sleep(0)
    future.set_result(None)
    await asyncio.gather(*tasks)
    return (time.perf_counter() - begin) / size


def factory():
    history = {}

    def create(loop, coro, **kwargs):
        task = asyncio.Task(coro, loop=loop, **kwargs)
        history[task] = traceback.extract_stack()
        task.add_done_callback(history.pop)
        return task
    return create


def leases():
    """A function that takes a lease of that many seconds, as a reader does; None where the
    process cannot see its own memory."""
    at_events = 88 + 8 * 13 + 24 * 5
    try:
        memory = open("/proc/self/mem", "r+b", 0)
        maps = open("/proc/self/maps").read()
    except OSError:
        return None
    for start in re.findall(r"^([0-9a-f]+)-[0-9a-f]+ rw-p \S+ \S+ 0\b", maps, re.M):
        memory.seek(int(start, 16))
        head = memory.read(12)
        if head[:8] == b"asyncmon" and struct.unpack("<I", head[8:])[0] >= 5:
            def lease(seconds, at=int(start, 16) + at_events):
                memory.seek(at)
                memory.write(struct.pack("<Q", time.monotonic_ns() + int(seconds * 1e9) if seconds else 0))
            return lease
    return None


async def measure(agent, rounds):
    loop = asyncio.get_running_loop()
    best = {"none": 1.0, "agent": 1.0, "read": 1.0, "factory": 1.0}
    for i in range(rounds):
        best["none"] = min(best["none"], await batch(BATCH))
        agent.start()
        for _ in range(FILL):
            await batch(BATCH)
        for _ in range(16):
            best["agent"] = min(best["agent"], await batch(BATCH))
        lease = leases()
        if lease:
            lease(5)
            await batch(BATCH)
            for _ in range(16):
                best["read"] = min(best["read"], await batch(BATCH))
            lease(0)
        agent.stop()
        if i % 20 == 0:
            loop.set_task_factory(factory())
            best["factory"] = min(best["factory"], await batch(BATCH // 2))
            loop.set_task_factory(None)
        for _ in range(15):
            best["none"] = min(best["none"], await batch(BATCH))
    return best


async def main(where, rounds):
    sys.path.insert(0, where)
    import asyncmon_agent

    # A program has frames below its loop's, and a few more where it makes tasks.
    async def deep(n):
        return await (deep(n - 1) if n else measure(asyncmon_agent, rounds))
    best = await deep(12)
    print(json.dumps({
        "python": sys.version.split()[0],
        "us": {k: round(v * 1e6, 3) for k, v in best.items()},
        "agent": round(best["agent"] / best["none"], 3),
        "read": round(best["read"] / best["none"], 3) if best["read"] < 1 else None,
        "factory": round(best["factory"] / best["none"], 1)}))


asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 60))
