"""`ps --json` against the target's own account, on every interpreter."""
import re
import json

import pytest

from compare import awaited_by, by_id, differences, waits


def same(asyncmon, t, *options, live=True):
    answer = asyncmon.json("ps", t.pid, *options)
    assert answer["complete"] is True, answer["notes"]
    bad = differences(t.tasks(live), by_id(answer))
    assert not bad, "\n".join(bad)
    return answer


def test_shapes(asyncmon, shared, interp):
    t = shared(interp, "shapes.py")
    answer = same(asyncmon, t)
    head = answer["target"]
    assert head["kind"] == "process" and head["pid"] == t.pid
    assert head["python"].split("+")[0] == interp.version
    assert head["free_threaded"] == interp.free_threaded
    assert head["layout"] in ("debug-offsets", "dwarf", "table")
    told = {(l["id"], l["thread"]) for l in t.truth["loops"]}
    seen = {(l["id"], l["thread"]) for l in answer["loops"]}
    assert told == seen


def test_shapes_all(asyncmon, shared, interp):
    """Done tasks that are kept alive: not in 3.14's lists any more."""
    t = shared(interp, "shapes.py")
    answer = asyncmon.json("ps", "--all", t.pid)
    seen, told = by_id(answer), t.tasks(live=False)
    missing = [told[i]["tag"] for i in set(told) - set(seen)]
    if interp.minor >= (3, 14):
        missing = [m for m in missing
                   if m not in ("finished", "failed", "cancelled")]
    assert not missing
    bad = differences({i: told[i] for i in seen if i in told},
                      {i: seen[i] for i in seen if i in told}, stacks=False)
    assert not bad, "\n".join(bad)


def test_shapes_awaited_by(asyncmon, shared, interp):
    t = shared(interp, "shapes.py")
    bad = awaited_by(t.tasks(), by_id(asyncmon.json("ps", t.pid)))
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("name", ["shapes", "shapes311", "cycle"])
def test_waits(asyncmon, shared, interp, name):
    if name == "shapes311" and interp.minor < (3, 11):
        pytest.skip("no TaskGroup before 3.11")
    t = shared(interp, name + ".py")
    bad = waits(t.tasks(), by_id(asyncmon.json("ps", t.pid)))
    assert not bad, "\n".join(bad)


def test_cancelling(asyncmon, shared, interp):
    t = shared(interp, "shapes.py")
    told = t.tagged("stubborn")
    seen = by_id(asyncmon.json("ps", t.pid))[told["id"]]
    if told["cancelling"] is not None:
        assert seen["cancelling"] == told["cancelling"]


def test_no_pause(asyncmon, shared, interp):
    t = shared(interp, "shapes.py")
    answer = asyncmon.json("ps", "--no-pause", t.pid)
    assert answer["target"]["paused_us"] is None and answer["complete"]
    told, seen = t.tasks(), by_id(answer)
    if interp.minor <= (3, 10):
        # Threads are told apart by a register there, which only a stop gives.
        for i in set(told) & set(seen):
            if seen[i]["thread"] is None:
                told[i] = dict(told[i], thread=None)
    bad = differences(told, seen)
    assert not bad, "\n".join(bad)


def test_groups(asyncmon, shared, interp):
    if interp.minor < (3, 11):
        pytest.skip("no TaskGroup before 3.11")
    t = shared(interp, "shapes311.py")
    seen = by_id(same(asyncmon, t))
    bad = awaited_by(t.tasks(), seen)
    assert not bad, "\n".join(bad)
    kids = [seen[t.tagged(n)["id"]]["group"] for n in ("child-0", "child-1")]
    assert kids[0] is not None and kids[0] == kids[1]


def test_eager(asyncmon, shared, interp):
    if interp.minor < (3, 12):
        pytest.skip("no eager tasks before 3.12")
    t = shared(interp, "eager.py")
    answer = asyncmon.json("ps", t.pid)
    # One is in its first step: from 3.14 in no list, only its thread knows it.
    told, seen = t.tasks(), by_id(answer)
    bad = differences(told, seen) + awaited_by(told, seen)
    assert not bad, "\n".join(bad)


def test_subinterpreter(asyncmon, target, interp):
    same(asyncmon, target(interp, "subinterp.py"))


def test_dead_thread(asyncmon, shared, interp):
    answer = same(asyncmon, shared(interp, "deadthread.py"))
    orphans = [t for t in answer["tasks"] if t["name"].startswith("orphan")]
    assert len(orphans) == 3 and all(t["thread"] is None for t in orphans)


def test_threads(asyncmon, target, interp):
    same(asyncmon, target(interp, "threads.py", 30, 5))


def test_blocked(asyncmon, shared, interp):
    answer = same(asyncmon, shared(interp, "blocked.py"))
    assert answer["loops"][0]["running"] is True


def test_spinning(asyncmon, target, interp):
    same(asyncmon, target(interp, "blocked.py", "--spin"))


def test_cycle(asyncmon, shared, interp):
    t = shared(interp, "cycle.py")
    seen = by_id(same(asyncmon, t))
    bad = awaited_by(t.tasks(), seen)
    assert not bad, "\n".join(bad)
    tree = asyncmon.json("tree", t.pid)
    cycles = {frozenset(c) for c in tree["cycles"]}

    def ids(names):
        return frozenset(t.tagged(n)["id"] for n in names)
    assert ids("ab") in cycles and ids("xyz") in cycles
    assert not any(t.tagged("into")["id"] in c for c in cycles)
    assert asyncmon("tree", t.pid).rc == 0


def plain(stack):
    """The frames as the targets tell theirs; these are inside of no manager."""
    assert not any(f["contexts"] for f in stack)
    return [{k: f[k] for k in ("function", "file", "line")} for f in stack]


def test_deep(asyncmon, target, interp):
    t = target(interp, "deep.py", 20000)
    seen = by_id(asyncmon.json("ps", t.pid))[t.truth["id"]]
    assert len(seen["stack"]) == t.truth["depth"]
    assert plain(seen["stack"][:1]) == [t.truth["first"]]
    assert plain(seen["stack"][-1:]) == [t.truth["last"]]
    assert asyncmon("where", t.pid, "deep").rc == 0


def test_deep_chain(asyncmon, target, main_interp):
    t = target(main_interp, "deep.py", 20000, "--tasks")
    answer = asyncmon.json("ps", t.pid)
    assert len(answer["tasks"]) == t.truth["count"]
    a = asyncmon("tree", t.pid)
    assert a.rc == 0 and "link-0" in a.out and "link-19999" in a.out
    # Python's own parser recurses: count what is open instead.
    a = asyncmon("tree", "--json", t.pid)
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', a.out)
    depth = deepest = 0
    for c in text:
        depth += (c == "{") - (c == "}")
        deepest = max(deepest, depth)
    assert a.rc == 0 and depth == 0 and deepest > 19999


def test_many(asyncmon, target, interp):
    t = target(interp, "many.py", 3000, 3)
    answer = asyncmon.json("ps", t.pid)
    assert answer["complete"] and len(answer["tasks"]) == t.truth["count"]
    ours = [x for x in answer["tasks"] if x["name"].startswith("many-")]
    assert hex(sum(int(x["id"], 16) for x in ours)) == t.truth["id_sum"]
    assert ours and all(plain(x["stack"]) == t.truth["stack"] for x in ours)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_aiohttp_under_load(asyncmon, target, interp, loop):
    if not interp.has_aiohttp:
        pytest.skip("%s has no aiohttp" % interp.name)
    if loop == "uvloop" and not interp.has_uvloop:
        pytest.skip("%s has no uvloop" % interp.name)
    t = target(interp, "aioserver.py",
               *(["--uvloop"] if loop == "uvloop" else []))
    told = {i: t.tasks()[i] for i in t.truth["stable"]}
    whole = 0
    for _ in range(20):
        a = asyncmon("ps", t.pid, "--json")
        assert a.rc in (0, 5), a.err
        if a.rc == 0:
            whole += 1
            seen = by_id(json.loads(a.out))
            bad = differences(told, {i: s for i, s in seen.items()
                                     if i in told})
            assert not bad, "\n".join(bad)
    assert whole > 10, "%d of 20 answers were whole" % whole


def test_shapes_on_uvloop(asyncmon, shared, interp):
    if not interp.has_uvloop:
        pytest.skip("%s has no uvloop" % interp.name)
    t = shared(interp, "shapes.py", "--uvloop")
    seen = by_id(asyncmon.json("ps", t.pid))
    bad = differences(t.tasks(), seen)
    assert not bad, "\n".join(bad)


def test_stacktrace(asyncmon, shared, interp):
    t = shared(interp, "shapes.py")
    answer = asyncmon.json("stacktrace", t.pid)
    threads = {x["tid"]: x for x in answer["threads"]}
    told = t.tagged("running")
    seen = threads[told["thread"]]
    assert seen["task"] == told["id"] and seen["loop"] == told["loop"]
    want = [(f["function"], f["line"]) for f in told["stack"]]
    have = [(f["function"], f["line"]) for f in seen["frames"]
            if f["kind"] == "python"]
    assert have[-len(want):] == want
    assert {l["thread"] for l in t.truth["loops"]} <= set(threads)
