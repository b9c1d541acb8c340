#!/usr/bin/python3
"""No process that a test started outlives the run.

    tests/leftover.py COMMAND...    runs it; ends and lists what it leaves, status 1

Orphans become children of the process that has called watch(), and all that the run
starts carries a mark in its environment, so a process is found that has lost its parent
as well as one that was started with an empty environment.
"""
import ctypes
import os
import signal
import subprocess
import sys
import time
import uuid

PR_SET_CHILD_SUBREAPER = 36
MARK = "ASYNCMON_TEST"


def watch():
    """Has the processes of this run come to us. The environment is given on from here."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.environ[MARK] = str(uuid.uuid4())


def read(pid, name):
    try:
        with open("/proc/%d/%s" % (pid, name), "rb") as f:
            return f.read()
    except OSError:
        return b""


def environment(pid):
    return dict(item.partition(b"=")[::2] for item in read(pid, "environ").split(b"\0"))


def parents():
    """{pid: its parent} of all processes but zombies."""
    out = {}
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        fields = read(pid, "stat").rpartition(b")")[2].split()
        if len(fields) > 1 and fields[0] != b"Z":
            out[pid] = int(fields[1])
    return out


def above(pid, parent):
    while pid in parent and pid > 1:
        yield pid
        pid = parent[pid]


def left():
    """Sentences about those that run, {pid: sentence}."""
    parent, mark, me = parents(), os.environ[MARK].encode(), os.getpid()
    out = {}
    for pid in parent:
        env = environment(pid)
        if pid != me and (me in above(pid, parent) or env.get(MARK.encode()) == mark):
            test = env.get(b"PYTEST_CURRENT_TEST", b"?").decode("utf-8", "replace")
            line = read(pid, "cmdline").replace(b"\0", b" ").decode("utf-8", "replace")
            out[pid] = "%d %s(started by %s)" % (pid, line, test.rpartition(" (")[0] or test)
    return out


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def end_all(seconds=3):
    """What still runs when it had time to end; it is killed."""
    end = time.monotonic() + seconds
    reap()
    while left() and time.monotonic() < end:
        time.sleep(0.05)
        reap()
    lines = list(left().values())
    for _ in range(100):
        found = left()
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        reap()
        if not found:
            break
        time.sleep(0.02)
    return lines


def main(argv):
    watch()
    status = subprocess.call(argv)
    lines = end_all()
    for line in lines:
        print("left behind: " + line, file=sys.stderr)
    return status if status > 0 else 128 - status if status else 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
