"""`why`, and what `check` says of hangs, against what the targets know of themselves."""
import pytest

from conftest import wait_for


def rules(asyncmon, t, rc):
    t.settle()
    answer = asyncmon.json("check", "--interval", "0.3", t.pid, rc=rc)
    return {(f["rule"], f["severity"]): f for f in answer["findings"]}


def roots(asyncmon, t):
    t.settle()
    answer = asyncmon.json("why", t.pid)
    assert answer["complete"], answer["notes"]
    assert answer["roots"]
    return answer["roots"]


def turned(ring, first):
    i = ring.index(first)
    return ring[i:] + ring[:i]


@pytest.mark.parametrize("kind", ["2", "5", "itself", "through_await"])
def test_deadlock(asyncmon, target, interp, kind):
    t = target(interp, "hangs.py", kind)
    ring, behind = t.truth["ring"], t.truth["behind"]
    first = roots(asyncmon, t)[0]
    assert first["kind"] == "deadlock"
    assert turned(first["tasks"], ring[0]) == ring
    assert first["waiting"] == len(behind)
    found = rules(asyncmon, t, 1)
    assert set(found["deadlock", "error"]["tasks"]) == set(ring)


def test_chain_of_one_behind(asyncmon, target, main_interp):
    t = target(main_interp, "hangs.py", "3")
    behind, ring = t.truth["behind"][0], t.truth["ring"]
    answer = asyncmon.json("why", t.pid, "b0")
    chain, = answer["chains"]
    assert chain["task"] == behind
    assert [l["task"] for l in chain["links"]] == [behind] + ring
    assert [l["held_by"]["task"] for l in chain["links"]] == ring + [ring[0]]
    assert chain["root"]["kind"] == "deadlock"


def deadlock(asyncmon, t):
    """The first root once it is a deadlock: a target tells before it blocks its own thread."""
    def first():
        found = roots(asyncmon, t)[0]
        return found if found["kind"] == "deadlock" else None
    return wait_for(first)


@pytest.mark.parametrize("kind", ["own_loop", "own_pool", "lock_and_loop"])
def test_deadlock_through_threads(asyncmon, target, interp, kind):
    t = target(interp, "hangs.py", kind)
    first = deadlock(asyncmon, t)
    assert first, roots(asyncmon, t)
    if kind == "own_pool":
        assert first["threads"] and set(first["threads"]) <= set(t.truth["threads"])
        assert first["tasks"] and set(first["tasks"]) <= set(t.truth["tasks"])
    else:
        assert first["tasks"] == []
        assert sorted(first["threads"]) == sorted(t.truth["threads"])
        assert first["waiting"] == 2
    found = rules(asyncmon, t, 1)
    assert found["deadlock", "error"]["tasks"] == first["tasks"]


def test_thread_in_chain(asyncmon, target, main_interp):
    t = target(main_interp, "hangs.py", "lock_and_loop")
    assert deadlock(asyncmon, t), roots(asyncmon, t)
    chain, = asyncmon.json("why", t.pid, "handler")["chains"]
    main, worker = t.truth["threads"]
    assert [l["thread"] for l in chain["links"]] == [None, main, worker]
    lock, loop = [l["thread_wait"] for l in chain["links"][1:]]
    assert lock["kind"] == "lock" and [h["thread"] for h in lock["holders"]] == [worker]
    assert loop["kind"] == "loop" and loop["loop"]


def test_result_with_timeout(asyncmon, target, main_interp):
    """What a timeout ends is no deadlock, though it blocks the loop."""
    t = target(main_interp, "hangs.py", "own_loop", "3600")

    def blocked():
        return [r for r in roots(asyncmon, t) if r["kind"] == "thread"]
    root, = wait_for(blocked) or [None]
    assert root["thread"] == t.truth["threads"][0] and root["waiting"] == 2
    assert "deadlock" not in [rule for rule, severity in rules(asyncmon, t, 1)]


@pytest.mark.parametrize("kind", ["with_timeout", "spare_permit", "healthy", "failing_child",
                                  "other_thread"])
def test_no_deadlock(asyncmon, target, main_interp, kind):
    t = target(main_interp, "hangs.py", kind)
    assert "deadlock" not in [r["kind"] for r in roots(asyncmon, t)]
    answer = asyncmon.json("check", "--interval", "0.3", t.pid, rc=0)
    assert not [f for f in answer["findings"] if f["severity"] == "error"]


def test_permits(asyncmon, target, main_interp):
    t = target(main_interp, "hangs.py", "permits")
    first = roots(asyncmon, t)[0]
    assert first["kind"] == "deadlock"
    assert set(first["tasks"]) <= set(t.truth["stuck"])


def test_lost_wakeup(asyncmon, target, interp):
    t = target(interp, "hangs.py", "lost")
    found = rules(asyncmon, t, 1)
    assert found["lost-wakeup", "error"]
    answer = asyncmon.json("check", "--interval", "0.3", t.pid, rc=1)
    seen = [i for f in answer["findings"] if f["rule"] == "lost-wakeup" for i in f["tasks"]]
    assert sorted(seen) == sorted(t.truth["lost"])


def test_asleep_with_work(asyncmon, target, interp):
    t = target(interp, "hangs.py", "asleep")
    found = rules(asyncmon, t, 1)
    assert found["asleep-with-work", "error"]["tasks"] == t.truth["asleep"]


def test_condensed(asyncmon, target, main_interp):
    """Those behind a lock are told as one sentence, with whom they wait for."""
    t = target(main_interp, "hangs.py", "healthy")
    holder, = t.truth["root"]
    root, = [r for r in roots(asyncmon, t) if r["task"] == holder]
    assert root["kind"] == "timer" and root["waiting"] == len(t.truth["behind"])
    a = asyncmon("why", t.pid)
    assert a.rc == 0, a.err
    line, = [l for l in a.out.splitlines() if "for holder, which" in l]
    assert line.startswith("5 tasks wait, in the end, for holder, which waits for sleep")


def test_several_children(asyncmon, target, main_interp):
    """Whoever waits for several waits for what all of them wait for, or for them."""
    t = target(main_interp, "hangs.py", "gathered")
    holder, = t.truth["root"]
    behind, = t.truth["behind"]
    apart, = t.truth["apart"]
    found = {r["task"]: r for r in roots(asyncmon, t) if r["task"]}
    assert found[holder]["waiting"] == 4        # three that take the lock, and one gather
    assert behind not in found
    assert found[apart]["kind"] == "task"


def test_loop_not_running(asyncmon, target, main_interp):
    t = target(main_interp, "hangs.py", "paused")
    found = rules(asyncmon, t, 1)
    assert found["loop-not-running", "warning"]["tasks"] == t.truth["idle"]
