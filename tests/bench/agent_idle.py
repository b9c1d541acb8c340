"""What the agent costs a program that makes no tasks: one coroutine that yields to its
loop and calls a function. Prints one line of JSON.

    PYTHON agent_idle.py DIRECTORY-OF-THE-AGENT [ROUNDS]
"""
import asyncio
import json
import sys
import time


def work(n):
    return sum(range(n))


async def step(n):
    return work(n)


async def batch():
    begin = time.perf_counter()
    for _ in range(2000):
        await step(20)
    return time.perf_counter() - begin


async def main(where, rounds):
    sys.path.insert(0, where)
    import asyncmon_agent
    best = {"none": 1e9, "agent": 1e9}
    for _ in range(rounds):
        for _ in range(4):
            best["none"] = min(best["none"], await batch())
        asyncmon_agent.start()
        for _ in range(4):
            best["agent"] = min(best["agent"], await batch())
        asyncmon_agent.stop()
    print(json.dumps({"agent": round(best["agent"] / best["none"], 3)}))

asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 60))
