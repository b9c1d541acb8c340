"""What asked tasks to cancel, and which requests are unanswered, by what the agent saw."""
import json

import pytest


def names(records):
    return {r["name"]: r for r in records}


@pytest.fixture
def told(interp, target, asyncmon):
    t = target(interp, "origins.py")
    assert asyncmon("inject", t.pid).rc == 0
    line = t.line(30)
    assert line, t.stderr()
    t.told = json.loads(line)["tasks"]
    return t


def test_origins(told, asyncmon):
    t = told
    tasks = names(asyncmon.json("ps", t.pid)["tasks"])
    assert set(t.told) <= set(tasks)

    def request(name):
        one, = tasks[name]["cancels"]
        return one
    for name, number in (("usr1", "SIGUSR1"), ("term", "SIGTERM"), ("usr2", "SIGUSR2")):
        c = request(name)
        assert (c["origin"], c["signal"], c["by"], c["because"]) == ("signal", number, None, None), name
    for name in ("cleaner", "swallower", "asked"):
        c = request(name)
        assert c["origin"] == "task" and c["by"]["name"] == "Task-1" and c["signal"] is None
    if t.interp.minor < (3, 11):
        return
    assert request("timed out")["origin"] == "timeout"
    bad, = [e for e in asyncmon.json("pst", t.pid)["terminated"] if e["name"] == "bad"]
    for name in ("owner", "sibling"):
        c = request(name)
        assert c["origin"] == "taskgroup" and c["by"] is None
        assert c["because"]["task"]["serial"] == bad["serial"]
        assert c["because"]["exception"]["type"] == "KeyError"
    page = asyncmon("where", t.pid, t.told["owner"]).out
    assert " by taskgroup, because bad (#%d) failed with KeyError: " % bad["serial"] in page
    f, = json.loads(asyncmon("check", t.pid, "--json", "--interval", "0.2", "--rule", "group-aborting").raw)["findings"]
    assert f["message"].startswith("Task bad of the TaskGroup in task owner failed with KeyError")


def test_unanswered(told, asyncmon):
    """Requests that were caught and not answered, on Pythons that count them and that do not."""
    t = told
    a = asyncmon("check", t.pid, "--json", "--interval", "0.2", "--rule", "cancel-pending")
    assert a.rc == 1
    by_task = {i: f for f in json.loads(a.raw)["findings"] for i in f["tasks"]}
    # A timeout has ended its part; what was taken back is answered, where that can be.
    expected = {"usr1", "usr2", "term", "cleaner", "swallower"}
    if t.interp.minor < (3, 11):
        expected.add("asked")
    else:
        expected |= {"sibling"}
        assert t.told["timed out"] not in by_task
        assert t.told["asked"] not in by_task
    assert {t.told[n] for n in expected} <= set(by_task)
