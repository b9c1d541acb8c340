"""Who has what a pool gave out, against what the targets know of themselves."""
import pytest


def waits(asyncmon, t):
    answer = asyncmon.json("ps", t.pid)
    assert answer["complete"], answer["notes"]
    found = {task["id"]: task["waiting_on"] for task in answer["tasks"]}
    assert found
    return found


def test_holders(asyncmon, target, interp):
    t = target(interp, "pools.py")
    found = waits(asyncmon, t)
    assert t.truth["held"]
    for task, truth in t.truth["held"].items():
        wait = found[task]
        if truth is None:        # no pool
            assert wait["kind"] != "pool" and not wait["holders"], wait
            continue
        assert (wait["kind"], wait["id"]) == ("pool", truth["pool"])
        assert sorted(h["task"] for h in wait["holders"] if h["task"]) == sorted(truth["tasks"])
        assert [h["object"]["id"] for h in wait["holders"] if h["object"]] == truth["objects"]
        assert all(h["function"] and h["line"] for h in wait["holders"] if h["task"])


def test_connector(asyncmon, target, interp):
    if not interp.has_aiohttp:
        pytest.skip("%s has no aiohttp" % interp.name)
    t = target(interp, "connector.py")
    found = waits(asyncmon, t)
    for task in t.truth["wait"]:
        wait = found[task]
        assert (wait["kind"], wait["id"], wait["total"], wait["left"]) == ("pool", t.truth["pool"], 2, 0)
        assert sorted(h["task"] for h in wait["holders"]) == sorted(t.truth["have"])
    answer = asyncmon.json("check", "--interval", "0.3", t.pid, rc=1)
    finding, = [f for f in answer["findings"] if f["rule"] == "pool-exhausted"]
    assert finding["severity"] == "warning"
    assert sorted(finding["tasks"]) == sorted(t.truth["wait"])
    assert "keeps" in finding["message"]


def test_each_has_one_and_wants_another(asyncmon, target, main_interp):
    t = target(main_interp, "pools.py", "nested")
    found = waits(asyncmon, t)
    for task in t.truth["tasks"]:
        assert found[task]["id"] == t.truth["pool"]
        assert sorted(h["task"] for h in found[task]["holders"]) == sorted(t.truth["tasks"])
    answer = asyncmon.json("check", "--interval", "0.3", t.pid, rc=1)
    finding, = answer["findings"]
    assert (finding["rule"], finding["severity"]) == ("pool-exhausted", "warning")
    assert sorted(finding["tasks"]) == sorted(t.truth["tasks"])
    assert "wait for more of it" in finding["message"]


def test_likeness_is_no_proof(asyncmon, target, main_interp):
    """Somebody inside of the manager that others enter may have given the permit back."""
    t = target(main_interp, "likeness.py", "handshake")
    t.settle()
    found = waits(asyncmon, t)
    assert [found[task]["kind"] for task in t.truth["waits"]] == ["semaphore"]
    a = asyncmon.json("check", "--interval", "0.3", t.pid)
    assert [f for f in a["findings"] if f["severity"] == "error"] == []
    why = asyncmon.json("why", t.pid)
    assert why["roots"] and "deadlock" not in [r["kind"] for r in why["roots"]]


def test_what_is_taken_for_good_is_not_lent(asyncmon, target, main_interp):
    t = target(main_interp, "likeness.py", "hello")
    t.settle()
    found = waits(asyncmon, t)
    assert [found[task]["kind"] for task in t.truth["waits"]] == ["queue-get"] * 2
    a = asyncmon.json("check", "--interval", "0.3", t.pid)
    assert [f for f in a["findings"] if f["rule"] == "pool-exhausted"] == []
