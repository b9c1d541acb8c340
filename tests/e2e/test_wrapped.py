"""Coroutines that only run what they were given, and anyio's task groups."""
import subprocess

import pytest

from compare import by_id


def by_tag(asyncmon, t):
    seen = by_id(asyncmon.json("ps", t.pid))
    return {x["tag"]: seen[x["id"]] for x in t.truth["tasks"]}


def bodies(asyncmon, t):
    seen = by_tag(asyncmon, t)
    assert len(t.truth["bodies"]) > 8
    for tag, told in t.truth["bodies"].items():
        assert seen[tag]["body"] == told, tag
    return seen


def test_bodies(asyncmon, shared, interp):
    t = shared(interp, "wrapped.py")
    seen = bodies(asyncmon, t)
    assert seen["coroutine"]["coro"] == "runs_coroutine"
    out = asyncmon("ps", t.pid, "--group-by", "coro", "--raw").out
    assert "runs_coroutine" not in out and "inner" in out
    found = asyncmon.json("ps", t.pid, "--coro", "inner")["tasks"]
    wanted = [n for n, b in t.truth["bodies"].items() if b == "inner"]
    assert len(found) == len(wanted)


def with_anyio(interp):
    found = subprocess.run(interp.argv + ["-c", "import anyio"],
                           stderr=subprocess.DEVNULL).returncode == 0
    if not found:
        pytest.skip("%s has no anyio" % interp.name)


def test_anyio(asyncmon, shared, interp):
    with_anyio(interp)
    t = shared(interp, "wrapped.py", "--anyio")
    seen = bodies(asyncmon, t)
    groups = asyncmon.json("tree", "--groups", t.pid)["groups"]
    got = [dict(id=g["id"], owner=g["owner"], tasks=sorted(g["tasks"]))
           for g in groups]
    assert sorted(got, key=str) == sorted(t.truth["groups"], key=str)
    for tag, told in t.truth["deadlines"].items():
        left = seen[tag]["waiting_on"]["deadline_in"]
        assert left is not None and told - 300 < left <= told + 1, tag
    assert seen["child-0"]["waiting_on"]["deadline_in"] > 1e5
