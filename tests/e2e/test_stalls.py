"""stalls: every hold of a loop is told, for as long as the program says that it was."""
import datetime
import json
import os
import re
import signal
import subprocess
import time

import pytest

import schema
from conftest import ASYNCMON, INTERPS, OWN, call, pick, some, usable, wait_for

NAMES = some(OWN, "pyenv-3.8", "pyenv-3.9", "pyenv-3.12", "sid-3.13", "sid-3.14", "sid-3.15", "ft-3.13t")
# Another process's, or this machine's, load makes a hold longer; it is the program that says
# how long it was. So much of a difference is the program's own between its two clocks' words
# and the loop's next turn.
NEAR = 0.1


class Watch:
    """asyncmon stalls, running; lines() once it has been ended."""

    def __init__(self, target, *args):
        self.proc = subprocess.Popen([ASYNCMON, "stalls", "--json", *args, str(target.pid)],
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.clock = time.time() - time.monotonic()

    def lines(self, sig=signal.SIGINT):
        if sig:
            self.proc.send_signal(sig)
        out, err = self.proc.communicate(timeout=60)
        schema.hold_text(["stalls"], out.decode())
        self.err = err.decode()
        self.rc = self.proc.returncode
        found = [json.loads(line) for line in out.decode().splitlines()]
        assert found, (self.rc, self.err)
        assert [x["event"] for x in found] == ["stall"] * (len(found) - 1) + ["summary"]
        for x in found[:-1]:
            at = datetime.datetime.strptime(x["at"], "%Y-%m-%dT%H:%M:%S.%fZ")
            x["began"] = at.replace(tzinfo=datetime.timezone.utc).timestamp() - self.clock
        return found[:-1], found[-1]


def told(t, n):
    """The next n holds that the target says it has made."""
    return [json.loads(t.line(60)) for _ in range(n)]


def begin(t):
    os.kill(t.pid, signal.SIGUSR1)


def following(t):
    """A watch that has found the loop: its thread's files are open."""
    w = Watch(t, "--over", "40ms")
    files = "/proc/%d/fd" % w.proc.pid

    def seen():
        try:
            names = [os.readlink(files + "/" + f) for f in os.listdir(files)]
        except OSError:
            return False
        return any(re.search(r"/proc/%d/task/\d+/stat$" % t.pid, n) for n in names)
    assert wait_for(seen), w.proc.poll()
    return w


def of_hold(stalls, hold):
    near = [s for s in stalls if abs(s["began"] - hold["began"]) < NEAR]
    assert near, (hold, stalls)
    return max(near, key=lambda s: s["seconds"])


HOLDS = ["python=300", "sleep=200", "read=250", "native=300", "gc=300", "gil=300"]
FUNCTIONS = {"python": "spin", "sleep": "doze", "read": "read", "native": "search"}
STATES = {"python": {"python", "native"}, "sleep": {"syscall"}, "read": {"syscall"}, "native": {"native"},
          "gc": {"gc"}, "gil": {"gil"}}


def hold_all(t, holds):
    w = following(t)
    begin(t)
    # Making garbage is told as well.
    truth = told(t, len(holds) + sum(h.startswith("gc") for h in holds))
    assert json.loads(t.line(60)) == {"done": True}
    return truth, w.lines()


@pytest.mark.parametrize("name", NAMES)
def test_holds(name, target):
    interp = usable(INTERPS[name])
    t = target(interp, "holding.py", "asyncio", *HOLDS)
    truth, (stalls, summary) = hold_all(t, HOLDS)
    assert summary["ended_by"] == "interrupt" and summary["stalls"] == len(stalls)
    # How long something takes is guessed by the target: it may be less than is watched for.
    long = [hold for hold in truth if hold["ended"] - hold["began"] > 0.05]
    assert len(long) >= len(truth) - 2, truth
    for hold in long:
        s = of_hold(stalls, hold)
        assert abs(s["seconds"] - (hold["ended"] - hold["began"])) < NEAR, (hold, s)
        assert s["ended"] and s["thread"] == t.pid and s["loop"].startswith("0x")
        kind = hold["kind"]
        # Without a GIL a thread waits for the other as for anything.
        if kind == "gil" and interp.free_threaded:
            assert s["state"] == "syscall", s
        elif kind in STATES:
            assert s["state"] in STATES[kind], s
        if s["stack"] and kind in FUNCTIONS:
            assert any((f["function"] or "").endswith(FUNCTIONS[kind]) for f in s["stack"]), s
            assert s["stack"][0]["function"] == "step" and s["coro"] == "step", s
        if kind == "read":
            assert "read on descriptor" in s["detail"] and "pipe:[" in s["detail"], s
        if kind == "gil" and not interp.free_threaded and s["stack"]:
            assert "hog" in s["detail"] and "search" in s["detail"], s
    # That looks were in time is not promised, but of some they are.
    assert any(s["stack"] for s in stalls), stalls


@pytest.mark.parametrize("loop", ["uvloop", "thread"])
@pytest.mark.parametrize("name", some(OWN, "sid-3.14"))
def test_other_loops(name, loop, target):
    interp = usable(INTERPS[name])
    if loop == "uvloop" and not interp.has_uvloop:
        pytest.skip("no uvloop")
    holds = ["python=200", "sleep=300", "read=200"]
    t = target(interp, "holding.py", loop, *holds)
    truth, (stalls, _) = hold_all(t, holds)
    for hold in truth:
        s = of_hold(stalls, hold)
        assert abs(s["seconds"] - (hold["ended"] - hold["began"])) < NEAR, (hold, s)
        assert s["state"] in STATES[hold["kind"]], s
        assert (s["thread"] == t.pid) == (loop == "uvloop"), s
        if s["stack"]:
            assert s["stack"][0]["function"] == "step" and s["coro"] == "step", s


def test_stopped(python, target):
    t = target(python, "holding.py", "asyncio")
    w = following(t)
    began = time.monotonic()
    os.kill(t.pid, signal.SIGSTOP)
    try:
        assert wait_for(lambda: time.monotonic() - began > 0.3)
    finally:
        os.kill(t.pid, signal.SIGCONT)
    held = time.monotonic() - began
    begin(t)
    assert json.loads(t.line(60)) == {"done": True}
    stalls, _ = w.lines()
    s = [s for s in stalls if s["state"] == "stopped"]
    assert len(s) == 1 and abs(s[0]["seconds"] - held) < NEAR, (held, stalls)


def test_a_busy_loop_is_not_held(python, target):
    """One that never sleeps, but goes round."""
    t = target(python, "holding.py", "asyncio", "busy=500", "sleep=300")
    truth, (stalls, _) = hold_all(t, ["busy", "sleep"])
    busy = next(h for h in truth if h["kind"] == "busy")
    inside = [s for s in stalls if busy["began"] <= s["began"] < busy["ended"] and s["parts"]["starved"] < s["seconds"] / 2]
    assert inside == [], inside
    of_hold(stalls, truth[1])


def test_count_fail_and_text(python, target):
    t = target(python, "holding.py", "asyncio", "sleep=200", "sleep=200")
    p = subprocess.Popen([ASYNCMON, "stalls", "--over", "100ms", "--count", "1", "--fail", str(t.pid)],
                         stdout=subprocess.PIPE, text=True)
    begin(t)
    out = p.communicate(timeout=60)[0]
    assert p.returncode == 1, out
    assert re.search(r"^\d\d:\d\d:\d\d\.\d{3}  \d+ ms  syscall  loop 0x[0-9a-f]+ in thread %d, task " % t.pid, out, re.M), out
    assert "time.sleep(seconds)" in out and re.search(r"^1 stall of 100 ms or more in .* \(1 syscall\)\.$", out, re.M), out


def test_nothing_found(python, target, asyncmon):
    t = target(python, "holding.py", "asyncio")
    a = asyncmon("stalls", "--over", "5s", "--for", "300ms", "--fail", t.pid)
    assert a.rc == 0 and a.out.startswith("No loop was held for 5000 ms or longer in "), a
    lines = asyncmon("stalls", "--over", "5s", "--for", "300ms", t.pid, "--json").out.splitlines()
    assert len(lines) == 1
    summary = json.loads(lines[0])
    assert (summary["stalls"], summary["p50"], summary["ended_by"]) == (0, None, "for")


def test_the_target_ends(python, target):
    t = target(python, "holding.py", "asyncio")
    w = following(t)
    t.dead = True
    os.kill(t.pid, signal.SIGKILL)
    _, summary = w.lines(None)
    assert summary["ended_by"] == "target" and w.rc == 3
    assert "has ended" in w.err


def test_not_of_a_core(asyncmon, python, target, tmp_path):
    a = call("stalls", tmp_path / "none")
    assert a.rc == 3 and a.out == ""
    a = asyncmon("stalls", "--over", "1ms", os.getpid())
    assert a.rc == 2 and "--over takes" in a.err
