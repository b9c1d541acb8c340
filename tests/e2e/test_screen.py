"""Every command as a person sees it: in a terminal, in colour, at several widths, with
and without a locale."""
import re
import subprocess

import pytest

from conftest import ASYNCMON, pick, usable
from screens import on_a_terminal

WIDTHS = (60, 80, 100, 200)
COLOURS = {"running": "green", "runnable": "cyan", "waiting": "default",
           "finished": "default", "failed": "red", "cancelled": "brown"}
# As containers, cron and docker exec start programs.
NO_LOCALE = {"LC_ALL": None, "LANG": None}


@pytest.fixture
def t(shared, python):
    return shared(python, "shapes.py")


@pytest.fixture
def crowd(shared, python):
    return shared(python, "crowd.py", 40)


def by_state(t):
    """A task of each state that the target has, by its name."""
    told = {}
    for task in t.tasks(live=False).values():
        if task["name"] and task["name"].isascii() and " " not in task["name"]:
            told.setdefault(task["state"], task["name"])
    return told


@pytest.mark.parametrize("columns", WIDTHS)
def test_states_in_colour(t, columns):
    s = on_a_terminal(columns, "ps", "--all", t.pid)
    head = s.lines[0]
    at, states = head.index("STATE"), by_state(t)
    assert {"running", "runnable", "waiting"} <= set(states)
    # Whatever stands in that column is a state, and nothing else.
    rows = [n for n, line in enumerate(s.lines[1:], 1)
            if line and not line.startswith("asyncmon:") and len(line) > at]
    seen = set()
    for n in rows:
        state = re.match(r"[\d\w]*", s.lines[n][at:]).group()
        if state not in COLOURS:
            continue
        seen.add(state)
        assert {c.fg for c in s.cells[n][at:at + len(state)]} == {COLOURS[state]}, s.lines[n]
        # The colour ends with the word.
        assert s.cells[n][at + len(state)].fg == "default"
    assert set(states) <= seen, (states, seen)


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("command", ["ps", "tree"])
def test_no_line_is_broken_by_the_terminal(t, columns, command):
    """What is printed fits, so that the terminal has nothing to break."""
    wide = on_a_terminal(2000, command, t.pid)
    s = on_a_terminal(columns, command, t.pid)
    for raw in s.data.decode().split("\r\n"):
        text = re.sub(r"\x1b\[[0-9;]*m", "", raw)
        if text.startswith("asyncmon:"):
            continue
        assert len(text) <= columns, text
    assert len(wide.lines) > len(t.tasks()) // 2


@pytest.mark.parametrize("env", [{}, NO_LOCALE, {"LC_ALL": "C"}, {"LC_ALL": "nowhere"}],
                         ids=["utf8", "none", "C", "unknown"])
def test_names_that_are_not_ascii(crowd, env):
    """Printed as they are, and with the width that they have, whatever the locale."""
    s = on_a_terminal(200, "ps", crowd.pid, "--state", "waiting", "-o", "name,state", env=env)
    at = s.lines[0].index("STATE")
    for name in crowd.truth["named"]:
        n = [i for i, line in enumerate(s.lines) if line.startswith(name[0])
             and name[1:] in line.replace(" ", "") + line][0]
        assert "".join(c.data for c in s.cells[n][at:at + 7]) == "waiting", s.lines[n]


def test_a_crowd_is_folded(asyncmon, crowd):
    """What is common takes a few rows and a line, what is rare is all there."""
    told = asyncmon.json("ps", crowd.pid)
    tasks = told["tasks"]
    assert len(tasks) == crowd.truth["count"] == told["shown"]
    common = [task["name"] for task in tasks if task["name"].startswith("worker-")]
    rare = [task["name"] for task in tasks if task["name"] not in common]
    s = on_a_terminal(120, "ps", crowd.pid)
    shown = [name for name in common if re.search(r"\b%s " % name, s.text())]
    assert 0 < len(shown) < 10
    text = s.text().replace(" ", "")
    assert [n for n in rare if n.replace(" ", "") not in text] == []
    assert re.search(r"^%d more wait on the same line \(wait_for_work .*; --all-rows shows them$"
                     % (len(common) - len(shown)), s.text(), re.M)
    # Their number is that of all.
    assert s.line("asyncmon: ").startswith("asyncmon: %d of %d tasks" % (len(tasks), len(tasks)))
    assert "%d of %d tasks" % (len(common), len(tasks)) in on_a_terminal(
        120, "ps", crowd.pid, "-f", "worker-").text()


@pytest.mark.parametrize("options", [["--all-rows"], ["--raw"], ["--sort", "name"], ["--head", "99"],
                                     ["--tail", "99"], ["-o", "name"]])
def test_a_crowd_is_not_folded_where_rows_were_asked_for(crowd, options):
    s = on_a_terminal(120, "ps", crowd.pid, *options)
    assert len(re.findall(r"\bworker-\d+\b", s.text())) == 40
    assert "--all-rows" not in s.text()


def test_a_crowd_is_not_folded_where_there_is_room(asyncmon, crowd):
    s = on_a_terminal(120, "ps", crowd.pid, rows=80)
    assert len(re.findall(r"\bworker-\d+\b", s.text())) == 40
    # A pipe has room for everything.
    assert len(re.findall(r"\bworker-\d+\b", asyncmon("ps", crowd.pid).out)) == 40


@pytest.mark.parametrize("command", [["ps"], ["tree"], ["where", "--state", "waiting"],
                                     ["ps", "--group-by", "state"], ["stacktrace"], ["check"],
                                     ["ps", "--raw"], ["ps", "--json"]])
def test_ends_without_a_locale(t, command):
    """Nothing loops, whatever bytes the names are of."""
    env = {"PATH": "/usr/bin:/bin"}
    p = subprocess.run([ASYNCMON, command[0], str(t.pid)] + command[1:], env=env,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert p.returncode in (0, 1) and p.stdout
    text = p.stdout.decode("utf-8", "strict")
    if command[0] in ("ps", "tree") and "--group-by" not in command:
        assert t.tagged("name-bmp")["name"].split()[0] in text


def test_colour_is_asked_for(t):
    def coloured(*args, **env):
        return b"\x1b[" in on_a_terminal(100, "ps", t.pid, *args, env=env).data
    assert coloured()
    assert not coloured(NO_COLOR="1")
    assert not coloured(TERM="dumb")
    assert not coloured(TERM=None)
    assert coloured("--color=always", NO_COLOR="1")
    assert not coloured("--color=never")
    out = subprocess.run([ASYNCMON, "ps", "--color=always", str(t.pid)],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    assert b"\x1b[32mrunning\x1b[m" in out


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (24, 3), (24, 65535)])
def test_odd_sizes(t, size):
    """A terminal that does not know its size, or says a strange one."""
    s = on_a_terminal(2000, "ps", t.pid, size=size)
    assert "NAME" in s.lines[0].split()
    if size == (0, 0):
        assert max(map(len, s.lines[:-2])) <= 80


@pytest.mark.parametrize("value", ["0", "x", "1", "99999999999999999999"])
def test_odd_columns(t, value):
    s = on_a_terminal(2000, "ps", t.pid, env={"COLUMNS": value})
    assert "NAME" in s.lines[0].split()
