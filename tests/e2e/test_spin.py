"""check's rule about loops that never rest."""
import pytest

from conftest import wait_for


def spins(asyncmon, t, rc):
    answer = asyncmon.json("check", "--rule", "spin", "--interval", "0.5", t.pid, rc=rc)
    assert answer["complete"], answer["notes"]
    return answer["findings"]


@pytest.mark.parametrize("kind", ["end", "unread", "writer"])
def test_descriptor(asyncmon, target, interp, kind):
    t = target(interp, "spins.py", kind)
    finding, = spins(asyncmon, t, 1)
    assert finding["severity"] == "warning"
    assert "descriptor %d is ready" % t.truth["fd"] in finding["message"]
    assert t.truth["callback"] + "()" in finding["message"]
    assert ("at its end" in finding["message"]) == (kind == "end")


def test_callback(asyncmon, target, interp):
    t = target(interp, "spins.py", "callback")
    finding, = spins(asyncmon, t, 1)
    assert finding["severity"] == "warning"
    assert "again()" in finding["message"]


def test_task(asyncmon, target, main_interp):
    """May be what it wants. Caught running in both looks, it is not told from a busy one."""
    t = target(main_interp, "spins.py", "task")
    finding, = wait_for(lambda: spins(asyncmon, t, 0))
    assert (finding["severity"], finding["tasks"]) == ("info", [t.truth["task"]])


@pytest.mark.parametrize("kind", ["traffic", "idle"])
def test_no_spin(asyncmon, target, main_interp, kind):
    t = target(main_interp, "spins.py", kind)
    assert not [f for f in spins(asyncmon, t, 0) if f["severity"] != "info"]
