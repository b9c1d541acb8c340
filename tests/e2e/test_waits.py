"""What each task waits for, down to descriptor, peer, deadline and queue, against what
the target says it made; on every interpreter, and on uvloop where it is to be had."""
import pytest

from compare import by_id


def wrong(want, wait):
    """Sentences about what is not as told."""
    for key in ("kind", "fd", "peer"):
        if key in want and wait[key] != want[key]:
            yield "%s: told %r, seen %r" % (key, want[key], wait[key])
    if want.get("detail") and want["detail"] not in (wait["detail"] or ""):
        yield "detail: told %r, seen %r" % (want["detail"], wait["detail"])
    if "on" in want and sorted(want["on"]) != sorted(wait["tasks"]):
        yield "tasks: told %s, seen %s" % (want["on"], wait["tasks"])
    if "deadline" in want:
        left = wait["deadline_in"]
        if left is None or not want["deadline"] - 300 < left <= \
                want["deadline"] + 1:
            yield "deadline: told %s, seen %s" % (want["deadline"], left)
    for key in want.get("none", ()):
        if wait[key] is not None:
            yield "%s: seen %r" % (key, wait[key])


def compare(asyncmon, t):
    answer = asyncmon.json("ps", t.pid)
    seen = by_id(answer)
    tags = {x["id"]: x["tag"] for x in t.truth["tasks"]}
    bad = []
    for i, want in t.truth["waits"].items():
        wait = i in seen and seen[i]["waiting_on"]
        if not wait:
            bad.append("%s: not seen to wait" % tags.get(i, i))
            continue
        bad += ["%s: %s" % (tags.get(i, i), b) for b in wrong(want, wait)]
    assert not bad, "\n".join(bad)
    assert len(t.truth["waits"]) > 70


def test_waits(asyncmon, shared, interp):
    compare(asyncmon, shared(interp, "waits.py"))


def test_waits_on_uvloop(asyncmon, shared, interp):
    if not interp.has_uvloop:
        pytest.skip("%s has no uvloop" % interp.name)
    compare(asyncmon, shared(interp, "waits.py", "--uvloop"))


def test_no_wait_twice(asyncmon, shared, interp):
    """Two looks at what does not move say the same."""
    t = shared(interp, "waits.py")
    looks = [{i: dict(x["waiting_on"] or {}, deadline_in=None)
              for i, x in by_id(asyncmon.json("ps", t.pid)).items()}
             for _ in range(2)]
    assert looks[0] == looks[1]


def test_groups_like_aiotools(asyncmon, shared, interp):
    t = shared(interp, "groups.py")
    groups = {g["id"]: g for g in
              asyncmon.json("tree", "--groups", t.pid)["groups"]}
    tasks = by_id(asyncmon.json("ps", t.pid))
    assert set(groups) == {g["id"] for g in t.truth["groups"]}
    for told in t.truth["groups"]:
        seen = groups[told["id"]]
        assert seen["kind"] == told["kind"]
        assert seen["name"] == told.get("name")
        assert seen["owner"] == told["owner"]
        assert sorted(seen["tasks"]) == sorted(told["tasks"])
        assert all(tasks[i]["group"] == told["id"] for i in told["tasks"])
        if "waits" in told:
            wait = tasks[told["owner"]]["waiting_on"]
            assert wait["kind"] == "taskgroup" and wait["id"] == told["id"]
            assert sorted(wait["tasks"]) == sorted(told["tasks"])
            assert wait["detail"] == told["kind"] + ", 3 left"
    out = asyncmon("ps", "--group-by", "group", t.pid).out
    assert "PersistentTaskGroup mailer" in out
    assert "PersistentTaskGroup" in asyncmon("tree", "--groups", t.pid).out
