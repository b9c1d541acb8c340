"""What the agent cannot know of tasks that are older than it: unknown, and never a time
that began when it came."""
import json


def names(records):
    return {r["name"]: r for r in records}


def test_older_than_the_agent(interp, target, asyncmon):
    t = target(interp, "older.py")
    assert asyncmon("inject", t.pid).rc == 0
    told = json.loads(t.line(30))
    ended = names(asyncmon.json("pst", t.pid)["terminated"])
    worker, younger = ended["worker"], ended["younger"]
    assert worker["started_at"] is None and worker["lifetime"] is None
    # It was there before the agent, which came before `came`.
    assert told["ended"] - told["came"] <= worker["lifetime_at_least"] + 0.05
    assert worker["lifetime_at_least"] <= told["ended"] - t.truth["made"]
    assert 0 < younger["lifetime"] <= told["ended"] - told["came"] + 0.05
    assert younger["lifetime"] == younger["lifetime_at_least"]

    rows = [line.split() for line in asyncmon("pst", t.pid, "--raw", "--noheadings", "-o",
                                              "name,lifetime,started").out.splitlines()]
    assert ["worker", "-", "-"] in rows and len(rows) == 2
    text = asyncmon("wt", t.pid, "worker").out
    assert "ago, after more than " in text and "made before the agent came" in text

    live = names(asyncmon.json("ps", t.pid)["tasks"])["ticker"]
    assert live["created"] is None
    stats = live["stats"]
    assert stats["polls"] is stats["busy"] is stats["longest_poll"] is None
    assert stats["at_least"]["polls"] >= 1 and stats["at_least"]["busy"] > 0
    page = asyncmon("where", t.pid, "ticker").out
    assert "  created      before the agent came, which was " in page
    assert " at most, since the agent came\n" in page
    row = asyncmon("ps", t.pid, "-f", "ticker", "--raw", "--noheadings", "-o", "age,cancels,polls").out.split()
    assert row[:2] == ["-", "-"] and row[2].startswith(">")
