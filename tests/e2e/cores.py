"""Cores of targets: by the kernel, by gdb; and what asyncmon says of one, beside what it
said of the process while that was stopped."""
import copy
import ctypes
import glob
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile

import pytest

from conftest import Target, call, wait_for

COMMANDS = {
    "ps": ("ps", "--all"), "tree": ("tree",), "groups": ("tree", "--groups"),
    "stacktrace": ("stacktrace",),
    "where": ("where", "--locals", "--state", "waiting"),
}
libc = ctypes.CDLL(None)
SYS_TGKILL = 234
PATTERN = "/proc/sys/kernel/core_pattern"


def pattern():
    with open(PATTERN) as f:
        return f.read().strip()


def need_kernel_cores():
    if pattern().startswith("|"):
        pytest.skip("the kernel hands cores to %s" % pattern()[1:].split()[0])


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            pytest.skip(tool + " is not installed")


class Dumper:
    """A target in a folder of its own, stopped, of which cores are made. Gone with all of
    them at close()."""

    def __init__(self, interp, name="shapes.py", *args, limit="unlimited",
                 coredump_filter=None):
        base = interp.root + "/tmp" if interp.root else None
        self.dir = tempfile.mkdtemp(prefix="asyncmon-core-", dir=base)
        os.chmod(self.dir, 0o777)
        inside = self.dir[len(interp.root):] if interp.root else self.dir
        script = 'ulimit -c "$1" && cd "$2" && shift 2 && exec "$@"'
        if coredump_filter is not None:
            script = "echo %#x > /proc/self/coredump_filter; %s" % (coredump_filter, script)
            if interp.root:  # it has no /proc of its own, and a filter is inherited
                script = script.partition("; ")[2]
        shell = ["sh", "-c", script, "sh", str(limit), inside]
        dumping = copy.copy(interp)
        if interp.root:
            dumping.argv = interp.argv[:2] + shell + interp.argv[2:]
        else:
            dumping.argv = shell + interp.argv
        self.options = ["--sysroot", interp.root] if interp.root else []
        try:
            self.target = Target(dumping, name, args)
        except BaseException:
            shutil.rmtree(self.dir)
            raise
        self.pid = self.target.pid
        if coredump_filter is not None:
            with open("/proc/%d/coredump_filter" % self.pid, "w") as f:
                f.write("%#x" % coredump_filter)
        self.cwd = os.readlink("/proc/%d/cwd" % self.pid)
        os.kill(self.pid, signal.SIGSTOP)
        assert wait_for(self.stopped)

    def stopped(self):
        for tid in os.listdir("/proc/%d/task" % self.pid):
            with open("/proc/%d/task/%s/stat" % (self.pid, tid)) as f:
                if f.read().rpartition(")")[2].split()[0] != "T":
                    return False
        return True

    def kernel_core(self, sig=signal.SIGABRT):
        """Ends the target. The path, or None when the kernel wrote none."""
        need_kernel_cores()
        # A signal for each thread: none goes on once they continue.
        for tid in os.listdir("/proc/%d/task" % self.pid):
            libc.syscall(SYS_TGKILL, self.pid, int(tid), int(sig))
        os.kill(self.pid, signal.SIGCONT)
        self.target.proc.wait(60)
        self.target.dead = True
        assert self.target.proc.returncode == -sig
        name = re.sub("%.", "*", pattern().replace("%p", str(self.pid)))
        found = glob.glob(os.path.join(self.cwd, name)) + \
            glob.glob(os.path.join(self.cwd, name) + ".%d" % self.pid)
        if not found:
            return None
        path = self.path("kernel")
        os.rename(max(found, key=os.path.getmtime), path)
        return path

    def gdb_core(self):
        """(path, whether gdb says that it could not read all)"""
        need("gcore")
        done = subprocess.run(["gcore", "-o", self.path("gdb"), str(self.pid)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, timeout=120)
        path = self.path("gdb.%d" % self.pid)
        assert os.path.exists(path), done.stderr.decode("utf-8", "replace")
        failed = re.findall(rb"Memory read failed .* at (0x[0-9a-f]+)", done.stderr)
        return path, any(int(a, 16) < 1 << 47 for a in failed)

    def path(self, name):
        return os.path.join(self.dir, name)

    def close(self):
        self.target.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


def answer(command, core, *options):
    """(status, the object)"""
    a = call(*COMMANDS[command], core, "--json", *options)
    assert a.rc in (0, 1, 3, 4, 5), (a.rc, a.err[-2000:])
    return a.rc, json.loads(a.raw.decode("utf-8", "strict"))


def answers(core, *options):
    return {name: answer(name, core, *options) for name in COMMANDS}


def same_for_both(said):
    """Without what a core cannot know: the time, hence deadlines; the other end of a
    socket; the names of threads but the main one's."""
    said = copy.deepcopy(said)
    head = said.pop("target")
    said["head"] = {k: head[k] for k in ("pid", "exe", "python", "free_threaded",
                                         "layout", "agent")}
    for task in said.get("tasks", ()):
        if task["waiting_on"]:
            task["waiting_on"].update(deadline_in=None, peer=None)
    for thread in said.get("threads", ()):
        thread["name"] = None
    return said


def differing(live, seen, path=""):
    """Where two answers differ: (path, one, other)."""
    if isinstance(live, dict) and isinstance(seen, dict):
        for key in sorted(set(live) | set(seen)):
            yield from differing(live.get(key, "none"), seen.get(key, "none"),
                                 path + "." + key)
    elif isinstance(live, list) and isinstance(seen, list) and len(live) == len(seen):
        for i, (a, b) in enumerate(zip(live, seen)):
            yield from differing(a, b, "%s[%d]" % (path, i))
    elif live != seen:
        yield path, live, seen


def must_equal(live, seen, notes=True):
    for name, (rc, was) in live.items():
        status, now = seen[name]
        was, now = same_for_both(was), now if "error" in now else same_for_both(now)
        if not notes:
            was["notes"] = now["notes"] = []
        bad = list(differing(was, now))
        assert status == rc and not bad, (name, status, bad[:5])


def never_wrong(live, seen):
    """Equal, or called incomplete; then tasks may lack something, but nothing else may
    stand in its place."""
    for name, (status, now) in seen.items():
        was = live[name][1]
        if status == 0:
            must_equal({name: live[name]}, {name: (status, now)}, notes=False)
        elif status == 5:
            assert now["complete"] is False and now["notes"]
            told = {t["id"]: t for t in was.get("tasks", ())}
            for task in now.get("tasks", ()):
                assert task["id"] in told, task
                for key in ("name", "coro", "type", "loop", "thread"):
                    assert task[key] in (None, told[task["id"]][key]), (key, task)
        else:
            assert now["error"]["message"], name


def segments(path):
    """(address, size, file size, offset) of each PT_LOAD."""
    with open(path, "rb") as f:
        head = f.read(64)
        at, count = struct.unpack_from("<Q", head, 32)[0], struct.unpack_from("<H", head, 56)[0]
        f.seek(at)
        table = f.read(56 * count)
    out = []
    for i in range(count):
        kind, _, offset, address, _, filesz, memsz, _ = struct.unpack_from("<IIQQQQQQ", table, 56 * i)
        if kind == 1:
            out.append((address, memsz, filesz, offset))
    return out


def offset_of(table, address):
    for start, _, filesz, offset in table:
        if start <= address < start + filesz:
            return offset + address - start
    return None
