"""top: what a person sees in a terminal, and that the terminal is whole afterwards."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import pyte
import pytest

from conftest import ASYNCMON, INTERPS, OWN, some, usable, wait_for

NAMES = some(OWN, "pyenv-3.9", "sid-3.14", "ft-3.13t")


class Top:
    """asyncmon top in a terminal of its own."""

    def __init__(self, *args, columns=80, rows=24):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.data = b""
        self.status = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", LC_ALL="C.UTF-8")
            self.size(0, columns, rows)
            os.execv(ASYNCMON, [ASYNCMON, "top"] + [str(a) for a in args])
        self.before = termios.tcgetattr(self.fd)

    @staticmethod
    def size(fd, columns, rows):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns, rows):
        self.screen.resize(rows, columns)
        self.size(self.fd, columns, rows)
        os.kill(self.pid, signal.SIGWINCH)

    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def feed(self):
        """What it has drawn meanwhile; False at its end."""
        while select.select([self.fd], [], [], 0.02)[0]:
            try:
                data = os.read(self.fd, 1 << 16)
            except OSError:
                return False
            if not data:
                return False
            self.data += data
            self.stream.feed(data)
        return True

    def until(self, what, seconds=30):
        """Until that expression is on the screen."""
        def seen():
            self.feed()
            return re.search(what, self.text(), re.M)
        found = wait_for(seen, seconds)
        assert found, "%r is not on the screen:\n%s" % (what, self.text())
        return found

    def keys(self, text):
        os.write(self.fd, text.encode())

    def ended(self):
        """Its exit status, once it is over; the terminal must be as it was."""
        def over():
            self.feed()
            if self.status is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self.status = os.waitstatus_to_exitcode(status) if pid else None
            return self.status is not None
        assert wait_for(over), self.text()
        self.feed()
        # The other screen was left, the cursor is seen, and lines are edited again.
        for on, off in ((b"\x1b[?1049l", b"\x1b[?1049h"), (b"\x1b[?25h", b"\x1b[?25l")):
            assert self.data.rfind(on) > self.data.rfind(off) >= 0, self.data[-300:]
        return self.status

    def modes_are_back(self):
        after = termios.tcgetattr(self.fd)
        return after[3] & (termios.ECHO | termios.ICANON) == self.before[3] & (termios.ECHO | termios.ICANON)

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def top():
    started = []

    def start(*args, **kw):
        started.append(Top(*args, **kw))
        return started[-1]
    yield start
    for t in started:
        t.close()


@pytest.mark.parametrize("name", NAMES)
def test_screen(name, target, top):
    t = target(usable(INTERPS[name]), "waits.py")
    x = top(t.pid)
    x.until(r"^\d\d:\d\d:\d\d  PID %d  Python 3\." % t.pid)
    counted = int(x.until(r"^(\d+) tasks: ").group(1))
    x.until(r"^loop 0x[0-9a-f]+ thread %d  (idle|busy)" % t.pid)
    x.until(r"^(ID +)?STATE +NAME +")
    x.until(r"^q leave ")
    # What ps says of the same.
    assert counted == len(t.truth["tasks"]), (counted, sorted(t.truth["tasks"]))
    x.keys("g")
    x.until(r"^ +COUNT CORO$")
    x.keys("q")
    assert x.ended() == 0


def test_keys(python, target, top):
    t = target(python, "waits.py")
    x = top(t.pid)
    x.until(r"^(ID +)?STATE +NAME")
    x.keys("/condition-lock")
    x.until(r"^Show only tasks with: condition-lock$")
    x.keys("\n")
    x.until(r'; with "condition-lock"')
    rows = [line for line in x.text().splitlines() if line.startswith(("waiting", "0x"))]
    assert len(rows) == 1 and "condition-lock" in rows[0], x.text()
    x.keys("\n")
    x.until(r"^Task condition-lock  waiting$")
    x.until(r"^Esc back ")
    x.keys("\x1b")
    x.until(r"^q leave ")
    x.keys("?")
    x.until(r"^Keys of top$")
    x.keys("\x1b")
    x.until(r"^q leave ")
    x.keys("p")
    x.until(r"PAUSED")
    x.keys("s")
    x.until(r"; by [A-Z]+")
    x.resize(120, 40)
    x.until(r"^q leave ")
    assert len(x.screen.display) == 40
    x.keys("q")
    assert x.ended() == 0


def test_cancel(python, target, top, asyncmon):
    t = target(python, "waits.py")
    before = {task["name"] for task in asyncmon.json("ps", t.pid)["tasks"]}
    x = top(t.pid, "--filter", "sleep")
    x.until(r"^q leave ")
    x.until(r"^(0x[0-9a-f]+ +)?waiting ")
    x.keys("c")
    name = x.until(r"^Cancel task (\S+) \(0x").group(1)
    x.keys("n")
    x.until(r"^q leave ")
    assert name in {task["name"] for task in asyncmon.json("ps", t.pid)["tasks"]}
    x.keys("c")
    x.until(r"^Cancel task ")
    x.keys("y")
    x.until(r"^%s .*cancelled" % re.escape(name))
    left = {task["name"] for task in asyncmon.json("ps", t.pid)["tasks"]}
    assert before - left == {name}
    x.keys("q")
    assert x.ended() == 0


@pytest.mark.parametrize("how", ["^C", "SIGTERM", "SIGHUP"])
def test_the_terminal_is_whole(how, python, target, top):
    t = target(python, "waits.py")
    x = top(t.pid)
    x.until(r"^q leave ")
    assert not x.modes_are_back()
    if how == "^C":
        x.keys("\x03")
    else:
        os.kill(x.pid, getattr(signal, how))
    assert x.ended() == 0


def test_a_target_that_dies(python, target, top):
    t = target(python, "waits.py")
    x = top(t.pid)
    x.until(r"^q leave ")
    t.dead = True
    os.kill(t.pid, signal.SIGKILL)
    t.proc.wait()
    assert x.ended() == 3
    assert b"asyncmon: process %d has ended" % t.pid in x.data


def test_several(python, target, top):
    a, b = target(python, "waits.py"), target(python, "waits.py")
    x = top(a.pid, b.pid)
    x.until(r"PID %d \(1 of 2\)" % a.pid)
    x.keys("\t")
    x.until(r"PID %d \(2 of 2\)" % b.pid)
    b.dead = True
    os.kill(b.pid, signal.SIGKILL)
    b.proc.wait()
    x.until(r"PID %d  Python" % a.pid)
    x.keys("q")
    assert x.ended() == 0


def test_a_held_loop(python, target, top):
    t = target(python, "holding.py", "asyncio", "sleep=1500")
    x = top(t.pid)
    x.until(r"^q leave ")
    os.kill(t.pid, signal.SIGUSR1)
    x.until(r"HELD .* \(syscall\)")
    hold = json.loads(t.line(60))
    seconds = x.until(r"1 stall, longest ([\d.]+) s").group(1)
    assert abs(float(seconds) - (hold["ended"] - hold["began"])) < 0.2
    x.keys("q")
    assert x.ended() == 0


def test_no_terminal(python, target, asyncmon):
    t = target(python, "waits.py")
    a = asyncmon("top", t.pid)
    assert a.rc == 2 and a.out == "" and "stalls" in a.err and "ps" in a.err
    assert asyncmon("top").rc == 2
