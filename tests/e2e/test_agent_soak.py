"""Tasks made and ended as fast as they can be, with readers all the while: nothing half
written is ever taken for whole, and memory stays as it was. ASYNCMON_SOAK_SECONDS makes
it longer."""
import json
import os
import time

import pytest

SECONDS = float(os.environ.get("ASYNCMON_SOAK_SECONDS", "4"))


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
            assert e["exception"] == {"type": "ValueError", "message": "bad one"}, e
        else:
            assert e["exception"] is None, e
    assert 0 <= e["lifetime"] < 60, e


def check_live(t):
    if t["created"] and t["created"]["by"] and t["name"] and " of " in t["name"]:
        assert t["created"]["by"]["name"] == "main " + t["name"].split(" of ")[1].split(",")[0], t
        assert t["created"]["stack"], t


@pytest.mark.parametrize("threads", [1, 3])
def test_soak(main_interp, target, asyncmon, threads):
    t = target(main_interp, "churn.py", threads)
    assert asyncmon("inject", t.pid, "--timeout", "60").rc in (0, 5)
    end = time.monotonic() + SECONDS
    looks, first, serials = 0, None, 0
    while time.monotonic() < end or looks < 3:
        pst = asyncmon("pst", t.pid, "--json")
        assert pst.rc in (0, 5), pst.err
        ended = json.loads(pst.out)["terminated"]
        assert len({e["serial"] for e in ended}) == len(ended)
        for e in ended:
            check_ended(e)
        assert max(e["serial"] for e in ended) >= serials
        serials = max(e["serial"] for e in ended)
        ps = asyncmon("ps", t.pid, "--json")
        assert ps.rc in (0, 5), ps.err
        for task in json.loads(ps.out)["tasks"]:
            check_live(task)
        looks += 1
        if looks == 2:
            first = rss(t.pid)
    assert rss(t.pid) - first < 24 << 20
    t.unharmed()
