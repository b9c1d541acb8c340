"""A process that writes random words over its own tasks, coroutines and tables, and whose
agent's memory is written over as well, while it is looked at: an answer or a reason every
time, in bounded time, and no harm."""
import json
import os
import random
import threading

import agentmemory

LOOKS = int(os.environ.get("ASYNCMON_TEST_SCRIBBLED", "60"))
COMMANDS = [("ps", "--json", "--all"), ("ps", "--no-pause", "--json"), ("where", "--locals", "--json", "--state", "waiting"),
            ("tree", "--groups", "--json"), ("why", "--json"), ("ps-terminated", "--json"), ("check", "--json"),
            ("where-terminated", "ended-3", "--json"), ("stacktrace", "--native", "--json"), ("ps",), ("tree",), ("why",)]


def scribble_agent(pid, over):
    memory = agentmemory.Memory(pid)
    used = memory.used()
    try:
        while not over.is_set():
            changed = []
            for _ in range(random.choice((1, 1, 4, 30))):
                offset, size = random.choice(used)
                offset += random.randrange(max(size // 4, 1)) * 4
                changed.append((offset, memory.read(offset, 4)))
                memory.write(offset, random.choice((os.urandom(4), b"\xff" * 4, bytes(4), random.randrange(64).to_bytes(4, "little"))))
            over.wait(random.random() * 0.02)
            for offset, was in reversed(changed):
                memory.write(offset, was)
    finally:
        memory.close()


def test_a_process_that_scribbles_over_itself(main_interp, target, asyncmon):
    t = target(main_interp, "scribbled.py")
    assert asyncmon("inject", t.pid).rc == 0
    assert json.loads(t.line(30) or b"{}").get("scribbling", 0) > 100, t.stderr()
    over = threading.Event()
    other = threading.Thread(target=scribble_agent, args=(t.pid, over))
    other.start()
    seen = 0
    try:
        for i in range(LOOKS):
            command = COMMANDS[i % len(COMMANDS)]
            a = asyncmon(*command, t.pid, timeout=60)
            assert a.rc in range(6) and "Sanitizer" not in a.err, (command, a.rc, a.err[-3000:])
            assert a.out or a.err, command
            if "--json" in command:
                answer = json.loads(a.raw.decode("utf-8", "strict"))
                assert answer["format"] == 1 and ("target" in answer or a.rc), command
                seen += sum(1 for x in answer.get("tasks", ()) if str(x.get("name")).startswith("scribbled-"))
    finally:
        over.set()
        other.join()
    assert seen, "no task was seen in any answer"
