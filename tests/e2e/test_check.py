"""check: the three stories the project comes from, the other rules on targets made for
them, and nothing on a target that only resembles trouble."""
import json
import re

import pytest

RULES = ["await-cycle", "deadlock", "lost-wakeup", "asleep-with-work",
         "loop-not-running", "blocked-loop", "spin", "orphaned-lock", "pool-exhausted",
         "join-without-consumer", "executor-saturated",
         "many-of-one-origin", "cancel-pending", "group-aborting",
         "exception-never-retrieved", "timer-overdue", "unreferenced-task"]


def check(asyncmon, t, *options, rc=1):
    # Free-threaded 3.14+ cannot list tasks that are done: 5 without findings.
    a = asyncmon("check", t.pid, "--json", "--fail-on", "info", *options)
    assert a.rc == rc, (a.rc, a.err, a.out[:2000])
    findings = json.loads(a.raw)["findings"]
    for f in findings:
        assert f["rule"] in RULES and f["message"].endswith(".")
        assert f["severity"] in ("error", "warning", "info")
    return findings


def of_rule(findings, rule):
    return [f for f in findings if f["rule"] == rule]


def one(findings, rule):
    found = of_rule(findings, rule)
    assert len(found) == 1, findings
    return found[0]


def test_taskgroup_in_a_long_loop(asyncmon, shared, interp):
    """A child's error is about to take the event task down; one went before."""
    if interp.minor < (3, 11):
        pytest.skip("no TaskGroup before 3.11")
    t = shared(interp, "trouble.py", "taskgroup")
    named, findings = t.truth["named"], check(asyncmon, t)
    f = one(findings, "group-aborting")
    assert "in task events failed with ConnectionError (peer went away)" \
        in f["message"] and "raises in task events" in f["message"]
    assert len(f["tasks"]) == 1
    f = one(findings, "cancel-pending")
    assert "handle-3" in f["message"] and "trouble.py:" in f["message"]
    if not (interp.free_threaded and interp.minor >= (3, 14)):
        f = one(findings, "exception-never-retrieved")
        assert f["tasks"] == [named["metrics"]]
        assert "ExceptionGroup" in f["message"]


def test_scans_pile_up(asyncmon, shared, interp):
    t = shared(interp, "trouble.py", "scans")
    findings = check(asyncmon, t)
    f = one(findings, "executor-saturated")
    assert "has 32 of 32 workers busy and 5,968 calls queued" in f["message"]
    assert "6,000 tasks wait for it" in f["message"]
    assert "read_volume()" in f["message"]
    assert len(f["tasks"]) == 6000
    f = one(findings, "many-of-one-origin")
    assert f["message"].startswith("6,000 live tasks are of scan() in "
                                   "trouble.py")
    assert "6,000 of them waiting (executor: " in f["message"]
    assert len(findings) == 2
    text = asyncmon("ps", t.pid).out
    assert re.search(r"executor: read_volume\(\) needs a worker", text)


def test_dangling_callbacks(asyncmon, shared, interp):
    t = shared(interp, "trouble.py", "dangling")
    f, = check(asyncmon, t)
    assert f["rule"] == "many-of-one-origin" and len(f["tasks"]) == 4000
    assert "callback() in trouble.py" in f["message"]
    assert "4,000 of them waiting (event: " in f["message"]
    check(asyncmon, t, "--many", "5000", rc=0)
    check(asyncmon, t, "--rule", "await-cycle", rc=0)


def test_misc(asyncmon, shared, interp):
    t = shared(interp, "trouble.py", "misc")
    named, findings = t.truth["named"], check(asyncmon, t)
    if interp.minor >= (3, 11):
        assert one(findings, "cancel-pending")["tasks"] == [named["stubborn"]]
    if not (interp.free_threaded and interp.minor >= (3, 14)):
        lost = of_rule(findings, "exception-never-retrieved")
        assert sorted(f["tasks"][0] for f in lost) == \
            sorted([named["failing-0"], named["failing-1"]])
        assert "KeyError: 'missing-" in lost[0]["message"]
    if not interp.free_threaded:
        f = one(findings, "unreferenced-task")
        assert f["severity"] == "info" and "forever" in f["message"]
        assert asyncmon("check", t.pid, "--rule", "unreferenced-task").rc == 0


def test_quiet(asyncmon, shared, interp):
    t = shared(interp, "trouble.py", "quiet")
    assert check(asyncmon, t, rc=0) == []
    a = asyncmon("check", t.pid)
    assert a.rc == 0 and a.out.startswith(
        "Nothing found by %d rules in " % len(RULES))


@pytest.mark.parametrize("name", ["shapes", "waits"])
def test_cycles_only_where_there_are(asyncmon, shared, interp, name):
    check(asyncmon, shared(interp, name + ".py"), "--rule", "await-cycle",
          rc=0)


def test_cycle(asyncmon, shared, interp):
    t = shared(interp, "cycle.py")
    found = of_rule(check(asyncmon, t, "--interval", "0"), "await-cycle")

    def ids(names):
        return sorted(t.tagged(n)["id"] for n in names)
    cycles = [sorted(f["tasks"]) for f in found]
    assert ids("ab") in cycles and ids("xyz") in cycles
    assert all("circle" in f["message"] or "itself" in f["message"]
               for f in found)
    assert all(f["severity"] == "error" for f in found)


@pytest.mark.parametrize("how", ["sleep", "spin"])
def test_blocked(asyncmon, shared, interp, how):
    t = shared(interp, "blocked.py", *(["--spin"] if how == "spin" else []))
    f = one(check(asyncmon, t, "--rule", "blocked-loop", "--interval", "0.3"),
            "blocked-loop")
    assert f["severity"] == "error" and "one and the same step" in f["message"]
    assert "blocked.py:" in f["message"]


def test_busy_is_not_blocked(asyncmon, shared, interp):
    t = shared(interp, "trouble.py", "hopping")
    for _ in range(3):
        check(asyncmon, t, "--rule", "blocked-loop", "--interval", "0.1",
              rc=0)


def test_fail_on(asyncmon, shared, python):
    t = shared(python, "trouble.py", "dangling")
    for severity, rc in (("error", 0), ("warning", 0), ("info", 1)):
        a = asyncmon("check", t.pid, "--fail-on", severity)
        assert a.rc == rc and "info [many-of-one-origin] 4,000" in a.out
    assert asyncmon("check", t.pid).rc == 0


def test_rules(asyncmon):
    a = asyncmon("check", "--list-rules")
    assert a.rc == 0
    assert [line.split()[0] for line in a.out.splitlines()] == RULES
    answer = asyncmon.json("check", "--list-rules")
    assert [r["rule"] for r in answer["rules"]] == RULES
    for words in (["--rule", "await-cycles"], ["--fail-on", "bad"],
                  ["--interval", "soon"], ["--many", "x"], []):
        a = asyncmon("check", *words, *([1] if words else []))
        assert a.rc == 2 and a.err.startswith("asyncmon: "), (words, a.err)
