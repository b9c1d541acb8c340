"""Waits for several futures of any kind, slots of semaphores and queues, and who awaits
what another task made, against what the target says it did."""
from compare import by_id


def seen_by_tag(asyncmon, t):
    tags = {x["id"]: x["tag"] for x in t.truth["tasks"]}
    seen = by_id(asyncmon.json("ps", t.pid))
    return tags, {tags[i]: x for i, x in seen.items() if tags.get(i)}


def test_counts(asyncmon, shared, interp):
    t = shared(interp, "children.py")
    tags, seen = seen_by_tag(asyncmon, t)
    assert len(t.truth["waits"]) > 12
    for name, told in t.truth["waits"].items():
        wait = seen[name]["waiting_on"]
        got = {key: wait[key] for key in ("kind", "total", "left")}
        got["on"] = sorted(tags[i] for i in wait["tasks"])
        assert got == told, name
        if told["kind"] in ("gather", "wait"):
            assert wait["detail"] == "%d of %d left" % (told["left"],
                                                        told["total"])


def test_awaited_by(asyncmon, shared, interp):
    """By who awaits what gather() and shield() returned, not by their
    caller."""
    t = shared(interp, "children.py")
    tags, seen = seen_by_tag(asyncmon, t)
    for name, told in t.truth["awaited_by"].items():
        got = sorted(tags[i] for i in seen[name]["awaited_by"])
        assert got == sorted(told), name
