"""The tests' own helpers: each fails where it ought to."""
import copy
import json
import os
import stat
import sys

import pytest

import compare
import conftest
import schema
import test_harm
import test_truth

# An answer to break is taken from here: a process with tasks that wait for each other.
CALLS = [("ps",), ("ps", "--group-by", "coro"), ("where", "--state", "waiting", "--locals"), ("tree",),
         ("stacktrace", "--native"), ("check", "--fail-on", "error", "--interval", "0"), ("why",), ("why", "main"),
         ("check", "--list-rules")]


def test_every_command_fits(asyncmon, shared, python):
    pid = shared(python, "shapes.py").pid
    for command, *words in CALLS:
        if "--list-rules" in words:
            a = asyncmon(command, *words, "--json")
        else:
            a = asyncmon(command, pid, *words, "--json")
        assert a.rc in (0, 1), (a.rc, a.err, a.out)
        assert len(json.loads(a.out)) > 1


def test_failures_fit(asyncmon):
    for words in (["ps", "999999999"], ["ps"], ["where", "1", "--no-such"], ["console", "1"]):
        a = asyncmon(*words, "--json")
        assert a.rc > 1 and list(json.loads(a.out)) == ["format", "error"], (words, a.out)


def test_several_answers_fit(asyncmon, shared, python):
    pid = shared(python, "shapes.py").pid
    a = asyncmon("ps", pid, 999999999, "--json")
    answers = json.loads(a.out)["answers"]
    assert len(answers[0]["tasks"]) > 5 and answers[1]["of"] == "999999999"


def changes(answer):
    """Answers with one fault each."""
    task = answer["tasks"][0]

    def without(key):
        def change(a, t):
            del t[key]
        return change

    def with_value(key, value):
        def change(a, t):
            t[key] = value
        return change
    faults = [without(key) for key in task] + [
        with_value("name", 1), with_value("state", "asleep"), with_value("id", 12), with_value("undocumented", None),
        with_value("stack", None), with_value("cancelling", None), with_value("awaited_by", [1]),
        lambda a, t: a.update(format=2), lambda a, t: a.pop("notes"), lambda a, t: a.update(extra=[]),
        lambda a, t: a["target"].update(kind="file"), lambda a, t: t["stack"][0].update(line="3"),
        lambda a, t: t["waiting_on"].update(kind="nap"), lambda a, t: t["waiting_on"].pop("holders")]
    for fault in faults:
        changed = copy.deepcopy(answer)
        fault(changed, changed["tasks"][0])
        yield changed


def test_what_does_not_fit_is_found(asyncmon, shared, python):
    answer = asyncmon.json("ps", shared(python, "shapes.py").pid)
    answer["tasks"].sort(key=lambda t: not (t["stack"] and t["waiting_on"]))
    n = 0
    for changed in changes(answer):
        with pytest.raises(AssertionError, match="does not fit"):
            schema.hold(["ps"], changed)
        n += 1
    assert n > 25


BROKEN = """#!%s
import json, subprocess, sys
fault = %r
p = subprocess.run([%r] + sys.argv[1:], stdout=subprocess.PIPE)
out, rc = p.stdout, p.returncode
if fault == "empty":
    out = b""
if "--json" in sys.argv:
    answer = json.loads(p.stdout)
    if fault == "empty":
        answer.update({k: [] for k in answer if k in ("tasks", "threads", "loops", "roots", "cycles")})
    elif fault == "incomplete":
        answer.update(complete=False, notes=["Something is missing."])
    out = json.dumps(answer).encode()
if fault == "incomplete":
    rc = 5
sys.stdout.buffer.write(out)
sys.exit(rc)
"""


@pytest.fixture(params=["empty", "incomplete"])
def broken(request, tmp_path, monkeypatch):
    """A program in asyncmon's place that gives empty answers, or calls all incomplete."""
    path = tmp_path / "asyncmon"
    path.write_text(BROKEN % (sys.executable, request.param, conftest.ASYNCMON))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(conftest, "ASYNCMON", str(path))
    monkeypatch.setattr(test_harm, "READS", 8)


@pytest.mark.parametrize("test", [
    test_truth.test_shapes, test_truth.test_shapes_all, test_truth.test_shapes_awaited_by,
    test_truth.test_cancelling, test_truth.test_no_pause, test_truth.test_blocked, test_truth.test_cycle,
    test_truth.test_stacktrace], ids=lambda f: f.__name__)
def test_truth_fails_on_a_broken_program(broken, asyncmon, shared, python, test):
    with pytest.raises((Exception, pytest.fail.Exception)):
        test(asyncmon, shared, python)


def test_waits_fails_on_a_broken_program(broken, asyncmon, shared, python):
    with pytest.raises((Exception, pytest.fail.Exception)):
        test_truth.test_waits(asyncmon, shared, python, "shapes")


@pytest.fixture
def busy(python, target):
    h = test_harm.Heartbeat(python, target)
    yield h
    os.unlink(h.path)


def test_harm_fails_on_a_broken_program(broken, busy, target, python):
    commands = ["tree", "stacktrace", "where"]
    for test, *args in [(test_harm.test_busy_loop, busy), (test_harm.test_busy_loop_unpaused, busy),
                        *((test_harm.test_busy_commands, busy, c) for c in commands),
                        (test_harm.test_threads_that_come_and_go, target, python),
                        (test_harm.test_vfork_children, target, python)]:
        with pytest.raises((Exception, pytest.fail.Exception)):
            test(*args)


def test_comparisons_fail_on_nothing(shared, python, asyncmon):
    t = shared(python, "shapes.py")
    told, seen = t.tasks(), compare.by_id(asyncmon.json("ps", t.pid))
    unknown = {i: dict(x, awaited_by=None, asyncio_awaited_by=None, kind=None) for i, x in told.items()}
    for same in (compare.differences, compare.awaited_by, compare.waits):
        assert not same(told, seen)
        assert len(same(told, {})) >= len(told)
        assert same({}, seen) and same({}, {})
    assert compare.awaited_by(unknown, seen) and compare.waits(unknown, seen)
