"""signal: by name and number."""
import pytest


@pytest.mark.parametrize("name", ["USR1", "sigusr1", "SIGUSR1", "10"])
def test_names(asyncmon, target, python, name):
    t = target(python, "actors.py")
    a = asyncmon("signal", t.pid, name)
    assert a.rc == 0 and a.out == "SIGUSR1 sent to process %d.\n" % t.pid


def test_refused(asyncmon, target, python):
    t = target(python, "actors.py")
    a = asyncmon("signal", t.pid, "SIGUSR")
    assert a.rc == 2 and "did you mean SIGUSR1" in a.err
    assert asyncmon("signal", t.pid).rc == 2
    assert asyncmon("signal", t.pid, "0").rc == 2


def test_ends(asyncmon, target, python):
    t = target(python, "actors.py")
    t.dead = True
    assert asyncmon("signal", t.pid, "TERM").rc == 0
    assert t.proc.wait(10) == -15
