"""cancel: what becomes of a task, said as the task itself knows it."""
import json
import os
import signal
import time

import pytest

from conftest import INTERPS, OWN, some, usable

SOME = some(OWN, "pyenv-3.9", "pyenv-3.13", "sid-3.14", "sid-3.15", "ft-3.13t")
UVLOOP = [OWN, "sid-3.14"]


@pytest.fixture(params=SOME + [n + "+uvloop" for n in UVLOOP])
def t(request, target):
    name, _, loop = request.param.partition("+")
    return target(usable(INTERPS[name]), "actors.py", *([loop] if loop else []))


def sockets(pid):
    n = 0
    for f in os.listdir("/proc/%d/fd" % pid):
        try:
            n += "socket:" in os.readlink("/proc/%d/fd/%s" % (pid, f))
        except OSError:
            pass
    return n


def test_outcomes(asyncmon, t):
    before = sockets(t.pid)
    for name, outcome in [("willing", "cancelled"), ("raises", "failed"), ("finishes", "finished")]:
        a = asyncmon.json("cancel", t.pid, name)
        assert a["outcome"] == outcome and a["tasks"][0]["name"] == name
    a = asyncmon("cancel", t.pid, "swallow", "--timeout", "500ms")
    assert a.rc == 1 and "still running: it was asked, and goes on in swallow" in a.out
    time.sleep(0.5)
    assert sockets(t.pid) == before


def test_escapes(asyncmon, t):
    a = asyncmon("cancel", t.pid, "raises")
    assert a.rc == 0 and r"failed: ValueError: no \x1b[31m" in a.out


def test_blocked_loop(asyncmon, t):
    os.kill(t.pid, signal.SIGUSR1)
    time.sleep(0.3)
    a = asyncmon("cancel", t.pid, "willing", "--timeout", "500ms")
    assert a.rc == 1, a
    assert "still running: " in a.out and " is blocked in block " in a.out


def test_several(asyncmon, target, python):
    t = target(python, "actors.py")
    a = asyncmon.json("cancel", t.pid, "willing", "finishes")
    assert [x["outcome"] for x in a["tasks"]] == ["cancelled", "finished"]


def test_filter(asyncmon, target, python):
    t = target(python, "actors.py")
    a = asyncmon("cancel", t.pid, "--coro", "*i*", "-f", "ing")
    assert a.rc == 2 and "the filter chooses 1 task" in a.err
    a = asyncmon("cancel", t.pid, "--coro", "*i*", "-f", "ing", "--yes")
    assert a.rc == 0 and a.out.startswith("willing (0x")
    a = asyncmon("cancel", t.pid, "-f", "nosuch")
    assert a.rc == 1
    a = asyncmon("cancel", t.pid, "nosuch", "--json")
    assert a.rc == 1 and json.loads(a.out)["error"]["code"] == "not-found"
