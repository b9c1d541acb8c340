"""Where tasks ended, against what came out of their coroutines: most of them awaited
something after what ended them was raised."""
import json
import os

import pytest

# Of a task of 3.8's _asyncio that ended in a step which nothing was thrown into.
RAISED = {"asks_a_cancelled_one", "raises", "raises_later", "swallows_and_raises"}


@pytest.fixture(params=["asyncio", "uvloop"])
def ended(request, interp, target, asyncmon):
    if request.param == "uvloop" and not interp.has_uvloop:
        pytest.skip("it has no uvloop")
    t = target(interp, "ends.py", request.param)
    answer = asyncmon("inject", t.pid)
    assert answer.rc == 0, answer.err
    line = t.line(60)
    assert line, t.stderr()
    truth = json.loads(line)
    answer = asyncmon.json("wt", t.pid, *truth)
    yield t, truth, {e["name"]: e for e in answer["terminated"]}, answer["notes"]
    t.unharmed()


def short(stack):
    return [[os.path.basename(f["file"]), f["function"].split(".")[-1], f["line"]] for f in stack]


def expected(t, name, stack):
    kind, _, case = name.partition(" ")
    if t.interp.minor > (3, 8) or kind not in ("C", "early"):
        return stack
    if name == "early" or case in RAISED or case == "cleans_up_handling":
        return []
    if case != "another_in_cleanup":
        return stack
    # What was raised in the cleanup is not seen: the note says what is shown.
    return None


def test_last_stacks(ended):
    t, truth, got, notes = ended
    assert set(got) == set(truth)
    for name, info in truth.items():
        assert got[name]["outcome"] == info["outcome"], name
        want = expected(t, name, info["stack"])
        # That one's exception is raised, not thrown in, with what it went through before.
        if name == "own by_gather":
            assert short(got[name]["stack"])[:len(want)] == want, name
        elif want is not None:
            assert short(got[name]["stack"]) == want, name
    check_what_is_not_known(t, got, [n for n in notes if "Python 3.8" in n])


def check_what_is_not_known(t, got, said):
    assert len(said) == (t.interp.minor == (3, 8)), said
    if said:
        # One of those is a task that another awaited.
        assert "(13 here)" in said[0], said
        assert short(got["C another_in_cleanup"]["stack"])[-2][:2] == ["ends.py", "sleeper"]
