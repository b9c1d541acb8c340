"""Fixtures of the end-to-end tests: asyncmon as a user calls it, targets under
every interpreter that tests/interpreters knows."""
import collections
import fcntl
import functools
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(REPO, "tests"))
import leftover  # noqa: E402
import schema  # noqa: E402
TARGETS = os.path.join(REPO, "tests", "targets")
ASYNCMON = os.environ.get("ASYNCMON") or os.path.join(REPO, "build", "asyncmon")

ROWS = json.loads(subprocess.check_output(
    [os.path.join(REPO, "tests", "interpreters"), "json"]))


class Interp:
    def __init__(self, row):
        self.__dict__.update(row)
        self.id = row["name"]
        text = re.search(r"(\d+)\.(\d+)", row["version"] or row["name"])
        self.minor = tuple(map(int, text.groups())) if text else (0, 0)


INTERPS = {row["name"]: Interp(row) for row in ROWS}
# The machine's own Python.
OWN = next(name for name in INTERPS if name.startswith("debian-"))
# Named by the environment: every test that goes over some takes them too.
GIVEN = [row["name"] for row in ROWS if row["given"]]


def some(*names):
    """These and the given ones, each once."""
    return list(dict.fromkeys(list(names) + GIVEN))


def pick(*names):
    """The first interpreter of these that is there."""
    for name in names:
        if name in INTERPS and not INTERPS[name].skip:
            return INTERPS[name]
    return None


def usable(interp):
    if interp.skip:
        pytest.skip("%s: %s" % (interp.name, interp.skip))
    return interp


@pytest.fixture(params=list(INTERPS))
def interp(request):
    return usable(INTERPS[request.param])


@pytest.fixture(params=some(OWN, "sid-3.13", "sid-3.14", "sid-3.15",
                            "ft-3.13t"))
def main_interp(request):
    """The few for tests that take long."""
    return usable(INTERPS[request.param])


@pytest.fixture
def python():
    """Any one, for tests that are not about the interpreter."""
    return usable(pick(OWN) or list(INTERPS.values())[0])


Answer = collections.namedtuple("Answer", "rc out err raw")


def call(*args, timeout=60, text=True, env=None, held=True, **kw):
    """Runs asyncmon. Its JSON has to fit the schema, but for held=False: an answer that
    was broken off, which its exit status says."""
    if not os.path.exists(ASYNCMON):
        pytest.fail("%s is not built" % ASYNCMON)
    e = dict(os.environ, LC_ALL="C.UTF-8", TERM="dumb", **(env or {}))
    p = subprocess.run([ASYNCMON] + [str(a) for a in args],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       stdin=subprocess.DEVNULL, timeout=timeout, env=e, **kw)
    if "--json" in args and held:
        schema.hold_text(args, p.stdout.decode("utf-8", "strict"))
    return Answer(p.returncode, p.stdout.decode("utf-8", "surrogateescape"),
                  p.stderr.decode("utf-8", "replace"), p.stdout)


@pytest.fixture
def asyncmon():
    """asyncmon(args…) -> rc, out, err; asyncmon.json(args…) -> the object,
    asserting the exit status (rc=0)."""
    def run(*args, **kw):
        return call(*args, **kw)

    def as_json(*args, rc=0, **kw):
        a = call(*args, "--json", **kw)
        assert a.rc == rc, (a.rc, a.err, a.out[:2000])
        return json.loads(a.raw.decode("utf-8", "strict"))
    run.json = as_json
    return run


def proc_status(pid):
    """The fields of /proc/PID/status, or None."""
    try:
        with open("/proc/%d/status" % pid) as f:
            return dict(line.rstrip("\n").split(":\t", 1) for line in f
                        if ":\t" in line)
    except OSError:
        return None


WRITE = 1  # the system call's number on x86-64


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.01)
    return None


@functools.lru_cache(None)
def refused(argv):
    """Why these namespaces cannot be had, or ""."""
    try:
        p = subprocess.run(argv + ("true",), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    except OSError as e:
        return str(e)
    return p.stderr.decode("utf-8", "replace").strip() if p.returncode else ""


def unshare(*flags):
    """The prefix of a target in namespaces of its own. Skips where the system gives none:
    in a container, or below a root that is no mount point."""
    argv = ("unshare",) + flags
    if refused(argv):
        pytest.skip(refused(argv))
    return list(argv)


def descendants(pid):
    """Those below it, children before theirs."""
    try:
        tids = os.listdir("/proc/%d/task" % pid)
    except OSError:
        return
    for tid in tids:
        try:
            with open("/proc/%d/task/%s/children" % (pid, tid)) as f:
                kids = list(map(int, f.read().split()))
        except OSError:
            continue
        for kid in kids:
            yield kid
            yield from descendants(kid)


def end_tree(pid):
    """Kills it and all that it started. It must be a child that is not yet waited for."""
    pids = [pid] + list(descendants(pid))
    for each in pids:
        try:
            os.kill(each, signal.SIGKILL)
        except ProcessLookupError:
            pass
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


class Target:
    """A running target. pid is as seen from here; truth what it printed."""

    def __init__(self, interp, name, args=(), prefix=(), timeout=60):
        self.interp = interp
        self.frozen = False
        self.dead = False
        self.host_dir = None
        self.unread = b""
        folder = TARGETS
        if interp.root:
            self.host_dir = tempfile.mkdtemp(prefix="asyncmon-targets-",
                                             dir=interp.root + "/tmp")
            os.chmod(self.host_dir, 0o755)
            for f in os.listdir(TARGETS):
                if f.endswith(".py"):
                    shutil.copy(os.path.join(TARGETS, f), self.host_dir)
            folder = self.host_dir[len(interp.root):]
        self.folder = folder
        self.errors = tempfile.TemporaryFile()
        argv = list(prefix) + interp.argv + [os.path.join(folder, name)]
        argv += [str(a) for a in args]
        env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", LC_ALL="C.UTF-8")
        env.pop("PYTHONPATH", None)
        self.proc = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=self.errors,
            stdin=subprocess.DEVNULL, env=env, start_new_session=True)
        self.pid = self.proc.pid
        line = self.line(timeout)
        if not line:
            self.stop()
            pytest.fail("%s under %s told nothing: %s"
                        % (name, interp.name, self.stderr()))
        self.truth = json.loads(line)
        # Frozen ones stop just after telling; group leaders of namespaces
        # and the like have the interpreter as a child.
        if prefix and self.truth["pid"] != self.pid:
            self.pid = self.descendant()

    def settle(self, seconds=5):
        """Until its main thread sleeps in a system call: it has told, and may not yet have
        begun to wait. One that never sleeps gets the seconds."""
        def sleeps():
            with open("/proc/%d/syscall" % self.pid) as f:
                call = f.read().split()[0]
            return call not in ("running", "-1", str(WRITE))
        return wait_for(sleeps, seconds)

    def line(self, timeout):
        """The next line of its output, or b"" when none comes."""
        end = time.monotonic() + timeout
        fd = self.proc.stdout.fileno()
        while b"\n" not in self.unread:
            left = end - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                return b""
            piece = os.read(fd, 1 << 16)
            if not piece:
                return b""
            self.unread += piece
        line, _, self.unread = self.unread.partition(b"\n")
        return line

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read().decode("utf-8", "replace")[-2000:]

    def descendant(self):
        pid = self.proc.pid
        while True:
            with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
                kids = f.read().split()
            if not kids or b"python" in open("/proc/%d/cmdline" % pid,
                                             "rb").read().split(b"\0")[0]:
                return pid
            pid = int(kids[0])

    def tasks(self, live=True):
        done = ("finished", "failed", "cancelled")
        return {t["id"]: t for t in self.truth["tasks"]
                if not live or t["state"] not in done}

    def tagged(self, tag):
        found = [t for t in self.truth["tasks"] if t["tag"] == tag]
        assert found, "the target has no task tagged " + tag
        return found[0]

    def unharmed(self):
        """Alive, not traced, and running or stopped as it was."""
        def fine():
            status = proc_status(self.pid)
            if status is None:
                return None
            state = status["State"][0]
            good = "T" if self.frozen else "RSD"
            return status["TracerPid"] == "0" and state in good
        assert self.proc.poll() is None, \
            "the target died: %s %s" % (self.proc.returncode, self.stderr())
        assert wait_for(fine, 5), proc_status(self.pid)
        for tid in os.listdir("/proc/%d/task" % self.pid):
            status = proc_status(int(tid))
            assert status is None or status["TracerPid"] == "0", status

    def stop(self):
        end_tree(self.proc.pid)
        self.proc.wait()
        self.proc.stdout.close()
        if self.host_dir:
            shutil.rmtree(self.host_dir, ignore_errors=True)


@pytest.fixture
def target():
    """target(interp, "shapes.py", args…) starts one; at the end each must be
    unharmed, and is killed."""
    started = []

    def start(interp, name, *args, **kw):
        t = Target(interp, name, args, **kw)
        started.append(t)
        return t
    yield start
    try:
        for t in started:
            if not t.dead:
                t.unharmed()
    finally:
        for t in started:
            t.stop()


_shared = {}


@pytest.fixture
def shared():
    """shared(interp, "shapes.py"): one target for all tests that only read
    it; unharmed after every test."""
    used = []

    def get(interp, name, *args):
        key = (interp.name, name, args)
        if key not in _shared:
            for old in [k for k in _shared if k[0] != interp.name]:
                _shared.pop(old).stop()
            _shared[key] = Target(interp, name, args)
        used.append(_shared[key])
        return _shared[key]
    yield get
    for t in used:
        t.unharmed()


def interpreter_of(item):
    """The name of the one that it is about, or None."""
    params = getattr(item, "callspec", None)
    params = params.params if params else {}
    for key in ("interp", "main_interp"):
        if params.get(key) in INTERPS:
            return params[key]
    return OWN if "python" in getattr(item, "fixturenames", ()) else None


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: no other test runs beside it, because it takes "
                            "most of the machine or changes all of it")
    if not hasattr(config, "workerinput"):
        leftover.watch()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """Tests run side by side (pytest -n), but one that is marked `alone` runs while no other
    does: it holds the room by itself. Who waits for that keeps the door, so that nobody
    enters before."""
    mode = fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH
    with open(__file__) as room, open(leftover.__file__) as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, mode)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """One interpreter after the other, so that targets can be shared; side by side with
    other processes (pytest -n), those that share them stay together."""
    order = {name: n for n, name in enumerate(INTERPS)}
    items.sort(key=lambda item: order.get(interpreter_of(item), -1))
    for item in items:
        if "shared" in item.fixturenames and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group("%s-%s" % (
                item.module.__name__, interpreter_of(item))))


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_sessionfinish(session):
    for t in _shared.values():
        t.stop()
    _shared.clear()
    yield
    config = session.config
    if hasattr(config, "workerinput"):
        return
    config.left_behind = leftover.end_all()
    stats = config.pluginmanager.get_plugin("terminalreporter").stats
    config.none_ran = bool(stats.get("skipped")) and not any(
        stats.get(kind) for kind in ("passed", "failed", "error", "xfailed", "xpassed"))
    if session.exitstatus == 0 and (config.left_behind or config.none_ran):
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter, config):
    if getattr(config, "left_behind", None):
        terminalreporter.section("processes that were left behind", red=True)
        for line in config.left_behind:
            terminalreporter.line(line)
    if getattr(config, "none_ran", False):
        terminalreporter.section("all tests were skipped: nothing was tested", red=True)


def pytest_report_header(config):
    lines = ["asyncmon: " + ASYNCMON]
    for row in ROWS:
        lines.append("%-13s %s" % (row["name"], row["version"]
                                   or "skipped: " + row["skip"]))
    return lines
