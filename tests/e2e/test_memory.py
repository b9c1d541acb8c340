"""Each allocation of a command fails once: it ends in order, harms nothing, and passes no
part of an answer off as the whole."""
import os
import random
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import REPO, call, pick, proc_status, usable
from cores import Dumper, need

# How many allocations of each command fail in a run; another even spread each time.
MOST = int(os.environ.get("ASYNCMON_TEST_ALLOCATIONS", "60"))

CORE = [("ps", "--json"), ("ps", "--group-by", "coro"), ("where", "--locals", "--json", "--state", "waiting"),
        ("tree",), ("tree", "--groups", "--json"), ("check",), ("stacktrace", "--native", "--json")]
LIVE = [("ps", "--json"), ("stacktrace", "--native"), ("check",), ("ps-terminated",), ("inject",),
        ("attach", "--no-rc", "-e", "ps")]


@pytest.fixture(scope="session")
def failmem():
    subprocess.check_call(["make", "-s", "build/failmem.so"], cwd=REPO)
    return os.path.join(REPO, "build", "failmem.so")


def fail_each(failmem, tmp_path, args):
    """(which allocation, answer) of runs in which that one fails, then of runs in which it
    and all after it do."""
    env = {"LD_PRELOAD": failmem}
    count = str(tmp_path / "count")
    whole = call(*args, env=dict(env, FAILMEM_COUNT=count))
    with open(count) as f:
        n = int(f.read())
    assert n > 50, "nothing was counted"
    step = max(1, n // MOST)
    points = range(random.randrange(step), n, step)

    def run(which):
        at, more = which
        return which, call(*args, env=dict(env, FAILMEM_AT=str(at), **more), held=False)
    runs = [(at, {}) for at in points] + [(at, {"FAILMEM_ALL": "1"}) for at in points[::4]]
    with ThreadPoolExecutor(2) as pool:
        return whole, list(pool.map(run, runs))


def in_order(which, a):
    assert a.rc in range(6), (which, a.rc, a.err)
    # Why it failed is said, on stderr or as JSON; what is incomplete is there all the same.
    assert a.rc in (0, 1) or a.err or (a.out and a.rc == 5) or '"error"' in a.out, (which, a.rc)


@pytest.fixture(scope="module")
def core():
    need("gdb")
    d = Dumper(usable(pick("debian-3.11", "pyenv-3.12")))
    yield d.gdb_core()[0]
    d.close()


def without_lines(text):
    """Less the source lines of C frames: libdw does not say that it lacked memory for them."""
    return re.sub(r'("kind":"native","function":"[^"]*"),"file":[^,]*,"line":[^,]*', r"\1", text)


@pytest.mark.parametrize("command", CORE, ids=" ".join)
def test_each_allocation_over_a_core(failmem, core, tmp_path, command):
    if "detect_leaks" in os.environ.get("ASAN_OPTIONS", ""):
        pytest.skip("sanitizers have an allocator of their own")
    whole, runs = fail_each(failmem, tmp_path, [command[0], core, *command[1:]])
    assert whole.out and whole.rc in (0, 1)
    for which, a in runs:
        in_order(which, a)
        if a.rc == whole.rc:
            assert without_lines(a.out) == without_lines(whole.out), which
    assert any(a.rc not in (0, 1) for _, a in runs), "no allocation failed"


@pytest.mark.parametrize("command", LIVE, ids=" ".join)
def test_each_allocation_over_a_process(failmem, target, python, tmp_path, command):
    if "detect_leaks" in os.environ.get("ASAN_OPTIONS", ""):
        pytest.skip("sanitizers have an allocator of their own")
    t = target(python, "shapes.py")
    if command[0] == "ps-terminated":
        assert call("inject", t.pid).rc == 0
    whole, runs = fail_each(failmem, tmp_path, [*command, t.pid])
    assert whole.rc in (0, 1), whole.err
    for which, a in runs:
        in_order(which, a)
    status = proc_status(t.pid)
    assert status["TracerPid"] == "0" and status["State"][0] in "SR"
    again = call(*command, t.pid)
    assert again.rc == whole.rc, again.err
