"""What runs code in a target, where a seccomp filter of the target forbids the calls."""
import shutil
import subprocess

import pytest

from conftest import ASYNCMON, INTERPS, OWN, some, usable

SOME = some(OWN, "pyenv-3.8", "pyenv-3.12", "sid-3.14")
COMMANDS = {"cancel": ["first"], "console": ["-c", "1 + 1"], "inject": []}
CALLS = {"memfd_create": 319, "socketpair": 53, "pwrite64": 18, "prctl": 157, "mprotect": 10}


@pytest.fixture(params=SOME)
def python(request):
    return usable(INTERPS[request.param])


def run(asyncmon, t, command, *options):
    return asyncmon(command, t.pid, *options, *COMMANDS[command])


def refused(answer, call):
    assert answer.rc == 3, answer
    assert "seccomp filter" in answer.err and "the system call %s," % call in answer.err, answer.err
    assert "nothing was changed" in answer.err and "--force" in answer.err


@pytest.mark.parametrize("action", ["kill", "thread", "trap", "errno", "notify"])
def test_forbidden(asyncmon, target, python, action):
    t = target(python, "filtered.py", action, CALLS["memfd_create"])
    for command in COMMANDS:
        refused(run(asyncmon, t, command), "memfd_create")
    assert {x["name"] for x in asyncmon.json("ps", t.pid)["tasks"]} >= {"first", "second"}


def test_only_what_is_needed(asyncmon, target, python):
    """A filter forbids what one command needs and another does not."""
    t = target(python, "filtered.py", "kill", CALLS["socketpair"])
    refused(run(asyncmon, t, "cancel"), "socketpair")
    refused(run(asyncmon, t, "console"), "socketpair")
    assert run(asyncmon, t, "inject").rc == 0
    t = target(python, "filtered.py", "kill", CALLS["prctl"])
    refused(run(asyncmon, t, "inject"), "prctl")
    assert "cancelled" in run(asyncmon, t, "cancel").out
    assert run(asyncmon, t, "console").out == "2\n"


def test_what_can_be_done_without(asyncmon, target, python):
    t = target(python, "filtered.py", "errno", CALLS["prctl"])
    assert run(asyncmon, t, "inject").rc == 0


@pytest.mark.parametrize("action", ["log", "docker errno", "docker kill"])
def test_allowed(asyncmon, target, python, action):
    words = action.split() if " " in action else [action] + list(CALLS.values())
    t = target(python, "filtered.py", *words)
    assert run(asyncmon, t, "inject").rc == 0
    assert "cancelled" in run(asyncmon, t, "cancel").out
    assert run(asyncmon, t, "console").out == "2\n"
    assert asyncmon.json("ps", t.pid)["target"]["agent"]


def test_of_another_thread(asyncmon, target, python):
    """Which thread runs a text is not always known beforehand."""
    t = target(python, "filtered.py", "worker", "kill", CALLS["pwrite64"])
    refused(run(asyncmon, t, "cancel"), "pwrite64")


def test_force(asyncmon, target, python):
    """Nothing is checked, and what the filter answers is borne."""
    t = target(python, "filtered.py", "errno", CALLS["memfd_create"])
    answer = run(asyncmon, t, "inject", "--force", "--timeout", "1s")
    assert answer.rc == 3 and "seccomp" not in answer.err
    t = target(python, "filtered.py", "worker", "kill", CALLS["prctl"])
    assert run(asyncmon, t, "inject", "--force").rc == 0


@pytest.mark.skipif(not shutil.which("setpriv"), reason="no setpriv here")
def test_a_filter_that_cannot_be_read(asyncmon, target, python):
    """Only CAP_SYS_ADMIN shows filters: without, it is not known what they forbid."""
    t = target(python, "filtered.py", "log", CALLS["prctl"])
    plain = target(python, "actors.py")

    def without(pid, *options):
        p = subprocess.run(["setpriv", "--bounding-set=-sys_admin", ASYNCMON, "inject", str(pid), *options],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return p.returncode, p.stderr.decode()
    rc, err = without(t.pid)
    assert rc == 3 and "cannot be read" in err and "CAP_SYS_ADMIN" in err and "--force" in err, err
    assert without(t.pid, "--force")[0] == 0
    assert without(plain.pid)[0] == 0
