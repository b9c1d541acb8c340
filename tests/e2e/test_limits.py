"""Many of everything, and what ends an answer early is said where it does."""
import json
import resource
import subprocess
import sys
import tempfile

import pytest

from conftest import ASYNCMON, INTERPS, OWN, proc_status, usable


@pytest.fixture(params=[OWN, "pyenv-3.8", "sid-3.14"])
def t(request, target):
    return target(usable(INTERPS[request.param]), "foreign.py")


def test_foreign_awaitable_is_said(asyncmon, t):
    a = asyncmon.json("ps", t.pid)
    assert a["complete"], a["notes"]
    by = {x["id"]: x for x in a["tasks"]}
    assert by[t.truth["foreign"]]["stack_beyond"] == "Reply"
    assert by[t.truth["plain"]]["stack_beyond"] is None
    out = asyncmon("where", t.pid, t.truth["foreign"]).out
    assert "goes on in a Reply" in out
    assert "goes on" not in asyncmon("where", t.pid, t.truth["plain"]).out


def test_many_of_everything(asyncmon, t):
    a = asyncmon.json("ps", t.pid)
    assert a["complete"], a["notes"]
    assert sum(x["coro"] == "plain" for x in a["tasks"]) == t.truth["many"] + 2
    assert a["loops"][0]["timers"] >= t.truth["timers"]


def descriptors(soft, hard):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_few_descriptors(asyncmon, python, target):
    """What we lack ourselves is never taken for a process that has ended."""
    t = target(python, "forks.py", 20)
    pids = sorted(t.truth["children"] + [t.pid])
    tree = ["attach", "--no-rc", "-e", "ps --json", "--tree", t.pid]
    a = asyncmon(*tree, preexec_fn=descriptors(24, 1024))
    assert a.rc == 0, a.err
    assert sorted(x["target"]["pid"] for x in json.loads(a.out)["answers"]) == pids
    a = asyncmon.json("ps", "--tree", t.pid, preexec_fn=descriptors(24, 24))
    assert sorted(x["target"]["pid"] for x in a["answers"]) == pids
    for most in range(4, 24):
        a = asyncmon(*tree, preexec_fn=descriptors(most, most))
        assert a.rc == 3 and "files open" in a.err, (most, a)


# A small process between: a child begins with the peak of whoever made it.
MEASURE = """import os, sys
pid = os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss, os.waitstatus_to_exitcode(status), file=sys.stderr)
"""


def most_memory(*args):
    """What asyncmon took at most, in KiB; its exit status; how much it printed."""
    with tempfile.TemporaryFile() as out:
        p = subprocess.run([sys.executable, "-c", MEASURE, ASYNCMON] + [str(x) for x in args],
                           stdout=out, stderr=subprocess.PIPE, check=True)
        kib, rc = p.stderr.split()[-2:]
        return int(kib), int(rc), out.tell()


@pytest.mark.parametrize("kind", ["chain", "name"])
def test_memory_is_bounded_by_the_target(asyncmon, python, target, kind):
    """asyncmon(1), CAVEATS: 128 MiB and four times the target's memory."""
    t = target(python, "multiplied.py", kind, 3000)
    target_kib = int(proc_status(t.pid)["VmRSS"].split()[0])
    for command in (["ps", "--json"], ["ps"], ["tree"], ["check", "--interval", "0.01"]):
        kib, rc, printed = most_memory(command[0], t.pid, *command[1:])
        assert kib < (128 << 10) + 4 * target_kib, (command, kib, target_kib)
        assert rc in (1, 5) and printed < 1 << 30, (command, rc, printed)
    a = asyncmon.json("ps", t.pid, rc=5)
    assert len(a["tasks"]) == t.truth["count"] and "is cut short" in " ".join(a["notes"])


@pytest.mark.parametrize("name", [OWN, "pyenv-3.8", "sid-3.14"])
def test_long_names_are_whole(asyncmon, target, name):
    t = target(usable(INTERPS[name]), "multiplied.py", "whole", 20)
    a = asyncmon.json("ps", t.pid)
    assert a["complete"], a["notes"]
    assert {"%06d" % i * 50000 for i in range(20)} < {x["name"] for x in a["tasks"]}
