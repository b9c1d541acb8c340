"""Many of everything, and what ends an answer early is said where it does."""
import json
import resource

import pytest

from conftest import INTERPS, OWN, usable


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
