"""What the agent remembers, beside what the target itself knows: creation, cancel
requests, ends; from a living process and from its core."""
import json
import os
import subprocess

import pytest


def truth_of(t, asyncmon):
    """Injects, and takes the second line of the target's account of itself."""
    answer = asyncmon("inject", t.pid)
    assert answer.rc == 0, answer.err
    line = t.line(30)
    assert line, t.stderr()
    return json.loads(line)


@pytest.fixture
def history(interp, target, asyncmon):
    t = target(interp, "history.py")
    return t, truth_of(t, asyncmon)


def user_line(stack):
    """The last line of history.py that is not in make()."""
    return [f["line"] for f in stack if f["file"].endswith("history.py") and f["function"] != "make"][-1]


def check_created(task, info, name):
    created = task["created"]
    assert created, name
    assert (created["by"] or {"name": None})["name"] == info["by"], name
    assert user_line(created["stack"]) == info["line"], (name, created["stack"])


def check_cancels(task, info, name):
    got = [{"origin": c["origin"], "by": (c["by"] or {"name": None})["name"], "message": c["message"]}
           for c in task["cancels"]]
    want = info["cancels"]
    assert len(got) == len(want), (name, got, want)
    for g, w in zip(got, want):
        if w["by"] == "any" or w["origin"] == "taskgroup":
            g = dict(g, by=w["by"])
        assert g == w, name


def check_live(asyncmon, what, truth):
    tasks = {t["name"]: t for t in asyncmon.json("ps", what)["tasks"]}
    assert set(truth["live"]) <= set(tasks)
    for name, info in truth["live"].items():
        task = tasks[name]
        assert task["serial"] is not None, name
        assert task["stats"]["polls"] >= 1
        check_created(task, info, name)
        check_cancels(task, info, name)
    early = tasks["early"]
    assert early["created"] is None and early["cancels"] == []
    # A shell's quoting is not what is tested: tasks are asked for by id.
    where = asyncmon.json("where", what, tasks["grandchild"]["id"])["tasks"][0]
    assert [c["task"]["name"] for c in where["chain"]] == ["main", "grandparent", "parent"]
    assert user_line(where["chain"][-1]["stack"]) == truth["live"]["grandchild"]["line"]


def check_ended(asyncmon, what, truth):
    ended = asyncmon.json("ps-terminated", what)["terminated"]
    assert [e["ended_at"] for e in ended] == sorted((e["ended_at"] for e in ended), reverse=True)
    names = {e["name"]: e for e in ended}
    assert set(truth["ended"]) <= set(names)
    for name, info in truth["ended"].items():
        e = names[name]
        assert e["outcome"] == info["outcome"], name
        coro = info["coro"]
        assert e["coro"] == coro, name
        if info.get("exception"):
            assert e["exception"]["type"].split(".")[-1] == info["exception"][0]
            assert e["exception"]["message"] == info["exception"][1]
        else:
            assert e["exception"] is None, name
        one = asyncmon.json("where-terminated", what, e["serial"])["terminated"][0]
        check_created(one, info, name)
        check_cancels(one, info, name)
        if info["outcome"] == "failed":
            assert one["stack"][-1]["function"].split(".")[-1] in ("fails", "bad")
        if name == "victim":
            assert one["stack"][0]["function"] == "sleeper"
            assert one["stack"][-1]["function"] == "sleep"
    return names


def check_chains(asyncmon, what, names):
    def chain(name):
        one = asyncmon.json("where-terminated", what, names[name]["serial"])["terminated"][0]
        return [c["task"]["name"] for c in one["chain"]]
    assert chain("last of chain") == ["first of chain", "middle"]
    assert chain("suicide") == ["suicide"]
    assert chain("victim") == ["killer"]
    assert chain("called back") == []


def test_history(history, asyncmon):
    t, truth = history
    check_live(asyncmon, t.pid, truth)
    check_chains(asyncmon, t.pid, check_ended(asyncmon, t.pid, truth))
    t.unharmed()


def test_history_on_uvloop(interp, target, asyncmon):
    if not interp.has_uvloop:
        pytest.skip("it has no uvloop")
    t = target(interp, "history.py", "uvloop")
    truth = truth_of(t, asyncmon)
    # What it is to call soon it keeps from everybody.
    truth["ended"]["signalled soon"]["cancels"][0]["origin"] = "callback"
    check_live(asyncmon, t.pid, truth)
    check_chains(asyncmon, t.pid, check_ended(asyncmon, t.pid, truth))


def test_history_of_a_core(history, asyncmon, tmp_path):
    t, truth = history
    core = str(tmp_path / "core")
    done = subprocess.run(["gcore", "-o", core, str(t.pid)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60)
    path = "%s.%d" % (core, t.pid)
    if not os.path.exists(path):
        pytest.skip("no core: %r" % done.stdout[-200:])
    options = ["--sysroot", t.interp.root] if t.interp.root else []

    class OfCore:
        @staticmethod
        def json(command, what, *args):
            return asyncmon.json(command, what, *args, *options)
    check_live(OfCore, path, truth)
    check_chains(OfCore, path, check_ended(OfCore, path, truth))
    answer = asyncmon("inject", path)
    assert answer.rc in (2, 3) and "core" in answer.err


def test_removed(history, asyncmon):
    t, _ = history
    assert asyncmon("inject", "--remove", t.pid).rc == 0
    assert not asyncmon.json("ps", t.pid)["target"]["agent"]
    answer = asyncmon("ps-terminated", t.pid)
    assert answer.rc == 3 and "inject" in answer.err
    assert asyncmon.json("inject", t.pid)["outcome"] == "started"
    assert asyncmon.json("ps", t.pid)["target"]["agent"]
    t.unharmed()


def test_what_exceptions_say(interp, target, asyncmon):
    """The message is what str() gives, or its beginning with a mark; what only a __str__ of
    Python code could say is given as repr() does, or not at all."""
    t = target(interp, "raising.py")
    said = truth_of(t, asyncmon)
    got = {e["name"]: e["exception"]["message"] for e in asyncmon.json("pst", t.pid)["terminated"]}
    exact = 0
    for name, (text, form) in said.items():
        message = got[name]
        if message is not None and message.endswith("\u2026"):
            assert text.startswith(message[:-1]) and 2040 < len(message.encode()) <= 2048, name
        elif message == text:
            exact += 1
        else:
            assert message in (form, None), (name, message, text, form)
    assert exact >= 8 and len(got) == len(said)


def test_more_cancels_than_are_kept(main_interp, target, asyncmon):
    """The count is of all; that some are not shown is said."""
    t = target(main_interp, "stubborn.py")
    truth_of(t, asyncmon)
    note = "more than 64 times (1 here)"
    for args in ("pst", "ps"):
        answer = asyncmon.json(args, t.pid)
        assert [n for n in answer["notes"] if note in n], answer["notes"]
    # Said where such a task's requests are shown, and nowhere else.
    assert note in asyncmon("where", t.pid, "lives").err
    assert note in asyncmon("wt", t.pid, "dies").err
    for args in (["ps"], ["ps", "--group-by", "state"], ["tree"], ["pst"]):
        assert "64 times" not in asyncmon(args[0], t.pid, *args[1:]).err
    shown = asyncmon("where", t.pid, "lives").out
    assert shown.count("cancelled ") < 10 and "more alike, the last" in shown, shown
    assert asyncmon("where", "-v", t.pid, "lives").out.count("  cancelled ") == 64
    rows = asyncmon("ps", t.pid, "-o", "name,cancels", "--raw", "--noheadings").out.split("\n")
    assert "lives 100" in rows
    rows = asyncmon("pst", t.pid, "-o", "name,cancels", "--raw", "--noheadings").out.split("\n")
    assert "dies 100" in rows
    kept = asyncmon.json("wt", t.pid, "dies")["terminated"][0]["cancels"]
    assert len(kept) == 64


def test_names_like_numbers(main_interp, target, asyncmon):
    t = target(main_interp, "stubborn.py")
    truth_of(t, asyncmon)
    for name in ("0x7777", "#7777", "7777"):
        assert asyncmon.json("wt", t.pid, name)["terminated"][0]["name"] == name
    assert asyncmon("wt", t.pid, "7778").rc == 1
