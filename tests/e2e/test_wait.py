"""`--wait`: a process that has no loop yet."""
import json
import os
import signal
import subprocess

import pytest

from conftest import ASYNCMON, call, end_tree, proc_status, wait_for

PROGRAM = """
import sys
sys.stdin.readline()
import asyncio
async def main():
    sys.stdin.readline()
    print("on", flush=True)
    await asyncio.get_event_loop().create_future()
asyncio.run(main())
"""


@pytest.fixture
def late():
    """late(interp): a shell that becomes a Python at the first line, imports asyncio at the
    second and has a task at once."""
    started = []

    def start(interp):
        p = subprocess.Popen(["sh", "-c", 'read line; exec "$@"', "sh"] + interp.argv + ["-c", PROGRAM],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        started.append(p)
        return p
    yield start
    for p in started:
        end_tree(p.pid)
        p.communicate()


def waiting(*args):
    env = dict(os.environ, LC_ALL="C.UTF-8", TERM="dumb")
    return subprocess.Popen([ASYNCMON] + [str(a) for a in args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=env)


def looked_at(p):
    """It is between two looks: it has looked once and sleeps."""
    def sleeps():
        with open("/proc/%d/syscall" % p.pid) as f:
            return f.read().split()[0] in ("7", "271")
    assert wait_for(sleeps), p.communicate()


def lines(p, n):
    for _ in range(n):
        p.stdin.write(b"\n")
        p.stdin.flush()


def is_python(pid):
    return lambda: b"-c" in open("/proc/%d/cmdline" % pid, "rb").read().split(b"\0")[1:2]


def test_from_a_shell_on(late, interp):
    t = late(interp)
    assert call("ps", t.pid).rc == 4
    a = waiting("ps", "--json", "--wait", "1h", t.pid)
    looked_at(a)
    lines(t, 1)
    lines(t, 1)
    out, err = a.communicate(timeout=60)
    answer = json.loads(out)
    assert a.returncode in (0, 5) and answer["loops"], err


def test_it_is_not_stopped(late, python):
    """As long as it has no loop."""
    t = late(python)
    lines(t, 1)
    assert wait_for(is_python(t.pid))
    a = waiting("stacktrace", "--wait", "1h", t.pid)
    for _ in range(200):
        assert proc_status(t.pid)["TracerPid"] == "0" and proc_status(t.pid)["State"][0] in "SRD"
    assert a.poll() is None
    lines(t, 1)
    assert b"in main" in a.communicate(timeout=60)[0]


def test_in_the_end_the_usual_error(late, python):
    t = late(python)
    plain, waited = call("ps", t.pid), call("ps", "--wait", "300ms", t.pid)
    assert plain.rc == waited.rc == 4 and plain.err == waited.err != ""


def test_what_ends_is_not_waited_for(late, python):
    t = late(python)
    a = waiting("why", "--wait", "1h", t.pid)
    looked_at(a)
    os.kill(t.pid, signal.SIGKILL)
    t.wait()
    a.communicate(timeout=60)
    assert a.returncode == 3
    assert call("why", "--wait", "1h", 2 ** 22).rc == 3
    assert call("ps", "--wait", "soon", os.getpid()).rc == 2


def test_session(late, python):
    t = late(python)
    a = waiting("attach", "--wait", "1h", t.pid)
    looked_at(a)
    lines(t, 3)
    assert t.stdout.readline() == b"on\n"
    out, _ = a.communicate(b"ps --raw --noheadings -o id\n", timeout=60)
    assert a.returncode == 0 and b"0x" in out
