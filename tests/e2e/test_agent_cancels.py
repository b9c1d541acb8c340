"""Cancels that were swallowed, taken back, made by other threads, in circles, by tasks that
are no longer remembered; tasks of factories; serials after removal; and ends of processes
and interpreters while tasks are alive."""
import json
import os
import subprocess

import pytest

from conftest import ASYNCMON, INTERPS, usable

BUILD = os.path.dirname(os.path.abspath(ASYNCMON))


def names(records):
    return {r["name"]: r for r in records}


def who(record):
    return [(c["origin"], (c["by"] or {"name": None})["name"]) for c in record["cancels"]]


@pytest.fixture
def odd(interp, target, asyncmon):
    t = target(interp, "cancels.py")
    assert asyncmon("inject", t.pid, "--history", 60).rc == 0
    assert t.line(30), t.stderr()
    return t


def test_cancels(odd, asyncmon):
    t = odd
    live = names(asyncmon.json("ps", t.pid)["tasks"])
    ended = names(asyncmon.json("pst", t.pid)["terminated"])

    def one(name):
        return asyncmon.json("wt", t.pid, ended[name]["serial"])["terminated"][0]
    # It runs in main's step, but in another thread.
    assert who(one("by thread")) == [("unknown", None)]
    assert who(one("by thread, soon")) == [("callback", None)]
    assert who(one("by far")) == [("callback", None)]
    # Each cancelled the other: the chain goes round once.
    first, second = one("first of circle"), one("second of circle")
    assert who(first) == [("task", "second of circle")]
    assert who(second) == [("task", "first of circle")]
    assert [c["task"]["name"] for c in second["chain"]] == ["first of circle"]
    assert [c["task"]["name"] for c in first["chain"]] == ["first of circle", "second of circle"]
    # They went on.
    assert who(live["swallows"]) == who(live["takes back"]) == [("task", "main")] * 2
    if t.interp.minor >= (3, 11):
        assert live["swallows"]["cancelling"] == 2 and live["takes back"]["cancelling"] == 0
    for name in ("by a factory", "by an eager factory", "eager by argument"):
        if name in live:
            assert live[name]["created"]["by"]["name"] == "main"
            assert live[name]["stats"]["polls"] == 1
    if t.interp.minor >= (3, 12):
        assert "by an eager factory" in live
        assert ended["at once by an eager factory"]["outcome"] == "finished"
    if t.interp.minor >= (3, 14):
        assert "eager by argument" in live
        assert ended["at once by argument"]["outcome"] == "finished"


def test_a_canceller_no_longer_remembered(interp, target, asyncmon):
    t = target(interp, "cancels.py")
    assert asyncmon("inject", t.pid, "--history", 16).rc == 0
    assert t.line(30), t.stderr()
    answer = asyncmon("pst", t.pid)
    assert "forgotten" not in answer.out and "no longer in the agent's history" in answer.err
    task = names(asyncmon.json("ps", t.pid)["tasks"])["outlives its canceller"]
    by = task["cancels"][0]["by"]
    assert by["name"] == "forgotten" and by["remembered"] is False
    assert task["created"]["by"]["remembered"] is True
    text = asyncmon("where", t.pid, task["id"]).out
    assert "by task forgotten (#%d, no longer remembered)\n" % by["serial"] in text
    assert "frames that ran the loop" in text and "_run_once" not in text


def test_serials_go_on(odd, asyncmon):
    t = odd
    seen = {x["serial"] for x in asyncmon.json("ps", t.pid)["tasks"]}
    seen |= {x["serial"] for x in asyncmon.json("pst", t.pid)["terminated"]}
    for n in (1, 2):
        assert asyncmon("inject", "--remove", t.pid).rc == 0
        assert asyncmon("inject", t.pid).rc == 0
        assert json.loads(t.line(30)) == {"again": n}
        new = names(asyncmon.json("ps", t.pid)["tasks"])["again %d" % n]
        assert new["serial"] > max(seen)
        # main had its step when the agent went and came; it is the same task for it.
        assert new["created"]["by"]["name"] == "main"
        seen.add(new["serial"])


MIDDLE = """
import asyncio, sys
sys.path.insert(0, %r)
import asyncmon_agent
async def sleeper():
    await asyncio.sleep(1000)
async def main():
    asyncio.current_task().set_name("main")
    loop = asyncio.get_running_loop()
    keep = []
    for n in (1, 2):
        asyncmon_agent.start()
        keep += [loop.create_task(sleeper()), loop.create_task(sleeper())]
        keep[-2].set_name("same step")
        # main's step is over by then, unseen.
        loop.call_soon(lambda: keep.insert(0, loop.create_task(sleeper(), name="callback's")))
        await asyncio.sleep(0)
        keep[-1].cancel()
        if n == 1:
            asyncmon_agent.stop()
    await asyncio.sleep(0.01)
    print("ready", flush=True)
    await asyncio.sleep(1000)
asyncio.run(main())
""" % BUILD


def test_started_in_the_middle_of_a_step(outside, asyncmon):
    p = subprocess.Popen(outside.argv + ["-c", MIDDLE], stdout=subprocess.PIPE)
    try:
        assert p.stdout.readline() == b"ready\n"
        tasks = asyncmon.json("ps", p.pid)["tasks"]
        made = [t for t in tasks if t["created"]]
        by = {t["name"]: (t["created"]["by"] or {"name": None})["name"] for t in made}
        assert by == {"same step": "main", "callback's": None}
        ended = asyncmon.json("pst", p.pid)["terminated"]
        pages = asyncmon.json("wt", p.pid, *[t["serial"] for t in ended])["terminated"]
        # Of the first round one ended in the second, which did not see it made.
        one, = [t for t in pages if t["created"]]
        assert one["created"]["by"]["name"] == "main" and who(one) == [("task", "main")]
    finally:
        p.kill()
        p.wait()


# ---- ends ----

@pytest.fixture(params=[n for n in INTERPS if not INTERPS[n].root])
def outside(request):
    return usable(INTERPS[request.param])


def run(interp, text, *more):
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run([ASYNCMON, "run", "--"] + interp.argv + ["-c", text] + list(more), env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=100, universal_newlines=True)


ENDS = """
import asyncio, os, signal, sys, threading
PyTask = asyncio.tasks._PyTask
how = sys.argv[1]
async def sleeper():
    await asyncio.sleep(1000)
async def main():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *a: None)
    global keep
    keep = [loop.create_task(sleeper()), PyTask(sleeper(), loop=loop)]
    keep[0].cancel_later = loop.call_later(1000, keep[1].cancel)
    await asyncio.sleep(0.01)
    if how == "exit":
        os._exit(9)
    if how == "exec":
        os.execv(sys.executable, [sys.executable, "-c", "import sys; sys.exit(9)"])
    if how == "fork":
        if os.fork() == 0:
            keep[0].cancel()
            os._exit(0)
        os._exit(9 if os.wait()[1] == 0 else 1)
    if how == "thread":
        threading.Thread(target=lambda: asyncio.run(sleeper()), daemon=True).start()
        await asyncio.sleep(0.05)
    if how == "signal":
        os.kill(os.getpid(), signal.SIGTERM)
    if how == "leave":
        return
    sys.exit(9)
if how == "leave":
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    sys.exit(9)
if how == "signal":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(9))
asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["sys", "exit", "exec", "fork", "thread", "signal", "leave"])
def test_the_process_ends_as_without(outside, how):
    assert run(outside, ENDS, how).returncode == 9


INTERPRETERS = """
import asyncio, sys, threading
import asyncmon_agent
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
INNER = '''
import asyncio, sys
import asyncmon_agent
before = asyncmon_agent.running()["tasks"]
async def sleeper():
    await asyncio.sleep(1000)
async def main():
    loop = asyncio.get_running_loop()
    keep = [loop.create_task(sleeper()), asyncio.tasks._PyTask(sleeper(), loop=loop)]
    await asyncio.sleep(0.01)
    for task in keep:
        task.cancel()
    await asyncio.wait(keep)
asyncio.run(main())
assert asyncmon_agent.running()["tasks"] >= before + 3
'''
def one(legacy):
    if sys.version_info >= (3, 13):
        which = interpreters.create("legacy" if legacy else "isolated")
        failed = interpreters.exec(which, INNER)
        assert not failed, failed
    else:
        which = interpreters.create(isolated=not legacy) if sys.version_info >= (3, 10) else interpreters.create()
        interpreters.run_string(which, INNER)
    interpreters.destroy(which)
async def sleeper():
    await asyncio.sleep(1000)
async def main():
    task = asyncio.get_running_loop().create_task(sleeper())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
# Isolated ones crash 3.12.1 by themselves; up to 3.11 all share one running loop.
for legacy in (True, False, True) if sys.version_info >= (3, 13) else (True, True):
    thread = threading.Thread(target=one, args=(legacy,))
    thread.start()
    thread.join()
asyncio.run(main())
n = asyncmon_agent.running()
assert n["tasks"] >= 8 and n["cancels"] >= 5 and n["live"] == 0, n
# What was patched in the interpreters that are gone is not touched.
asyncmon_agent.stop()
asyncmon_agent.start()
asyncio.run(main())
assert asyncmon_agent.running()["tasks"] >= 2
asyncmon_agent.stop()
"""


def test_interpreters_begin_and_end(outside):
    if outside.minor < (3, 9):
        pytest.skip("tasks in a subinterpreter crash it by themselves")
    p = run(outside, INTERPRETERS)
    assert p.returncode == 0, p.stderr
