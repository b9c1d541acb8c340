"""`diff` against what the target says of the tasks it made and ended in between."""
import json
import os
import signal

import pytest

from conftest import some, usable, INTERPS

PYTHONS = some("pyenv-3.9", "pyenv-3.12", "sid-3.14")


@pytest.fixture(params=PYTHONS)
def growing(request, target):
    return target(usable(INTERPS[request.param]), "growing.py")


def turn(t):
    """Has it make and end tasks; (ids before, ids after)."""
    before = t.truth["ids"]
    os.kill(t.pid, signal.SIGUSR1)
    line = t.line(60)
    assert line, t.stderr()
    t.truth = json.loads(line)
    return before, t.truth["ids"]


def every(ids):
    return {i for kind in ids.values() for i in kind}


def check(answer, before, after):
    """Addresses of those that ended may be others' now: so by how many, and by coroutine."""
    came, went = answer["came"], answer["went"]
    assert len(came) == 30 and len(went) == 12
    assert {t["id"] for t in came} == set(after["scan"]) - set(before["scan"])
    assert {t["id"] for t in went} == set(before["brief"]) - set(after["brief"])
    grew = {(g["key"], g["value"]): (g["old"], g["new"]) for g in answer["grew"]}
    assert grew["coro", "scan"] == (10, 40)
    assert grew["holding", "asyncio.locks.Semaphore"] == (10, 40)
    assert not any(value in ("brief", "steady") for _, value in grew)
    moved = {m["coro"]: (m["old"], m["new"], m["came"], m["went"]) for m in answer["moved"]}
    assert moved == {"scan": (10, 40, 30, 0), "brief": (20, 8, 0, 12)}


def test_saved_and_live(asyncmon, growing, tmp_path):
    t = growing
    old, new = tmp_path / "old", tmp_path / "new"
    assert asyncmon("save", t.pid, old).rc == 0
    before, after = turn(t)
    assert asyncmon("save", t.pid, new).rc == 0
    check(asyncmon.json("diff", old, t.pid), before, after)
    check(asyncmon.json("diff", old, new), before, after)
    answer = asyncmon.json("diff", new, t.pid)
    assert (answer["came"], answer["went"], answer["grew"]) == ([], [], [])
    text = asyncmon("diff", old, new).out
    assert "+30 tasks of scan()" in text and "none of the 10 before ended" in text and "-12 tasks of brief()" in text
    session = asyncmon("attach", t.pid, "-e", "diff %s" % old)
    assert session.rc == 0 and "+30 tasks of scan()" in session.out


def test_serials_and_places_with_the_agent(asyncmon, growing, tmp_path):
    t = growing
    assert asyncmon("inject", t.pid).rc == 0
    old = tmp_path / "old"
    before, _ = turn(t)
    assert asyncmon("save", t.pid, old).rc == 0
    before, after = turn(t) if len(t.truth["ids"]["brief"]) >= 8 else (None, None)
    answer = asyncmon.json("diff", old, t.pid)
    assert {x["id"] for x in answer["came"]} == set(after["scan"]) - set(before["scan"])
    assert len(answer["came"]) == 30
    places = [m["created"] for m in answer["moved"] if m["coro"] == "scan" and m["came"]]
    assert len(places) == 1 and places[0].endswith("growing.py:%d" % line_of("ensure_future(globals()"))
    assert "made at growing.py:" in asyncmon("diff", old, t.pid).out


def line_of(text):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "targets", "growing.py")
    with open(path) as f:
        return next(n for n, line in enumerate(f, 1) if text in line)


def test_after(asyncmon, growing):
    answer = asyncmon.json("diff", "--after", "0.1s", growing.pid)
    assert answer["came"] == answer["went"] == [] and answer["apart"] >= 0.1
    assert answer["old"]["target"]["pid"] == answer["new"]["target"]["pid"] == growing.pid
    assert len(asyncmon.json("ps", growing.pid)["tasks"]) == 36


def test_two_processes(asyncmon, growing, target, tmp_path):
    other = target(growing.interp, "growing.py")
    answer = asyncmon.json("diff", growing.pid, other.pid)
    assert len(answer["came"]) == len(answer["went"]) == 36
    assert any("two processes" in note for note in answer["notes"])
    assert answer["grew"] == []


def test_wrong_words(asyncmon, growing, tmp_path):
    saved = tmp_path / "look"
    assert asyncmon("save", growing.pid, saved).rc == 0
    assert asyncmon("diff", growing.pid).rc == 2
    assert asyncmon("diff", "--after", "1s", growing.pid, growing.pid).rc == 2
    assert asyncmon("diff", "--after", "1s", saved).rc == 2
    assert asyncmon("diff", "--after", "soon", growing.pid).rc == 2
    assert asyncmon("diff", saved, tmp_path / "none").rc == 3
    assert asyncmon("diff", saved, 2 ** 22 + 1).rc == 3
