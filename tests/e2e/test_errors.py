"""Refusals: each with its exit status and its reason."""
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

from conftest import ASYNCMON, wait_for, proc_status

TRACER = r"""
import ctypes, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
if libc.ptrace(0x4206, int(sys.argv[1]), 0, 0):
    sys.exit("seize: %d" % ctypes.get_errno())
print("held", flush=True)
time.sleep(1000)
"""


@pytest.fixture
def spawn():
    started = []

    def start(*argv, **kw):
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, **kw)
        started.append(p)
        return p
    yield start
    for p in started:
        p.kill()
        p.wait()


def refused(a, rc, *words):
    assert a.rc == rc, (a.rc, a.out[:500], a.err)
    assert a.out == ""
    for word in words:
        assert word.lower() in a.err.lower(), (word, a.err)
    assert len(a.err.strip().splitlines()) <= 24


@pytest.mark.parametrize("args", [
    (), ("no-such-command",), ("ps",), ("ps", "--no-such-option", "1"),
    ("where",), ("ps", "--color=perhaps", "1"), ("tree",), ("stacktrace",)])
def test_usage(asyncmon, args):
    refused(asyncmon(*args), 2)


def test_where_without_task(asyncmon, shared, python):
    refused(asyncmon("where", shared(python, "shapes.py").pid), 2)


def test_no_such_process(asyncmon, spawn):
    p = spawn("true")
    p.wait()
    refused(asyncmon("ps", p.pid), 3, str(p.pid))
    err = asyncmon.json("ps", p.pid, rc=3)
    assert err["format"] == 1 and err["error"]["code"]
    assert str(p.pid) in err["error"]["message"]


def test_no_such_file(asyncmon):
    refused(asyncmon("ps", "./no-such-core"), 3, "no-such-core")


def test_zombie(asyncmon):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    try:
        assert wait_for(lambda: proc_status(pid)["State"][0] == "Z")
        refused(asyncmon("ps", pid), 3)
    finally:
        os.waitpid(pid, 0)


def test_not_python(asyncmon, spawn):
    p = spawn("sleep", "1000")
    refused(asyncmon("ps", p.pid), 4, "python")
    assert proc_status(p.pid)["TracerPid"] == "0"


def test_kernel_thread(asyncmon):
    status = proc_status(2)
    if status is None or "VmSize" in status:
        pytest.skip("PID 2 is no kernel thread here")
    assert asyncmon("ps", 2).rc in (3, 4)


def test_python_without_asyncio(asyncmon, spawn, interp):
    p = spawn(*interp.argv, "-S", "-c",
              "import sys, time; print(1, flush=True); time.sleep(1000)",
              stdout=subprocess.PIPE)
    p.stdout.readline()
    p.stdout.close()
    refused(asyncmon("ps", p.pid), 4, "asyncio")


def test_python_starting(asyncmon, spawn, python):
    """Caught at any instant of its start it is refused or read, no worse."""
    for _ in range(30):
        p = spawn(*python.argv, "-c", "import asyncio; asyncio.run("
                  "asyncio.sleep(1000))", stderr=subprocess.DEVNULL)
        a = asyncmon("ps", p.pid, "--json")
        assert a.rc in (0, 3, 4, 5), (a.rc, a.err)
        assert p.poll() is None
        p.kill()


def test_another_user(asyncmon, target, python):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    t = target(python, "blocked.py")
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)
        copy = shutil.copy(ASYNCMON, d)
        p = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
             copy, "ps", str(t.pid)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, timeout=30, cwd="/")
    err = p.stderr.decode().lower()
    assert p.returncode == 3 and p.stdout == b"", (p.returncode, err)
    assert "user" in err or "root" in err or "cap_sys_ptrace" in err, err


def test_already_traced(asyncmon, target, spawn, python):
    t = target(python, "blocked.py")
    p = spawn(sys.executable, "-c", TRACER, str(t.pid), stdout=subprocess.PIPE)
    assert p.stdout.readline() == b"held\n"
    p.stdout.close()
    refused(asyncmon("ps", t.pid), 3, "traced", str(p.pid))
    p.kill()
    p.wait()
    assert asyncmon("ps", t.pid).rc == 0


def test_target_dies(asyncmon, python, target):
    """Killed while being read: an answer or exit 3, never a hang."""
    for i in range(10):
        t = target(python, "many.py", 20000, 3)
        t.dead = True
        p = subprocess.Popen([ASYNCMON, "ps", "--raw", str(t.pid)],
                             stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
        try:
            p.wait(0.003 * i)
        except subprocess.TimeoutExpired:
            pass
        t.proc.kill()
        _, err = p.communicate(timeout=30)
        assert p.returncode in (0, 3), (p.returncode, err)
