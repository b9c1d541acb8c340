"""`run --timeout`: what it says of a command that hangs, and that nothing of it is left.
The time is ended by SIGALRM once the command stands where it shall."""
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile

import pytest

from conftest import ASYNCMON, TARGETS, call, descendants, end_tree, wait_for

STACKS, TREE, ENDED = "stacktrace --native --coalesce", "tree --coalesce", "ps-terminated --head 100"


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Run:
    """asyncmon run --timeout OPTIONS -- ARGV, and what ARGV said."""

    def __init__(self, options, argv, lines, timeout="1h", **kw):
        env = dict(os.environ, LC_ALL="C.UTF-8", TERM="dumb", PYTHONDONTWRITEBYTECODE="1")
        self.p = subprocess.Popen([ASYNCMON, "run", "--timeout", timeout, *options, "--", *argv],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, **kw)
        self.said = [self.line() for _ in range(lines)]
        self.pids = [self.p.pid] + list(descendants(self.p.pid))

    def line(self):
        assert select.select([self.p.stdout], [], [], 60)[0], "the command said nothing"
        text = self.p.stdout.readline()
        assert text, self.p.stderr.read().decode()
        return json.loads(text)

    def end(self, signum=signal.SIGALRM):
        os.kill(self.p.pid, signum)
        out, err = self.p.communicate(timeout=120)
        self.err = err.decode()
        return self.p.returncode

    def none_left(self):
        assert len(self.pids) > 1
        assert wait_for(lambda: not [p for p in self.pids if alive(p)], 5), self.pids


@pytest.fixture
def run():
    started, folders = [], []

    def start(interp, *how, lines=1, options=(), argv=None, **kw):
        folder = TARGETS
        if argv is None and interp.root:
            folders.append(tempfile.mkdtemp(prefix="asyncmon-targets-", dir=interp.root + "/tmp"))
            shutil.copy(os.path.join(TARGETS, "timed.py"), folders[-1])
            folder = folders[-1][len(interp.root):]
        argv = argv or interp.argv + [os.path.join(folder, "timed.py"), *how]
        started.append(Run(options, argv, lines, **kw))
        return started[-1]
    yield start
    for r in started:
        if r.p.poll() is None:
            end_tree(r.p.pid)
            r.p.communicate()
    for folder in folders:
        shutil.rmtree(folder)


def sections(text):
    """{pid: {"command": its command line, "text": all of it, a look: what it said}}"""
    out = {}
    for part in re.split(r"^==== Process ", text, flags=re.M)[1:]:
        head, _, rest = part.partition("\n")
        pid, _, command = head.partition(": ")
        looks = re.split(r"^---- (.*)\n", rest, flags=re.M)
        out[int(pid)] = dict(zip(looks[1::2], looks[2::2]), command=command, text=rest)
    return out


def told(section):
    """The deadlock that every target here has, by each look."""
    assert section["why"].startswith("Deadlock: "), section
    assert "error [deadlock]" in section["check"]
    assert ", in run_forever\n" in section[STACKS].replace("BaseEventLoop.", "")
    assert re.search(r"^  (?!File )\S+ in \S+", section[STACKS], re.M), "no frames of C"
    assert section[TREE].count("lock: Lock, held by ") == 2


def test_deadlock(run, interp):
    r = run(interp, "deadlock")
    assert r.end() == 124
    found = sections(r.err)
    assert list(found) == [r.said[0]["pid"]]
    section = found[r.said[0]["pid"]]
    assert section["command"].endswith("timed.py deadlock")
    told(section)
    # Below another root the agent's files are not to be found.
    if not interp.root:
        assert "ValueError: told by the report" in section[ENDED]
    assert "all processes ended by SIGTERM" in r.err
    r.none_left()


def test_time_itself(run):
    r = run(None, argv=["sh", "-c", "echo {}; exec sleep 1000"], timeout="2s")
    assert r.p.wait(60) == 124
    assert "not done after 2.0 s: sleep 1000" in r.p.stderr.read().decode()
    r.none_left()


def test_tree(run, main_interp):
    r = run(main_interp, "tree", lines=3)
    first = next(s for s in r.said if "shell" in s)
    assert wait_for(lambda: b"stands_here" in open("/proc/%d/cmdline" % first["plain"], "rb").read())
    assert r.end() == 124
    found = sections(r.err)
    for said in r.said:
        told(found[said["pid"]])
    shell, plain = found[first["shell"]], found[first["plain"]]
    assert shell["command"].startswith("sh -c sleep 1000")
    line, = [l for l in shell["text"].split("\n") if l]
    assert "no CPython in this process: it runs %s" % os.path.realpath("/bin/sh") in line
    assert "has not imported asyncio" in plain["why"] and "check" not in plain
    assert "in stands_here" in plain[STACKS]
    r.none_left()


def test_pytest_that_hangs(run, python, tmp_path):
    (tmp_path / "test_it.py").write_text("""
import asyncio, os
from timed import hang
def test_before():
    pass
def test_that_hangs():
    asyncio.run(hang())
""")
    r = run(python, argv=["env", "PYTHONPATH=" + TARGETS] + python.argv +
            ["-m", "pytest", "-s", "-q", "-p", "no:cacheprovider", str(tmp_path)], lines=0)
    text = r.p.stdout.readline()
    while b'{"pid"' not in text:
        assert text, r.p.stderr.read()
        text = r.p.stdout.readline()
    r.pids += descendants(r.p.pid)
    assert r.end() == 124
    section, = sections(r.err).values()
    told(section)
    assert "in test_that_hangs" in section[STACKS]
    r.none_left()


def test_report_file(run, python, tmp_path):
    path = tmp_path / "report"
    r = run(python, "deadlock", options=["--report", str(path)])
    assert r.end() == 124
    section, = sections(path.read_text()).values()
    told(section)
    assert r.err == "asyncmon: not done after 1 h; what its processes were doing is in %s\n" % path


@pytest.mark.parametrize("before", [False, True])
def test_no_report_in_time(python, tmp_path, before):
    path = tmp_path / "report"
    if before:
        path.write_text("of an earlier run")
    a = call("run", "--timeout", "1h", "--report", path, "--", "sh", "-c", "exit 3")
    assert (a.rc, a.err) == (3, "") and not path.exists()
    a = call("run", "--timeout", "1h", "--report", tmp_path / "no" / "such", "--", "sh", "-c", "echo ran")
    assert a.rc == 3 and "No such file" in a.err and not a.out


def test_no_agent(run, python):
    r = run(python, "deadlock", options=["--no-agent"])
    with open("/proc/%d/maps" % r.said[0]["pid"]) as f:
        assert "asyncmon" not in f.read()
    assert r.end() == 124
    section, = sections(r.err).values()
    told(section)
    assert ENDED not in section


def test_one_that_cannot_be_read(run, python):
    r = run(python, "traced")
    assert r.end() == 124
    found = sections(r.err)
    told(found[r.said[0]["pid"]])
    text = found[r.said[0]["traced"]]["text"]
    assert "is traced by process %d" % r.said[0]["pid"] in text and len(text) < 1000
    r.none_left()


@pytest.mark.parametrize("lost", [1, 2])
def test_lookers_that_are_lost(run, python, lost):
    r = run(python, "orphan", str(lost))
    assert r.end() == 124
    told(sections(r.err)[r.said[0]["pid"]])
    r.none_left()


def test_no_looker_left(run, python):
    r = run(python, "orphan", "3")
    assert r.end() == 124
    assert "failed" in r.err and "all processes ended by SIGTERM" in r.err
    r.none_left()


def test_ignored_sigterm(run, python):
    r = run(python, "ignores", lines=2, options=["--kill-after", "300ms"])
    assert r.end() == 124
    assert "300 ms after SIGTERM, those that were left were ended by SIGKILL" in r.err
    r.none_left()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_passed_on(run, python, signum):
    r = run(python, "status", stdin=subprocess.PIPE, lines=0)
    r.p.stdin.write(b"for the command\n")
    r.p.stdin.flush()
    assert r.line()["stdin"] == "for the command\n"
    os.kill(r.p.pid, signum)
    assert r.line()["signal"] == signum
    assert r.p.wait(60) == 40 + signum


@pytest.mark.parametrize("text, rc", [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)])
def test_status(text, rc):
    a = call("run", "--timeout", "1h", "--", "sh", "-c", text)
    assert (a.rc, a.out, a.err) == (rc, "", "")


def test_status_of_what_cannot_start():
    assert call("run", "--timeout", "1h", "--", "no-such-command").rc == 127
    assert call("run", "--timeout", "1h", "--", "/").rc == 126


@pytest.mark.parametrize("words", [["--timeout", "soon"], ["--timeout", "0"], ["--report", "x"], ["--kill-after", "1s"],
                                   ["--timeout", "1s", "--kill-after", "-1s"]])
def test_usage(words):
    a = call("run", *words, "--", "sh", "-c", "echo ran")
    assert a.rc == 2 and a.err.startswith("asyncmon: ") and not a.out


@pytest.mark.parametrize("options", [[], ["--timeout", "1h"]])
def test_command_has_its_sigpipe(options):
    a = call("run", *options, "--", "sh", "-c", "trap '' USR1; cat /proc/self/status")
    ignored = int(re.search(r"SigIgn:\t(\w+)", a.out).group(1), 16)
    blocked = int(re.search(r"SigBlk:\t(\w+)", a.out).group(1), 16)
    assert ignored & 1 << signal.SIGUSR1 - 1, "the look at ignored signals sees none"
    assert not ignored & 1 << signal.SIGPIPE - 1 and not blocked


def test_supervisor_is_killed(run, python):
    """Its own helpers go with it."""
    r = run(python, "deadlock")
    lookers = [p for p in r.pids[1:] if open("/proc/%d/comm" % p).read() == "asyncmon-look\n"]
    assert len(lookers) == 3
    r.p.kill()
    r.p.wait()
    assert wait_for(lambda: not [p for p in lookers if alive(p)], 5)
    os.kill(r.said[0]["pid"], signal.SIGKILL)
