"""The agent and tasks that are made in Python, and a cancel that was replaced."""
import json
import os
import shutil
import subprocess
import tempfile

from conftest import ASYNCMON

BUILD = os.path.dirname(os.path.abspath(ASYNCMON))


def names(records):
    return {r["name"]: r for r in records}


def origins(record):
    return [(c["origin"], (c["by"] or {"name": None})["name"], c["message"]) for c in record["cancels"]]


def test_tasks_made_in_python(interp, target, asyncmon):
    t = target(interp, "pytasks.py")
    assert asyncmon("inject", t.pid).rc == 0
    assert t.line(30), t.stderr()
    please = "please" if interp.minor >= (3, 9) else None
    live = names(asyncmon.json("ps", t.pid)["tasks"])
    ended = names(asyncmon.json("pst", t.pid)["terminated"])

    def one(name):
        return asyncmon.json("wt", t.pid, ended[name]["serial"])["terminated"][0]
    for make in ("Task", "Derived", "Foreign"):
        assert live[make + " sleeper"]["created"]["by"]["name"] == "main"
        assert live[make + " sleeper"]["created"]["stack"][-1]["file"].endswith(".py")
        assert live[make + " sleeper"]["stats"]["polls"] == 1
        assert live["of " + make]["created"]["by"]["name"] == make
        assert ended[make + " quick"]["outcome"] == "finished"
        assert ended[make + " quick"]["coro"] == "quick"
        failed = one(make + " fails")
        assert failed["outcome"] == "failed"
        assert failed["exception"]["type"] == "LookupError"
        assert failed["exception"]["repr"] == "LookupError('nothing there')"
        assert failed["exception"]["stack"] == failed["stack"]
        assert failed["stack"][-1]["function"] == "fails"
        victim = one(make + " victim")
        assert victim["outcome"] == "cancelled"
        assert origins(victim) == [("task", make + " canceller", please)]
        asked = [f["function"].split(".")[-1] for f in victim["cancels"][0]["stack"]][-2:]
        assert asked[1:] == ["canceller"] or asked == ["canceller", "cancel"]
        assert victim["created"]["by"]["name"] == "main"
        assert victim["stack"][-1]["function"] == "sleep"
    assert live["main"]["created"] is None
    if interp.minor >= (3, 12):
        assert live["eager sleeper"]["created"]["by"]["name"] == "main"
        assert live["eager sleeper"]["stats"]["polls"] == 1
        assert live["of eager"]["created"]["by"]["name"] == "eager"
        assert ended["eager at_once"]["outcome"] == "finished"
        assert ended["eager quick"]["outcome"] == "finished"
    # They were made before the agent came.
    assert ended["early"]["outcome"] == "cancelled"
    early = one("early")
    assert early["created"] is None and origins(early) == [("task", "canceller", please)]


def test_a_cancel_that_was_replaced(interp, target, asyncmon):
    t = target(interp, "pytasks.py")
    assert asyncmon("inject", t.pid).rc == 0
    assert t.line(30), t.stderr()
    please = "please" if interp.minor >= (3, 9) else None
    live = names(asyncmon.json("ps", t.pid)["tasks"])
    ended = names(asyncmon.json("pst", t.pid)["terminated"])
    by_canceller = ("task", "canceller", please)
    # Asked and kept back, by the agent's time and from before.
    assert origins(live["still held"]) == [by_canceller]
    assert origins(live["held from before"]) == [by_canceller]
    # Kept back, and then done by the task itself at the end of its scope.
    scope = asyncmon.json("wt", t.pid, ended["Scope"]["serial"])["terminated"][0]
    assert origins(scope) == [by_canceller, ("task", "Scope", please)]
    # Passed on at once: one request.
    passed = asyncmon.json("wt", t.pid, ended["Open"]["serial"])["terminated"][0]
    assert origins(passed) == [by_canceller]


def test_all_is_put_back(interp, target, asyncmon):
    t = target(interp, "pytasks.py")
    for _ in range(2):
        assert asyncmon("inject", t.pid).rc == 0
    assert t.line(30), t.stderr()
    assert asyncmon("inject", "--remove", t.pid).rc == 0
    said = json.loads(t.line(30))
    held = "method" if not t.interp.free_threaded else "builtin_function_or_method"
    assert said == {"as_it_was": True, "held": held}
    assert asyncmon("inject", t.pid).rc == 0
    names_now = names(asyncmon.json("ps", t.pid)["tasks"])
    assert names_now["Task sleeper"]["created"] is None


RUN = """
import sys
assert "asyncio" not in sys.modules
import asyncio, asyncmon_agent, os
async def sleeper():
    await asyncio.sleep(1000)
async def main():
    loop = asyncio.get_running_loop()
    task = asyncio.tasks._PyTask(sleeper(), loop=loop)
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    n = asyncmon_agent.running()
    assert n["tasks"] == 2 and n["cancels"] == 1 and n["ended"] == 1, n
asyncio.run(main())
# Nothing waits for imports any more.
assert asyncmon_agent._Later not in sys.meta_path
"""


def test_run_begins_before_asyncio_is_whole(interp):
    """As `asyncmon run` does it, in a chroot too."""
    root = interp.root or ""
    folder = tempfile.mkdtemp(prefix="asyncmon-run-", dir=root + "/tmp")
    try:
        os.chmod(folder, 0o755)
        for name in ("libasyncmon-agent.so", "asyncmon_agent.py", "shim"):
            source = os.path.join(BUILD, name)
            (shutil.copytree if name == "shim" else shutil.copy)(source, os.path.join(folder, name))
        env = dict(os.environ, PYTHONPATH=folder[len(root):] + "/shim", ASYNCMON_RUN="first")
        p = subprocess.run(interp.argv + ["-c", RUN], env=env, stderr=subprocess.PIPE, timeout=60,
                           universal_newlines=True)
        assert p.returncode == 0, p.stderr
    finally:
        shutil.rmtree(folder)
