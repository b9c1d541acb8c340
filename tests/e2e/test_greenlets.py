"""Sync code in a suspended greenlet is part of the await stack."""
import pytest


def test_frames(asyncmon, target, interp):
    t = target(interp, "greenlets.py")
    if not t.truth["greenlet"]:
        pytest.skip("%s has no greenlet" % interp.name)
    answer = asyncmon.json("ps", t.pid)
    assert answer["complete"], answer["notes"]
    tasks = {x["id"]: x for x in answer["tasks"]}
    for name in ("plain", "derived"):
        told = t.truth["greenlet"][name]
        stack = [[f["function"].split(".")[-1], f["line"]] for f in tasks[told["task"]]["stack"]]
        assert len(told["frames"]) >= 3
        assert stack[0][0] == "spawn" and stack[1:-1] == told["frames"], name
        assert stack[-1][0] == "wait"
        inside = [c["type"].split(".")[-1] for f in tasks[told["task"]]["stack"] for c in f["contexts"]]
        assert inside == ["Session"]
    # Frames beyond a function of C may not be told; those that are must be right.
    told = t.truth["greenlet"]["c"]
    stack = [[f["function"].split(".")[-1], f["line"]] for f in tasks[told["task"]]["stack"]][1:-1]
    assert stack and stack == told["frames"][len(told["frames"]) - len(stack):]
