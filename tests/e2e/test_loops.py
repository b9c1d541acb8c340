"""Loops that share a thread, are entered again, or were copied by fork(): which of them
runs, and that no healthy one is called blocked."""
import json

import pytest

HOWS = ["inside", "again", "forked, own loop", "forked, none"]


@pytest.mark.parametrize("how", HOWS)
def test_which_loop_runs(interp, shared, asyncmon, how):
    t = shared(interp, "loops.py", how)
    pid, told = t.truth["pid"], t.truth
    assert (pid != t.pid) == how.startswith("forked")
    loops = {l["id"]: l for l in asyncmon.json("ps", pid)["loops"]}
    running = {i for i, l in loops.items() if l["running"]}
    assert running == {told["running"], told["outer"]} - {None}
    assert all(loops[i]["thread"] == told["tid"] for i in running)
    copied = {i for i, l in loops.items() if l["copied"]}
    assert not copied & running
    if interp.minor < (3, 14):  # from then on no list of the child leads to it
        assert bool(copied) == how.startswith("forked")

    threads = asyncmon.json("stacktrace", pid)["threads"]
    assert [x["loop"] for x in threads if x["tid"] == told["tid"]] == [told["running"]]
    # The tasks of another loop are not what this one is in.
    of = {x["id"]: x["loop"] for x in asyncmon.json("ps", pid)["tasks"]}
    assert all(of[x["task"]] == x["loop"] for x in threads if x["task"])


@pytest.mark.parametrize("how", HOWS)
def test_healthy_loops_are_not_blocked(interp, shared, asyncmon, how):
    t = shared(interp, "loops.py", how)
    told = t.truth
    a = asyncmon("check", told["pid"], "--json", "--interval", "0.3", "--rule", "blocked-loop")
    findings = json.loads(a.raw)["findings"]
    if how != "inside":
        assert a.rc == 0 and findings == []
        return
    # The tasks of the outer one do wait until the inner one ends.
    f, = findings
    assert a.rc == 1 and f["severity"] == "error"
    assert f["message"].startswith("The loop %s of thread %d has" % (told["outer"], told["tid"]))
    assert "its thread runs another loop, %s, until" % told["running"] in f["message"]
    assert "; 2 other tasks cannot run meanwhile" in f["message"]


def test_a_stopped_process_is_not_blocked(interp, shared, asyncmon):
    t = shared(interp, "blocked.py")
    args = ("check", t.pid, "--interval", "0.3", "--rule", "blocked-loop", "--rule", "timer-overdue")
    assert asyncmon(*args).rc == 1
    t.proc.send_signal(19)
    t.frozen = True
    try:
        assert asyncmon(*args).rc == 0
    finally:
        t.proc.send_signal(18)
        t.frozen = False
