"""`why --exit`: what keeps a process from ending, as the target knows it."""
import json

from conftest import wait_for


def keeps(asyncmon, t, kind, text=""):
    """Those of that kind and with that text, once there are: the target tells before it is
    in place, and while it runs a look may be incomplete."""
    def look():
        a = asyncmon("why", "--exit", "--json", t.pid)
        assert a.rc in (0, 5), a.err
        found = json.loads(a.out)["keeps"] if a.rc == 0 else []
        return [k for k in found if k["kind"] == kind and text in k["message"]]
    found = wait_for(look)
    assert found
    return found


def test_swallowed_cancel(asyncmon, target, main_interp):
    t = target(main_interp, "ending.py", "swallow")
    k, = keeps(asyncmon, t, "task", "was cancelled by asyncio.run() and has not ended")
    assert k["task"] == t.truth["task"] and "stubborn" in k["message"]


def test_executor(asyncmon, target, main_interp):
    t = target(main_interp, "ending.py", "executor")
    k, = keeps(asyncmon, t, "executor")
    assert k["thread"] == t.truth["thread"] and "reader" in k["message"]


def test_thread(asyncmon, target, main_interp):
    t = target(main_interp, "ending.py", "thread")

    def others():
        return [k for k in keeps(asyncmon, t, "thread") if k["thread"] != t.pid]
    assert wait_for(others)
    assert [k["thread"] for k in others()] == [t.truth["thread"]]


def test_not_both(asyncmon, target, python):
    t = target(python, "ending.py", "thread")
    a = asyncmon("why", "--exit", t.pid, "0x1234")
    assert a.rc == 2 and a.err.startswith("asyncmon: ")
