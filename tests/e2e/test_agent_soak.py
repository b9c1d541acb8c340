"""Tasks made and ended as fast as they can be, with readers all the while: nothing half
written is ever taken for whole, and memory stays as it was. ASYNCMON_SOAK_TASKS makes
the long one longer."""
import json
import os

import pytest

from conftest import INTERPS, OWN, pick, usable, wait_for

SHORT = 50000
LONG = int(os.environ.get("ASYNCMON_SOAK_TASKS", "500000"))


def rss(pid):
    with open("/proc/%d/statm" % pid) as f:
        return int(f.read().split()[1]) * 4096


def check_ended(e):
    kind = e["name"].split(" ")[0] if e["name"] else None
    if kind == "family":
        assert e["coro"] in ("family", "fine"), e
        assert e["outcome"] == "finished", e
    elif kind in ("fine", "bad", "gone"):
        assert e["coro"] == kind, e
        assert e["outcome"] == {"fine": "finished", "bad": "failed", "gone": "cancelled"}[kind], e
        if kind == "bad":
            x = e["exception"]
            assert (x["type"], x["message"]) == ("ValueError", "bad one"), e
        else:
            assert e["exception"] is None, e
    # What began before the agent came has none.
    assert e["lifetime"] is None or 0 <= e["lifetime"] < 600, e


def check_live(t):
    if t["created"] and t["created"]["by"] and t["name"] and " of " in t["name"]:
        assert t["created"]["by"]["name"] == "main " + t["name"].split(" of ")[1].split(",")[0], t
        assert t["created"]["stack"], t


def look(pid, asyncmon):
    """Reads all there is, and checks each record; the highest serial of one that ended and
    whose life the agent saw whole."""
    pst = asyncmon("pst", pid, "--json")
    assert pst.rc in (0, 5), pst.err
    ended = json.loads(pst.out)["terminated"]
    assert len({e["serial"] for e in ended}) == len(ended)
    for e in ended:
        check_ended(e)
    ps = asyncmon("ps", pid, "--json")
    assert ps.rc in (0, 5), ps.err
    for task in json.loads(ps.out)["tasks"]:
        check_live(task)
    return max((e["serial"] for e in ended if e["lifetime"] is not None), default=0)


def soak(t, asyncmon, tasks, least):
    """Looks until that many were made, and at least so often. When its rings and pools are
    full, the agent has all the memory it will ever have."""
    assert asyncmon("inject", t.pid, "--timeout", "60").rc in (0, 5)
    last, looks, first = 0, 0, None
    while last < tasks or looks < least:
        # A target that gets no processor between two looks ends no task.
        more = wait_for(lambda: max(look(t.pid, asyncmon) - last, 0), 60)
        assert more, "no task has ended since the last look"
        last += more
        looks += 1
        if looks == 2:
            first = rss(t.pid)
    assert rss(t.pid) - first < 24 << 20
    t.unharmed()


@pytest.mark.parametrize("threads", [1, 4])
def test_soak(main_interp, target, asyncmon, threads):
    soak(target(main_interp, "churn.py", threads), asyncmon, SHORT, 3)


@pytest.mark.parametrize("names,threads", [(["sid-3.14", OWN], 1), (["ft-3.13t"], 2)])
def test_millions(target, asyncmon, names, threads):
    t = target(usable(pick(*names) or INTERPS[names[0]]), "churn.py", threads)
    soak(t, asyncmon, LONG, 20)
