"""What a person sees: tables, filters, escaping, the other list commands."""
import re
import subprocess
import unicodedata

import pytest

from compare import by_id
from conftest import ASYNCMON
from screens import on_a_terminal

CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")


def clean(a):
    """No byte that a terminal would act on, and valid UTF-8."""
    assert not CONTROL.search(a.raw), CONTROL.search(a.raw)
    text = a.raw.decode("utf-8", "strict")
    bad = [c for c in text if c != "\n" and c != "\t"
           and unicodedata.category(c) in ("Cc",)]
    assert not bad
    assert "\u202e" not in text
    return text


def rows(a):
    return [line for line in clean(a).splitlines() if line.strip()]


@pytest.fixture
def t(shared, python):
    return shared(python, "shapes.py")


@pytest.mark.parametrize("command", ["ps", "tree", "stacktrace"])
def test_commands(asyncmon, t, command):
    a = asyncmon(command, t.pid)
    assert a.rc == 0, a.err
    text = clean(a)
    if command != "stacktrace":
        for name in ("outer", "gather-1", "queue-get", "thread-sleep"):
            assert name in text


@pytest.mark.parametrize("alias,command", [("p", "ps"), ("st", "stacktrace"),
                                           ("stack", "stacktrace")])
def test_aliases(asyncmon, t, alias, command):
    a, b = asyncmon(alias, t.pid), asyncmon(command, t.pid)
    assert a.rc == b.rc == 0
    assert re.sub(r"\d", "", a.out) == re.sub(r"\d", "", b.out)


def test_every_task_has_a_row(asyncmon, t):
    a = asyncmon("ps", "--raw", "--noheadings", t.pid)
    assert a.rc == 0
    assert len(rows(a)) == len(t.tasks())
    for i in t.tasks():
        assert i in a.out


def test_headings(asyncmon, t):
    with_, without = asyncmon("ps", t.pid), asyncmon("ps", "--noheadings",
                                                     t.pid)
    assert rows(with_)[0].upper() == rows(with_)[0]
    assert rows(with_)[0] not in without.out


def test_colour(asyncmon, t):
    assert b"\x1b" not in asyncmon("ps", t.pid).raw
    assert b"\x1b[" in asyncmon("ps", "--color=always", t.pid).raw
    assert b"\x1b" not in asyncmon("ps", t.pid, env={"NO_COLOR": "1"}).raw


def test_columns(asyncmon, t):
    a = asyncmon("ps", "-o", "id,name", "--noheadings", "--raw", t.pid)
    assert a.rc == 0, a.err
    told = t.tasks()
    line = [r for r in rows(a) if "outer" in r][0].split()
    assert line[0] in told and line[1] == "outer" and len(line) == 2
    assert asyncmon("ps", "-o", "no-such-column", t.pid).rc == 2


def names(answer):
    return [x["name"] for x in answer["tasks"]]


def test_filter(asyncmon, t):
    got = names(asyncmon.json("ps", "-f", "gather-", t.pid))
    assert sorted(got) == ["gather-0", "gather-1", "gather-2"]
    a = asyncmon("ps", "--filter", "gather-", t.pid)
    assert re.search(r"3 of %d tasks" % len(t.tasks()), a.out + a.err)


def test_state(asyncmon, t):
    for state in ("running", "runnable", "waiting"):
        want = sorted(x["name"] for x in t.tasks().values()
                      if x["state"] == state)
        got = sorted(names(asyncmon.json("ps", "--state", state, t.pid)))
        assert got == want
    assert asyncmon("ps", "--state", "tired", t.pid).rc == 2


def test_coro(asyncmon, t):
    want = sorted(x["id"] for x in t.tasks().values()
                  if x["coro"].startswith("on_wait"))
    got = sorted(by_id(asyncmon.json("ps", "--coro", "on_wait*", t.pid)))
    assert got == want and len(want) == 2


def test_needs_agent(asyncmon, t):
    """Nothing knows when a task was made but the agent: said, not guessed."""
    for option in (["--older-than", "1s"], ["--created", "*.py:1"]):
        a = asyncmon("ps", *option, t.pid)
        assert a.rc == 5 and "agent" in a.err.lower(), (a.rc, a.err)
    assert asyncmon("ps", "--older-than", "soon", t.pid).rc == 2


def test_sort_head_tail(asyncmon, t):
    up = names(asyncmon.json("ps", "--sort", "name", t.pid))
    down = names(asyncmon.json("ps", "--sort", "name:desc", t.pid))
    assert sorted(up) == sorted(down) and up != down
    assert up[:3] == names(asyncmon.json("ps", "--sort", "name", "--head", "3",
                                         t.pid))
    assert up[-3:] == names(asyncmon.json("ps", "--sort", "name", "--tail",
                                          "3", t.pid))
    assert asyncmon("ps", "--sort", "beauty", t.pid).rc == 2
    assert asyncmon("ps", "--head", "-1", t.pid).rc == 2
    assert asyncmon("ps", "--head", "x", t.pid).rc == 2


@pytest.mark.parametrize("key", ["coro", "waiting", "state", "group"])
def test_group_by(asyncmon, t, key):
    a = asyncmon("ps", "--group-by", key, t.pid)
    assert a.rc == 0, a.err
    if key == "coro":
        n = len([x for x in t.tasks().values() if x["coro"] == "napping"])
        assert [r for r in rows(a) if "napping" in r and str(n) in r.split()]
    assert asyncmon("ps", "--group-by", "colour", t.pid).rc == 2


def test_stats_and_streams(asyncmon, t):
    a = asyncmon("ps", "--stats", "--json", t.pid)
    assert a.rc == 0 and "pause" in a.err.lower() and a.out.startswith("{")
    assert "source lines" not in a.err
    a = asyncmon("stacktrace", "--native", "--stats", t.pid)
    assert a.rc == 0 and re.search(r"source lines of C frames [\d.]+ ms", a.err)


def test_unicode_names(asyncmon, shared, interp):
    t = shared(interp, "shapes.py")
    answer = by_id(asyncmon.json("ps", t.pid))
    for told in t.tasks().values():
        if (told["tag"] or "").startswith("name-"):
            assert answer[told["id"]]["name"] == told["name"], told["tag"]
    text = clean(asyncmon("ps", "--raw", t.pid))
    for tag in ("name-latin1", "name-bmp", "name-astral"):
        assert t.tagged(tag)["name"].split()[0] in text
    for tag in ("name-control", "name-escape"):
        assert t.tagged(tag)["name"] not in text
    clean(asyncmon("tree", t.pid))
    clean(asyncmon("where", t.pid, t.tagged("name-escape")["id"]))


def test_where(asyncmon, shared, interp):
    t = shared(interp, "shapes.py")
    told = t.tagged("condition")
    by = [told["id"], str(int(told["id"], 16)), "condition"]
    answers = [asyncmon.json("where", t.pid, x)["tasks"] for x in by]
    assert all(len(x) == 1 and x[0]["id"] == told["id"] for x in answers)
    a = asyncmon("where", t.pid, "condition")
    text = clean(a)
    assert "on_condition" in text and "shapes.py" in text
    # The source line, read through the target's root.
    assert "await condition.wait()" in text
    two = asyncmon.json("where", t.pid, "lock", "event")["tasks"]
    assert [x["name"] for x in two] == ["lock", "event"]


def test_where_nested(asyncmon, t):
    a = asyncmon("where", t.pid, "nested")
    assert a.rc == 0 and a.out.count("nested") >= 31


def test_no_such_task(asyncmon, t):
    a = asyncmon("where", t.pid, "no such task at all")
    assert a.rc == 1 and a.out == "" and "no such task at all" in a.err
    a = asyncmon("where", t.pid, "0x1234")
    assert a.rc == 1
    err = asyncmon.json("where", t.pid, "nobody", rc=1)
    assert err["format"] == 1 and err["error"]["message"]


def test_near_names_are_listed(asyncmon, t):
    a = asyncmon("where", t.pid, "gather-")
    assert a.rc == 1
    for i in range(3):
        assert t.tagged("gather-%d" % i)["id"] in a.err


def test_tree(asyncmon, shared, interp):
    t = shared(interp, "shapes.py")
    answer = asyncmon.json("tree", t.pid)
    seen = {}

    def walk(node, parent):
        seen.setdefault(node["task"], set()).add(parent)
        for kid in node["children"]:
            walk(kid, node["task"])
    for root in answer["roots"]:
        walk(root, None)
    assert set(seen) == set(t.tasks())
    outer, inner = t.tagged("outer")["id"], t.tagged("inner")["id"]
    assert outer in seen[inner] or inner in seen[outer]


def test_several_pids(asyncmon, target, python):
    a, b = target(python, "frozen.py"), target(python, "blocked.py")
    a.frozen = True
    answer = asyncmon.json("ps", a.pid, b.pid)
    assert [x["target"]["pid"] for x in answer["answers"]] == [a.pid, b.pid]


def test_help(asyncmon):
    a = asyncmon("help")
    assert a.rc == 0
    for command in ("ps", "tree", "where", "stacktrace"):
        assert command in a.out
    for args in (("--help",), ("ps", "--help")):
        assert asyncmon(*args).rc == 0
    assert asyncmon("--version").rc == 0


def test_closed_pipe(t):
    """`asyncmon ps PID | head -1` ends quietly."""
    p = subprocess.run(["bash", "-o", "pipefail", "-c",
                        '"$0" ps --raw "$1" | head -1', ASYNCMON, str(t.pid)],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=30)
    assert len(p.stdout.splitlines()) == 1


def test_on_a_terminal(t):
    """A table fits its terminal, and a name cannot drive it."""
    data = re.sub(rb"\x1b\[[0-9;]*m", b"", on_a_terminal(100, "ps", t.pid).data)
    assert b"queue-get" in data
    # Only colours: nothing a name could have brought in.
    assert b"\x1b" not in data and b"\x07" not in data


def test_columns_that_give_way(asyncmon, target, python):
    """What the agent adds is shown where there is room for it, and when asked for."""
    t = target(python, "history.py")
    assert asyncmon("inject", t.pid).rc == 0
    assert t.line(30)

    def headings(columns, *args):
        data = on_a_terminal(columns, "ps", t.pid, *args).data.decode()
        return data.split("\r\n")[0].split()
    wide, narrow, narrower = headings(300), headings(120), headings(70)
    added = ["AGE", "BY", "CREATED", "CANCELS", "POLLS", "BUSY"]
    assert wide == ["ID", "STATE", "NAME", "CORO", "WHERE", "WAITING"] + added
    answers = ["STATE", "NAME", "WHERE", "WAITING"]
    # The handle first, where names do as well; then what is extra, from the right.
    assert "ID" not in narrow and narrow[-1] in added
    assert [c for c in wide if c in narrow] == narrow
    assert narrower == answers
    assert headings(70, "-o", "+busy,serial")[6:] == added + ["SERIAL"]


@pytest.mark.parametrize("command", ["where", "why"])
def test_a_task_by_words_and_by_the_end_of_its_id(asyncmon, shared, python, command):
    """What a person types off the screen: a name with blanks, an id that was cut."""
    t = shared(python, "crowd.py", 40)
    name = next(n for n in t.truth["named"] if n.isascii())
    whole = asyncmon(command, t.pid, name)
    assert whole.rc == 0 and name in whole.out, whole.err
    assert asyncmon(command, t.pid, *name.split()).out == whole.out
    first = name.split()[0]
    a = asyncmon(command, t.pid, first)
    assert a.rc == 1 and 'did you mean "%s"?' % name in a.err
    id_ = next(task["id"] for task in asyncmon.json("ps", t.pid)["tasks"]
               if task["name"] == name)
    assert asyncmon(command, t.pid, "…" + id_[-8:]).out == whole.out
    assert asyncmon(command, t.pid, "…0").rc == 1
