"""--coalesce: equal stacks once with a count, against what the target started."""
import collections


def nodes(tree):
    for n in tree:
        yield n
        yield from nodes(n["children"])


def total(tree, shared):
    """How many tasks a coalesced tree stands for, without the shared one."""
    return sum(n["count"] * (1 + total(n["children"], shared)) for n in tree if n["task"] != shared)


def test_where(asyncmon, shared, interp):
    t = shared(interp, "alike.py")
    whole = asyncmon.json("ps", t.pid)["tasks"]
    rows = asyncmon.json("where", "--coalesce", t.pid)["tasks"]
    assert sorted(i for r in rows for i in r["ids"]) == sorted(x["id"] for x in whole)
    tag = {i: name for name, ids in t.truth["tags"].items() for i in ids}
    by_tags = collections.Counter()
    for r in rows:
        assert r["count"] == len(r["ids"]) and r["id"] == r["ids"][0]
        names = {tag.get(i) for i in r["ids"]}
        assert len(names) == 1 or names <= {"child", "shared"}, names
        by_tags[names.pop()] = r["count"]
    assert by_tags["first"] == t.truth["n"] and by_tags["second"] == 3 and by_tags["family"] == 5
    assert by_tags["larger"] == 1 and by_tags["sleeper"] == 6


def test_where_text(asyncmon, shared, python):
    t = shared(python, "alike.py")
    a = asyncmon("where", "--coalesce", "--coro", "take", t.pid)
    assert a.rc == 0
    assert a.out.startswith("×412 tasks  waiting\n") and "and 400 more" in a.out and "\n×3 tasks" in a.out
    assert a.out.count(", in take\n") == 2 and a.out.endswith("415 of 434 tasks\n".replace("434", str(
        len(asyncmon.json("ps", t.pid)["tasks"]))))
    assert asyncmon("where", "--coalesce", t.pid, "0x1").rc == 2
    assert asyncmon("where", t.pid).rc == 2


def test_tree(asyncmon, shared, interp):
    t = shared(interp, "alike.py")
    tags = t.truth["tags"]
    whole = asyncmon.json("ps", t.pid)["tasks"]
    roots = asyncmon.json("tree", "--coalesce", t.pid)["roots"]
    shared_task, = tags["shared"]
    assert total(roots, shared_task) == len(whole) - 1
    count = {n["task"]: n["count"] for n in nodes(roots) if not n["repeated"]}
    assert sorted(count[i] for i in tags["first"] if i in count) == [t.truth["n"]]
    assert sorted(count[i] for i in tags["second"] if i in count) == [3]
    assert sorted(count[i] for i in tags["family"] if i in count) == [5]
    assert sorted(count[i] for i in tags["child"] if i in count) == [4, 5]
    # Two that await the same task are alike, and it is one.
    assert [count[i] for i in tags["one"] if i in count] == [2]
    assert [n["count"] for n in nodes(roots) if n["task"] == shared_task] == [1]
    assert all("count" not in n for n in nodes(asyncmon.json("tree", t.pid)["roots"]))


def test_tree_text(asyncmon, shared, python):
    t = shared(python, "alike.py")
    a = asyncmon("tree", "--coalesce", t.pid)
    assert a.rc == 0
    lines = a.out.splitlines()
    assert sum(l.startswith("×412 ") for l in lines) == 1
    assert sum(l.startswith("×5 ") for l in lines) == 1 and sum("─ ×4 " in l for l in lines) == 1
    assert len(lines) < 20


def test_stacktrace(asyncmon, shared, interp):
    t = shared(interp, "alike.py")
    whole = asyncmon.json("stacktrace", t.pid)["threads"]
    rows = asyncmon.json("stacktrace", "--coalesce", t.pid)["threads"]
    assert sorted(i for r in rows for i in r["tids"]) == sorted(x["tid"] for x in whole)
    stands, = [r for r in rows if any(f["function"].endswith("stand") for f in r["frames"])]
    assert stands["count"] == 7 and sorted(stands["tids"]) == sorted(t.truth["tids"])
    assert all("count" not in x for x in whole)


def test_stacktrace_text(asyncmon, shared, python):
    t = shared(python, "alike.py")
    for more in ((), ("--native",)):
        a = asyncmon("stacktrace", "--coalesce", *more, t.pid)
        assert a.rc == 0 and a.out.count("in stand\n") == 1 and "×7 threads " in a.out
