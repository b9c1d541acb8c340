"""The tests' own helpers: each fails where it ought to."""
import copy
import json

import pytest

import schema

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
