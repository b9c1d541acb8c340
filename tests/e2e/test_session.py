"""The session: driven through a real terminal, and by scripts."""
import os
import re
import stat
import time

import pexpect
import pytest

import conftest


class Terminal:
    """A session in a terminal of its own, with a home of its own."""

    def __init__(self, home, *args, config=None):
        env = dict(os.environ, HOME=str(home), TERM="dumb", LC_ALL="C.UTF-8",
                   PAGER="", XDG_STATE_HOME=str(home / "state"),
                   XDG_CONFIG_HOME=str(home / "config"), **(config or {}))
        self.c = pexpect.spawn(conftest.ASYNCMON, [str(a) for a in args], env=env,
                               encoding="utf-8", timeout=20, dimensions=(40, 120))

    def see(self, pattern):
        self.c.expect(pattern)
        return self.c.before

    def type(self, text):
        self.c.send(text)

    def run(self, line):
        """The line's output, up to the next prompt."""
        self.c.sendline(line)
        self.see(re.escape(line) + "\r\n")
        return self.see(r"asyncmon [^\r\n]*> ")

    def leave(self):
        self.c.sendline("exit")
        self.c.expect(pexpect.EOF)
        self.c.close()
        assert self.c.exitstatus == 0


@pytest.fixture
def open_terminal(tmp_path):
    opened = []

    def start(*args, prompt=r"asyncmon [^\r\n]*> ", **kw):
        t = Terminal(tmp_path, *args, **kw)
        opened.append(t)
        t.banner = t.see(prompt) if prompt else ""
        return t
    yield start
    for t in opened:
        t.c.close(force=True)


@pytest.fixture
def t(target, python):
    return target(python, "actors.py")


def test_life(open_terminal, target, main_interp):
    """Banner, prompt, commands, repeat, nearest, leave."""
    process = target(main_interp, "actors.py")
    s = open_terminal("attach", process.pid)
    assert "Python %d.%d" % main_interp.minor in s.banner
    assert "1 loop, 5 tasks, no agent" in s.banner and "exit or Ctrl-D" in s.banner
    out = s.run("ps --noheadings -o NAME")
    assert "willing" in out and "swallow" in out
    s.c.send("\r")
    assert "swallow" in s.see("asyncmon .*> ")
    assert "did you mean where" in s.run("whre willing")
    assert "await asyncio.sleep(1000)" in s.run("w willing")
    assert "could be where, where-terminated" in s.run("wh")
    assert "Thread" in s.run("stackt")
    assert "usage: asyncmon ps" in s.run("help ps")
    s.leave()


def test_completion(open_terminal, t):
    s = open_terminal("attach", t.pid)
    s.type("stackt\t")
    s.see("stacktrace ")
    s.c.sendintr()
    s.see("> ")
    s.type("where wil\t")
    s.see("willing ")
    s.c.sendintr()
    s.type("where \t")
    s.see("swallow +swallow")
    s.c.sendintr()
    s.type("ps --stat\t")
    s.c.sendintr()
    s.type("ps --state wai\t")
    s.see("waiting")
    s.c.sendintr()
    s.type("ps --sort S\t")
    s.see("SERIAL .*\r\n.*STATE ")
    s.c.sendintr()
    s.type("signal SIGUSR\t")
    s.see("SIGUSR1 .*\r\n.*SIGUSR2 ")
    s.c.sendintr()
    s.type("he\t")
    s.see("help ")
    s.c.sendintr()
    s.see("> $")
    s.leave()


def test_completion_of_names_with_blanks(open_terminal, shared, python):
    """TAB quotes them, with or without a quote that is open, and what it makes runs."""
    s = open_terminal("attach", shared(python, "crowd.py", 40).pid)
    for typed, name in (("nigh", "nightly report"), ('"nightly r', "nightly report"),
                        ("nightly\\ r", "nightly report"), ("caf", "café"),
                        ("résumé", "résumé prüfen")):
        s.c.send("where %s\t" % typed)
        s.c.send("\r")
        s.see("Task %s  " % name)
        s.see("> $")
    s.leave()


def test_a_pid_alone(asyncmon, t):
    a = asyncmon(t.pid, "-e", "ps --raw --noheadings -o name")
    assert a.rc == 0 and "willing" in a.out.split(), a.err
    a = asyncmon(t.pid, "ps")
    assert a.rc == 2 and "asyncmon ps %d" % t.pid in a.err


def test_interrupt(open_terminal, t):
    """Ctrl-C ends the command; neither session nor target minds."""
    s = open_terminal("attach", t.pid)
    s.type("half a line")
    s.c.sendintr()
    s.see("> ")
    for pause in 0, 0.001, 0.003, 0.01, 0.3:
        s.c.sendline("!exec sleep 60")
        time.sleep(pause)
        s.c.sendintr()
        s.see("> ")
    s.c.sendline("watch -n 0.2 ps")
    s.see("Every 0.2 s: ps")
    s.see("willing")
    s.c.sendintr()
    s.see("> ")
    s.leave()
    t.unharmed()


def test_end_is_noticed(open_terminal, t):
    s = open_terminal("attach", t.pid)
    t.dead = True
    t.proc.kill()
    t.proc.wait()
    s.see("process %d .* has ended" % t.pid)
    s.c.sendline("ps")
    s.see(r"has ended")
    s.see(r"\(ended\)> ")
    s.leave()


def test_files_of_the_user(open_terminal, t, tmp_path):
    """Start file, alias, history."""
    (tmp_path / "config/asyncmon").mkdir(parents=True)
    (tmp_path / "config/asyncmon/rc").write_text("# mine\nalias names='ps --noheadings -o NAME'\n")
    s = open_terminal("attach", t.pid)
    assert "willing" in s.run("names --filter will")
    assert "alias names=" in s.run("alias")
    s.run("alias two='names --head 2'")
    assert "2 of 5" in s.run("two")
    s.leave()
    history = tmp_path / "state/asyncmon/history"
    assert "names --filter will" in history.read_text()
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    s = open_terminal("attach", t.pid)
    s.type("\x1b[A\x1b[A")
    s.see("alias two|two")
    s.c.sendintr()
    s.leave()


def script(t, text, *args, **env):
    import subprocess
    e = dict(os.environ, LC_ALL="C.UTF-8", **env)
    p = subprocess.run([conftest.ASYNCMON, "attach", str(t.pid)] + list(args), input=text.encode(),
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, env=e)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def test_script(t, tmp_path):
    rc, out, err = script(t, "ps --raw --noheadings | wc -l\nps > %s/o\nps >> %s/o\n" % (tmp_path, tmp_path))
    assert (rc, out.strip(), err) == (0, "5", "")
    assert (tmp_path / "o").read_text().count("waiting willing") == 2


def test_first_failure(t):
    rc, out, err = script(t, "where nosuch\nnosuch\nps\n")
    assert rc == 1 and "willing" in out and "there is no command nosuch" in err
    rc, out, err = script(t, "", "-e", "nosuch", "-e", "where nosuch")
    assert rc == 2
    rc, out, err = script(t, "", "-e", "ps", "-e", "exit", "-e", "nosuch")
    assert rc == 0


def test_programs(t, tmp_path):
    program = tmp_path / "asyncmon-count"
    program.write_text("#!/bin/sh\necho $ASYNCMON_TARGET $1; grep -o '\"state\"' | wc -l\n")
    program.chmod(0o755)
    rc, out, err = script(t, "count it\n", PATH="%s:%s" % (tmp_path, os.environ["PATH"]))
    assert (rc, out.split()) == (0, [str(t.pid), "it", "5"]), err


def test_several(t, target, python):
    other = target(python, "actors.py")
    rc, out, err = script(t, "ps --raw --noheadings\n", str(other.pid))
    assert rc == 0 and {int(l.split()[0]) for l in out.splitlines()} == {t.pid, other.pid}
    rc, out, err = script(t, "where %d/willing\n" % other.pid, str(other.pid))
    assert rc == 0 and out.count("Task willing") == 1
    rc, out, err = script(t, "cancel willing\n", str(other.pid))
    assert rc == 2 and "which process" in err
    rc, out, err = script(t, "where 1/willing\n")
    assert rc == 1 and "1/willing" in err and not out


def test_two_sessions(open_terminal, t):
    a, b = open_terminal("attach", t.pid), open_terminal("attach", t.pid)
    for s in (a, b, a, b):
        assert "willing" in s.run("ps")
    a.leave()
    b.leave()
