"""Systems that refuse or lack what asyncmon would rather use: older kernels, the
filters of containers."""
import json
import os
import subprocess

import pytest

import schema
from compare import by_id, differences
from conftest import ASYNCMON, OWN, REPO, pick, usable

READING = ["process_vm_readv", "process_vm_writev"]
OLD = ["ENOSYS", *READING, "pidfd_open", "pidfd_getfd", "openat2"]


@pytest.fixture(scope="module")
def refuse():
    subprocess.check_call(["make", "-s", "build/refuse"], cwd=REPO)

    def run(what, *args):
        p = subprocess.run([os.path.join(REPO, "build", "refuse"), *what, "--", ASYNCMON,
                            *map(str, args)],
                           capture_output=True, text=True, timeout=60)
        return p
    return run


@pytest.fixture(params=[OWN, "sid-3.14"])
def some(request):
    return usable(pick(request.param) or pytest.skip("not here"))


@pytest.mark.parametrize("what", [
    ["EPERM", *READING],
    ["ENOTTY", "pagemap-scan"],
    OLD,
    [*OLD, "pagemap-scan"],
], ids=["readv", "scan", "old", "all"])
def test_another_way(refuse, target, some, what):
    t = target(some, "shapes.py")
    p = refuse(what, "ps", "--all", "--json", t.pid)
    assert p.returncode == 0, p.stderr
    answer = json.loads(p.stdout)
    schema.hold(["ps"], answer)
    assert answer["complete"]
    told, seen = t.tasks(), by_id(answer)
    bad = differences(told, {i: seen[i] for i in told if i in seen})
    assert not bad, "\n".join(bad)
    # Source lines are files below its root.
    p = refuse(what, "where", t.pid, next(iter(seen)))
    assert p.returncode == 0, p.stderr
    p = refuse(what, "stacktrace", "--native", t.pid)
    assert p.returncode == 0, p.stderr
    t.unharmed()


def test_cancel_another_way(refuse, target, some):
    t = target(some, "actors.py")
    p = refuse(["EPERM", *READING], "ps", "--json", t.pid)
    name = [x["id"] for x in json.loads(p.stdout)["tasks"] if x["state"] == "waiting"][-1]
    p = refuse(["EPERM", *READING], "cancel", t.pid, name)
    assert p.returncode == 0, p.stderr


def test_no_stop_allowed(refuse, target, python):
    """It says so, and reading without a stop goes on."""
    t = target(python, "shapes.py")
    p = refuse(["EPERM", "ptrace"], "ps", t.pid)
    assert p.returncode == 3 and "seccomp" in p.stderr and "--no-pause" in p.stderr
    assert refuse(["EPERM", "ptrace"], "ps", "--no-pause", t.pid).returncode == 0
    t.unharmed()
