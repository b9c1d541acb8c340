"""What must never happen to a target, and no wrong answer called complete."""
import json
import os
import random
import signal
import struct
import subprocess
import tempfile
import time

import pytest

from compare import awaited_by, by_id, differences, waits
from conftest import ASYNCMON, call, proc_status, wait_for

READS = int(os.environ.get("ASYNCMON_TEST_READS", "100"))


class Heartbeat:
    def __init__(self, interp, target):
        root = interp.root or ""
        fd, self.path = tempfile.mkstemp(prefix="asyncmon-heartbeat-",
                                         dir=root + "/tmp")
        os.close(fd)
        self.t = target(interp, "busy.py", self.path[len(root):])

    def read(self):
        with open(self.path, "rb") as f:
            return struct.unpack("=QQ", f.read(16))

    def beats(self):
        """It goes on ticking, and nothing went wrong inside."""
        before = self.read()[0]
        assert wait_for(lambda: self.read()[0] > before + 3), \
            "the target stopped ticking"
        assert self.read()[1] == 0, self.t.stderr()


@pytest.fixture
def busy(main_interp, target):
    h = Heartbeat(main_interp, target)
    yield h
    os.unlink(h.path)


def right(told, answer):
    """What is always there must be there, as it always is; no task twice."""
    seen = by_id(answer)
    ours = {i: t for i, t in told.items()
            if t["tag"] in ("always", "awaits")}
    have = {i: seen[i] for i in ours if i in seen}
    bad = differences(ours, have) + awaited_by(ours, have) + waits(ours, have)
    for t in answer["tasks"]:
        if t["coro"] not in ("main", "invariant", "on_task", "step", "parent",
                             "churn", "tick", None):
            bad.append("no such coroutine: %r" % t["coro"])
        if t["coro"] is None or t["name"] is None:
            bad.append("%s: name %r, coroutine %r"
                       % (t["id"], t["name"], t["coro"]))
    return bad


def test_busy_loop(busy):
    told = busy.t.tasks()
    whole = 0
    for _ in range(READS):
        a = call("ps", busy.t.pid, "--json")
        assert a.rc in (0, 5), (a.rc, a.err)
        answer = json.loads(a.out)
        assert answer["complete"] == (a.rc == 0)
        if a.rc == 0:
            whole += 1
            bad = right(told, answer)
            assert not bad, "\n".join(bad)
        else:
            assert answer["notes"]
    busy.beats()
    # A reader that always gives up would never be wrong either.
    assert whole > READS // 2, "%d of %d reads were whole" % (whole, READS)


def test_busy_loop_unpaused(busy):
    told = busy.t.tasks()
    whole = 0
    for _ in range(READS // 2):
        a = call("ps", "--no-pause", busy.t.pid, "--json")
        assert a.rc in (0, 5), (a.rc, a.err)
        answer = json.loads(a.out)
        assert answer["complete"] == (a.rc == 0)
        if a.rc == 0:
            whole += 1
            bad = right(told, answer)
            assert not bad, "\n".join(bad)
        else:
            assert answer["notes"]
    busy.beats()
    assert whole, "none of %d reads was whole" % (READS // 2)


@pytest.mark.parametrize("command", ["tree", "stacktrace", "where"])
def test_busy_commands(busy, command):
    extra = ["always-0"] if command == "where" else []
    says = {"tree": "always-0", "where": "always-0", "stacktrace": str(busy.t.pid)}[command]
    whole = 0
    for _ in range(READS // 4):
        a = call(command, busy.t.pid, *extra)
        assert a.rc in (0, 5), (a.rc, a.err)
        whole += a.rc == 0
        assert a.rc == 5 or says in a.out, a.out
    busy.beats()
    assert whole > READS // 8, "%d of %d answers were whole" % (whole, READS // 4)


def test_killed_at_random_instants(busy):
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    began = time.monotonic()
    call("ps", busy.t.pid)
    span = time.monotonic() - began
    for _ in range(READS):
        p = subprocess.Popen([ASYNCMON, "ps", str(busy.t.pid)],
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        time.sleep(rng.random() * span)
        p.send_signal(signal.SIGKILL)
        p.wait()
    busy.t.unharmed()
    busy.beats()
    assert call("ps", busy.t.pid).rc in (0, 5), "seed %d" % seed


def test_interrupted_by_the_user(busy):
    """Ctrl-C ends asyncmon, not the target."""
    for i in range(20):
        p = subprocess.Popen([ASYNCMON, "ps", str(busy.t.pid)],
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        time.sleep(0.001 * i)
        p.send_signal(signal.SIGINT)
        assert p.wait(10) in (0, 5, 130, -signal.SIGINT)
    busy.t.unharmed()
    busy.beats()


def test_two_at_once(busy):
    """Two readers of one target: each is served or told who was first."""
    for _ in range(10):
        ps = [subprocess.Popen([ASYNCMON, "ps", str(busy.t.pid)],
                               stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE) for _ in range(4)]
        for p in ps:
            _, err = p.communicate(timeout=30)
            assert p.returncode in (0, 5) or (
                p.returncode == 3 and b"trace" in err), (p.returncode, err)
    busy.beats()


def test_stopped_stays_stopped(asyncmon, target, interp):
    t = target(interp, "frozen.py")
    t.frozen = True
    t.unharmed()
    answer = asyncmon.json("ps", t.pid)
    bad = differences(t.tasks(), by_id(answer))
    assert not bad, "\n".join(bad)
    t.unharmed()
    assert asyncmon("stacktrace", t.pid).rc == 0
    t.unharmed()
    os.kill(t.pid, signal.SIGCONT)
    t.frozen = False
    t.unharmed()


def test_pending_signal_is_not_lost(target, python):
    """Signals sent while it is read arrive, and the handler's loop goes on."""
    t = target(python, "signals.py")
    for i in range(READS):
        p = subprocess.Popen([ASYNCMON, "ps", str(t.pid)],
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
        os.kill(t.pid, signal.SIGUSR1)
        line = t.line(20)
        assert json.loads(line) == {"received": i + 1}
        _, err = p.communicate(timeout=30)
        assert p.returncode == 0, err


def test_threads_that_come_and_go(target, main_interp):
    t = target(main_interp, "threadchurn.py")
    always = t.tagged("always")["id"]
    whole = 0
    for _ in range(READS // 2):
        a = call("ps", t.pid, "--json")
        assert a.rc in (0, 5), (a.rc, a.err)
        whole += a.rc == 0
        assert a.rc == 5 or always in by_id(json.loads(a.out))
    assert whole > READS // 4, "%d of %d reads were whole" % (whole, READS // 2)


def test_exec_under_our_hands(target, python):
    t = target(python, "reexec.py")
    for _ in range(READS):
        a = call("ps", t.pid, "--json")
        assert a.rc in (0, 3, 4, 5), (a.rc, a.err)
        assert t.proc.poll() is None


def test_vfork_children(target, python):
    """A child between vfork and exec holds the thread that waits for it."""
    t = target(python, "vforks.py")
    whole = 0
    for _ in range(READS // 2):
        a = call("ps", t.pid, "--json")
        assert a.rc in (0, 5), (a.rc, a.err)
        whole += a.rc == 0
        assert a.rc == 5 or set(t.tasks()) <= set(by_id(json.loads(a.out)))
    assert whole > READS // 4, "%d of %d reads were whole" % (whole, READS // 2)
    assert json.loads(t.line(20))["failed"] == 0


def test_leader_has_ended(asyncmon, target, python):
    """The main thread called pthread_exit: a zombie leader, live threads."""
    t = target(python, "leader.py")
    t.dead = True       # its leader is a zombie: not what unharmed() looks for
    seen = by_id(asyncmon.json("ps", t.pid))
    bad = differences(t.tasks(), seen)
    assert not bad, "\n".join(bad)
    assert proc_status(t.pid)["State"][0] == "Z"
    for tid in os.listdir("/proc/%d/task" % t.pid):
        assert proc_status(int(tid))["TracerPid"] == "0"
