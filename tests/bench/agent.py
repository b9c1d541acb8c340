"""`make bench`: what the agent costs a task's life under every interpreter, beside a task
factory in Python; and a program that makes no tasks."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(REPO, "tests", "e2e"))

from conftest import ASYNCMON, INTERPS  # noqa: E402

BUILD = os.path.dirname(os.path.abspath(ASYNCMON))
FILES = [os.path.join(BUILD, "asyncmon_agent.py"), os.path.join(BUILD, "libasyncmon-agent.so"),
         os.path.join(HERE, "agent_life.py"), os.path.join(HERE, "agent_idle.py")]
ROUNDS = os.environ.get("ASYNCMON_BENCH_AGENT_ROUNDS", "60")


def run(interp, folder, seen):
    for script in ("agent_life.py", "agent_idle.py"):
        p = subprocess.run(interp.argv + [os.path.join(seen, script), seen, ROUNDS],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if p.returncode:
            print("%-13s %s" % (interp.name, p.stderr.decode()[-200:]))
            return
        d = json.loads(p.stdout.decode())
        if script == "agent_life.py":
            line = "%-13s %7.2f us %7.2f us %6.3f %9.1f us %6.1f" % (
                interp.name, d["us"]["none"], d["us"]["agent"], d["agent"], d["us"]["factory"], d["factory"])
        else:
            line += " %9.3f" % d["agent"]
    print(line, flush=True)


print("a task's life     without     agent   times     factory  times   no tasks")
for interp in INTERPS.values():
    if interp.skip:
        continue
    root = interp.root or ""
    folder = tempfile.mkdtemp(prefix="asyncmon-bench-", dir=root + "/tmp")
    for f in FILES:
        shutil.copy(f, folder)
    run(interp, folder, folder[len(root):])
    shutil.rmtree(folder)
